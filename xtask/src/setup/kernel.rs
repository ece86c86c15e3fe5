//! The kernels that virtual machines boot: Debian packages, unpacked under target/kernels.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::headers;
use super::suite::Suite;
use crate::{Usage, paths, step};

/// A line of kernels, of which the newest one is taken.
pub struct Series {
    /// What `--kernel` calls it: how its versions begin.
    pub name: &'static str,
    /// The suite that has it.
    suite: &'static str,
    /// What its image packages are called, with `*` for the rest of the version.
    image: &'static str,
}

/// All kernels that can be booted.
pub const SERIES: &[Series] = &[
    Series { name: "5.10", suite: "bullseye", image: "linux-image-5.10.0-*-cloud-amd64" },
    Series { name: "6.1", suite: "bookworm", image: "linux-image-6.1.0-*-cloud-amd64" },
    Series { name: "6.12", suite: "bookworm", image: "linux-image-6.12.*+deb12-cloud-amd64" },
    // Once that suite has moved on, its next kernel serves as well as any.
    Series { name: "7.2", suite: "sid", image: "linux-binary-7.*+deb14-cloud-amd64" },
];

/// The series that serves where one does.
pub const DEFAULT: &str = "6.12";

/// A kernel that lies there unpacked.
pub struct Kernel {
    /// What `--kernel` calls it.
    pub series: &'static str,
    /// What `uname -r` says.
    pub release: String,
    /// The image to boot.
    pub image: PathBuf,
    /// The directory to build modules in.
    pub headers: PathBuf,
    /// The directory of its own modules.
    pub modules: PathBuf,
}

/// The series of that name.
pub fn series(name: &str) -> Result<&'static Series> {
    SERIES.iter().find(|series| series.name == name).ok_or_else(|| {
        let names: Vec<&str> = SERIES.iter().map(|series| series.name).collect();
        Usage::new(format!("there is no kernel {name}; there is {}", names.join(", "))).into()
    })
}

/// The unpacked kernel of a series.
pub fn unpacked(series: &'static Series) -> Result<Kernel> {
    find(series)?
        .with_context(|| format!("kernel {} isn't there: run `cargo xtask setup`", series.name))
}

/// Downloads and unpacks the newest kernel of a series, unless one is there.
pub fn fetch(series: &'static Series) -> Result<()> {
    if find(series)?.is_some() {
        return Ok(());
    }
    let suite = Suite::open(series.suite)?;
    let directory = directory(series);
    let partial = directory.with_extension("partial");
    if let Err(error) = fetch_to(&partial, series, &suite) {
        eprintln!("    {error:#}; perhaps the package lists are old");
        suite.update()?;
        fetch_to(&partial, series, &suite)?;
    }
    fs::rename(&partial, &directory)
        .with_context(|| format!("can't put kernel {} at {}", series.name, directory.display()))
}

fn fetch_to(directory: &Path, series: &Series, suite: &Suite) -> Result<()> {
    let release = newest(series, suite)?.with_context(|| {
        format!(
            "suite {} has no package {} with headers: see that apt's sources on this machine name \
             Debian 12's updates and security suites, and run `cargo xtask setup` again",
            suite.name(),
            series.image
        )
    })?;
    if !belongs(&release, series.name) {
        eprintln!("    suite {} has no {} any more: taking {release}", suite.name(), series.name);
    }
    // What an interrupted run left.
    let _ = fs::remove_dir_all(directory);
    fs::create_dir_all(directory)
        .with_context(|| format!("can't create {}", directory.display()))?;
    suite.download(&packages(&release, series, suite)?, directory)?;
    unpack_all(directory)?;
    headers::make_usable(directory, &release, suite)
}

fn directory(series: &Series) -> PathBuf {
    paths::target().join("kernels").join(series.name)
}

fn find(series: &'static Series) -> Result<Option<Kernel>> {
    let directory = directory(series);
    let sources = directory.join("usr/src");
    let Ok(entries) = fs::read_dir(&sources) else {
        return Ok(None);
    };
    for entry in entries {
        let headers = entry.with_context(|| format!("can't list {}", sources.display()))?.path();
        let name = headers.file_name().unwrap_or_default().to_string_lossy();
        let Some(release) = name.strip_prefix("linux-headers-") else { continue };
        // Beside the modules since 7.1, in /boot before.
        let image = [
            directory.join(format!("boot/vmlinuz-{release}")),
            directory.join(format!("usr/lib/modules/{release}/vmlinuz")),
        ]
        .into_iter()
        .find(|image| image.is_file());
        // The same holds for modules.
        let modules = ["lib/modules", "usr/lib/modules"]
            .map(|modules| directory.join(modules).join(release))
            .into_iter()
            .find(|modules| modules.is_dir());
        if let Some((image, modules)) = image.zip(modules) {
            let release = release.to_owned();
            return Ok(Some(Kernel { series: series.name, release, image, headers, modules }));
        }
    }
    Ok(None)
}

/// The release of the newest image for which there are headers; of those, one that begins with the
/// series' name if there is one.
fn newest(series: &Series, suite: &Suite) -> Result<Option<String>> {
    let prefix = series.image.split('*').next().unwrap_or_default();
    let releases = suite.names(prefix)?;
    let headers = suite.names("linux-headers-")?;
    let mut releases: Vec<(bool, Vec<u64>, &str)> = releases
        .iter()
        .filter_map(|package| release(package, series.image))
        .filter(|release| headers.contains(&format!("linux-headers-{release}")))
        .map(|release| (belongs(release, series.name), numbers(release), release))
        .collect();
    releases.sort();
    Ok(releases.pop().map(|(_, _, release)| release.to_owned()))
}

/// The release in the name of an image package, if it fits the pattern and `*` stands for numbers:
/// `linux-image-5.10.0-46-cloud-amd64` is release `5.10.0-46-cloud-amd64`.
fn release<'a>(package: &'a str, pattern: &str) -> Option<&'a str> {
    let (before, after) = pattern.split_once('*')?;
    let version = package.strip_prefix(before)?.strip_suffix(after)?;
    let plain = !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let release = package.splitn(3, '-').nth(2)?;
    plain.then_some(release)
}

/// The numbers that a release begins with; those of its packaging come last: `5.10.0-46` has four.
fn numbers(release: &str) -> Vec<u64> {
    release.split(['.', '-', '+']).map_while(|number| number.parse().ok()).collect()
}

fn belongs(release: &str, series: &str) -> bool {
    numbers(release).starts_with(&numbers(series))
}

/// An image and all that it takes to build modules for it.
fn packages(release: &str, series: &Series, suite: &Suite) -> Result<Vec<String>> {
    let kind = if series.image.starts_with("linux-binary-") { "binary" } else { "image" };
    let headers = format!("linux-headers-{release}");
    let mut packages = vec![format!("linux-{kind}-{release}"), headers.clone()];
    packages.extend(suite.depends(&headers)?.into_iter().filter(|name| {
        name.starts_with("linux-kbuild-")
            || (name.starts_with("linux-headers-") && name.ends_with("-common"))
    }));
    if packages.len() != 4 {
        bail!(
            "{headers} should need a common and a kbuild package, and needs {}",
            packages[2..].join(", ")
        );
    }
    Ok(packages)
}

/// Unpacks all packages in a directory there, and removes them.
pub(super) fn unpack_all(directory: &Path) -> Result<()> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("can't list {}", directory.display()))?;
    for entry in entries {
        let package = entry.with_context(|| format!("can't list {}", directory.display()))?.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            let name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
            step::run(
                &format!("unpack {name}"),
                Command::new("dpkg-deb").arg("--extract").arg(&package).arg(directory),
            )?;
            fs::remove_file(&package)
                .with_context(|| format!("can't remove {}", package.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{belongs, numbers, release};

    #[test]
    fn image_packages_have_a_release_and_others_none() {
        let pattern = "linux-image-5.10.0-*-cloud-amd64";
        let find = |package| release(package, pattern);
        assert_eq!(find("linux-image-5.10.0-46-cloud-amd64"), Some("5.10.0-46-cloud-amd64"));
        assert_eq!(find("linux-image-5.10.0-46-cloud-amd64-unsigned"), None);
        assert_eq!(find("linux-image-5.10.0-0.deb11.46-cloud-amd64"), None);
        assert_eq!(find("linux-image-5.10.0--cloud-amd64"), None);
        let binary = "linux-binary-7.2.13+deb14-cloud-amd64";
        let pattern = "linux-binary-7.*+deb14-cloud-amd64";
        assert_eq!(release(binary, pattern), Some("7.2.13+deb14-cloud-amd64"));
        assert_eq!(release("linux-binary-unsigned-7.2.13+deb14-cloud-amd64", pattern), None);
    }

    #[test]
    fn releases_are_ordered_by_number() {
        assert!(numbers("5.10.0-9-cloud-amd64") < numbers("5.10.0-46-cloud-amd64"));
        assert!(numbers("7.2.9+deb14-cloud-amd64") < numbers("7.2.13+deb14-cloud-amd64"));
        assert!(belongs("7.2.13+deb14-cloud-amd64", "7.2"));
        assert!(!belongs("7.20.1+deb14-cloud-amd64", "7.2"));
    }
}
