//! Which packages a system with nothing else needs for some programs.

use anyhow::{Result, bail};
use harness::step;

/// The packages and all that they depend on, each as apt's `name=version`, sorted.
pub(super) fn with_dependencies(packages: &[&str]) -> Result<Vec<String>> {
    // As on a machine where nothing is installed.
    let mut args = vec!["-o", "Dir::State::status=/dev/null", "install", "--simulate"];
    args.push("--no-install-recommends");
    args.extend(packages);
    let all = installed(&step::output("apt-get", args)?);
    let is_missing = |package: &&str| !all.iter().any(|one| name(one) == *package);
    let missing: Vec<&str> = packages.iter().copied().filter(is_missing).collect();
    if !missing.is_empty() {
        bail!(
            "apt can't resolve the dependencies of {}: see that its sources on this machine name Debian 12's \
             main, updates and security suites, and run `cargo xtask setup` again",
            missing.join(" ")
        );
    }
    Ok(all)
}

/// The packages in lines like `Inst runc (1.1.5+ds1-1 Debian:12.15/oldstable [amd64])`.
fn installed(simulation: &str) -> Vec<String> {
    let mut packages: Vec<String> = simulation
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.strip_prefix("Inst ")?.split_once(" (")?;
            Some(format!("{name}={}", rest.split([' ', ')']).next()?))
        })
        .collect();
    packages.sort();
    packages
}

fn name(package: &str) -> &str {
    package.split('=').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{installed, name};

    #[test]
    fn packages_are_taken_from_the_simulation() {
        let simulation = "Reading package lists...\n\
                          Inst runc (1.1.5+ds1-1 Debian:12.15/oldstable, security:12 [amd64])\n\
                          Inst libc6 (2:2.36-9 Debian:12.15/oldstable [amd64]) []\n\
                          Conf runc (1.1.5+ds1-1 Debian:12.15/oldstable [amd64])\n";
        let packages = installed(simulation);
        assert_eq!(packages, ["libc6=2:2.36-9", "runc=1.1.5+ds1-1"]);
        assert_eq!(name(&packages[1]), "runc");
    }

    #[test]
    fn error_of_apt_is_no_package() {
        assert!(installed("E: Unable to locate package runc\n").is_empty());
    }
}
