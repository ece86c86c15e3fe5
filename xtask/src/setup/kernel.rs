//! Downloads the kernels that virtual machines boot, and unpacks them under target/kernels.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use harness::kernel::{self, Series, numbers};

use super::suite::Suite;
use super::{apt, headers};

/// Downloads and unpacks the newest kernel of a series, unless one is there.
pub fn fetch(series: &'static Series) -> Result<()> {
    if kernel::find(series)?.is_some() {
        return Ok(());
    }
    let suite = Suite::open(series.suite)?;
    let directory = series.directory();
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
    apt::unpack_all(directory)?;
    headers::make_usable(directory, &release, suite)
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

#[cfg(test)]
mod tests {
    use super::{belongs, release};

    #[test]
    fn release_is_taken_from_the_name_of_an_image_package() {
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
    fn release_belongs_to_its_series() {
        assert!(belongs("7.2.13+deb14-cloud-amd64", "7.2"));
        assert!(!belongs("7.20.1+deb14-cloud-amd64", "7.2"));
    }
}
