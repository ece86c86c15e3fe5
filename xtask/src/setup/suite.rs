//! Debian's suites: this machine's own, and others that come from the same mirrors.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use harness::{paths, step};

use super::apt;

/// The suite of the machine itself, whose packages its own sources have.
pub const OWN: &str = "bookworm";
/// It has neither updates nor security fixes beside it: they go straight in.
const UNSTABLE: &str = "sid";

/// Where packages come from.
pub struct Suite {
    name: &'static str,
    /// apt's options; none for the machine's own sources.
    options: Vec<String>,
}

/// The mirrors that the machine's own sources name.
struct Mirrors {
    main: String,
    /// Security fixes have a mirror of their own. Not every machine has them.
    security: Option<String>,
}

impl Suite {
    /// A suite, with its package lists at hand. Those of other suites than the machine's own are under
    /// target/apt, so that nothing here gets installed from them.
    pub fn open(name: &'static str) -> Result<Self> {
        if name == OWN {
            return Ok(Self { name, options: Vec::new() });
        }
        let directory = paths::target().join("apt").join(name);
        let suite = Self { name, options: options(&directory) };
        let lists = directory.join("lists");
        let complete = directory.join("complete");
        if complete.is_file() {
            return Ok(suite);
        }
        fs::create_dir_all(lists.join("partial"))
            .with_context(|| format!("can't create {}", lists.display()))?;
        let sources = directory.join("sources.list");
        fs::write(&sources, mirrors()?.sources(name))
            .with_context(|| format!("can't write {}", sources.display()))?;
        suite.update()?;
        fs::write(&complete, "").with_context(|| format!("can't write {}", complete.display()))?;
        Ok(suite)
    }

    /// The lines of a sources list for the machine's own suite.
    pub fn own_sources() -> Result<String> {
        Ok(mirrors()?.sources(OWN))
    }

    /// What users call it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Fetches the package lists.
    pub fn update(&self) -> Result<()> {
        if self.options.is_empty() {
            return apt::update();
        }
        step::run(
            &format!("update the package lists of {}", self.name),
            apt::get().args(&self.options).arg("update"),
        )
    }

    /// Downloads packages into a directory without installing them.
    pub fn download(&self, packages: &[String], directory: &Path) -> Result<()> {
        step::run(
            &format!("download {}", packages.join(" ")),
            // The user that apt would download as can't write here.
            apt::get()
                .args(&self.options)
                .args(["-o", "APT::Sandbox::User=root", "download"])
                .args(packages)
                .current_dir(directory),
        )
    }

    /// All package names that start so.
    pub fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let text = self.cache(&["pkgnames", prefix])?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// The packages that one depends on.
    pub fn depends(&self, package: &str) -> Result<Vec<String>> {
        let text = self.cache(&["depends", "--important", package])?;
        let names = text
            .lines()
            .filter_map(|line| line.trim().trim_start_matches('|').strip_prefix("Depends: "));
        Ok(names.map(str::to_owned).collect())
    }

    fn cache(&self, args: &[&str]) -> Result<String> {
        step::output(
            "apt-cache",
            self.options.iter().map(String::as_str).chain(args.iter().copied()),
        )
    }
}

/// Has apt keep everything in a directory, and know of nothing that is installed.
fn options(directory: &Path) -> Vec<String> {
    let at = |name: &str| directory.join(name).display().to_string();
    [
        format!("Dir::Etc::sourcelist={}", at("sources.list")),
        "Dir::Etc::sourceparts=/dev/null".to_owned(),
        format!("Dir::State::Lists={}", at("lists")),
        "Dir::State::status=/dev/null".to_owned(),
        format!("Dir::Cache={}", directory.display()),
        // As for downloads.
        "APT::Sandbox::User=root".to_owned(),
        // Only names and dependencies are needed.
        "Acquire::Languages=none".to_owned(),
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
    ]
    .into_iter()
    .flat_map(|option| ["-o".to_owned(), option])
    .collect()
}

impl Mirrors {
    /// The lines of a sources list.
    fn sources(&self, suite: &str) -> String {
        let mut pockets = vec![(&self.main, "")];
        if suite != UNSTABLE {
            pockets.push((&self.main, "-updates"));
            pockets.extend(self.security.as_ref().map(|mirror| (mirror, "-security")));
        }
        let line =
            |(mirror, pocket): (&String, &str)| format!("deb {mirror} {suite}{pocket} main\n");
        pockets.into_iter().map(line).collect()
    }
}

fn mirrors() -> Result<Mirrors> {
    // apt lists only what it has fetched once.
    if targets()?.is_empty() {
        apt::update()?;
    }
    find_mirrors(&targets()?)
}

/// One line for each package list: address, suite as written in the sources, its code name.
fn targets() -> Result<String> {
    let mut apt = Command::new("apt-get");
    apt.args([
        "indextargets",
        "--format",
        "$(REPO_URI) $(RELEASE) $(CODENAME)",
        "Created-By: Packages",
    ]);
    let output = apt.output().context("can't run apt-get: is it installed?")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn find_mirrors(targets: &str) -> Result<Mirrors> {
    let find = |suite: &str| {
        targets.lines().find_map(|line| {
            let (address, names) = line.split_once(' ')?;
            names.split(' ').any(|name| name == suite).then(|| address.to_owned())
        })
    };
    let Some(main) = find(OWN) else {
        bail!(
            "apt's sources have no suite {OWN}, whose mirror would have the other kernels too: add \
             Debian 12's suites to them and run `cargo xtask setup` again"
        );
    };
    Ok(Mirrors { main, security: find(&format!("{OWN}-security")) })
}

#[cfg(test)]
mod tests {
    use super::find_mirrors;

    const TARGETS: &str = "https://packages.test/other/ nodistro \n\
                           http://mirror.test/debian/ stable bookworm\n\
                           http://mirror.test/debian/ bookworm-updates bookworm-updates\n\
                           http://mirror.test/security/ bookworm-security bookworm-security\n";

    #[test]
    fn other_suites_come_from_the_machines_own_mirrors() {
        let mirrors = find_mirrors(TARGETS).expect("there is a mirror");
        assert_eq!(
            mirrors.sources("bullseye"),
            "deb http://mirror.test/debian/ bullseye main\n\
             deb http://mirror.test/debian/ bullseye-updates main\n\
             deb http://mirror.test/security/ bullseye-security main\n"
        );
        assert_eq!(mirrors.sources("sid"), "deb http://mirror.test/debian/ sid main\n");
    }

    #[test]
    fn machine_without_security_mirror_has_none_for_other_suites() {
        let mirrors = find_mirrors("http://mirror.test/debian/ bookworm bookworm\n");
        let sources = mirrors.expect("there is a mirror").sources("bullseye");
        assert_eq!(sources.lines().count(), 2, "{sources}");
    }

    #[test]
    fn missing_suite_is_named_in_the_error() {
        let error = find_mirrors("http://mirror.test/debian/ trixie trixie\n").err();
        let error = error.expect("there is no mirror").to_string();
        assert!(error.contains("no suite bookworm"), "{error}");
    }
}
