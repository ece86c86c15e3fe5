//! The kernels that virtual machines boot: Debian packages, which `cargo xtask setup` unpacks under
//! target/kernels.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{Usage, paths};

/// A line of kernels, of which setup takes the newest one.
pub struct Series {
    /// What `--kernel` calls it: how its versions begin.
    pub name: &'static str,
    /// The Debian suite that has it.
    pub suite: &'static str,
    /// What its image packages are called, with `*` for the rest of the version.
    pub image: &'static str,
}

/// All kernels that can be booted, oldest first. Commands and tests loop over this list.
pub const SERIES: &[Series] = &[
    Series { name: "5.10", suite: "bullseye", image: "linux-image-5.10.0-*-cloud-amd64" },
    Series { name: "6.1", suite: "bookworm", image: "linux-image-6.1.0-*-cloud-amd64" },
    Series { name: "6.12", suite: "bookworm", image: "linux-image-6.12.*+deb12-cloud-amd64" },
    // Once that suite has moved on, its next kernel serves as well as any.
    Series { name: "7.2", suite: "sid", image: "linux-binary-7.*+deb14-cloud-amd64" },
];

/// The series for what runs on one kernel only.
pub const DEFAULT: &str = "6.12";

impl Series {
    /// Whether it is older than this version.
    #[must_use]
    pub fn is_before(&self, major: u64, minor: u64) -> bool {
        numbers(self.name) < vec![major, minor]
    }

    /// Where its packages are unpacked.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        paths::target().join("kernels").join(self.name)
    }
}

/// An unpacked kernel.
pub struct Kernel {
    /// The series' name.
    pub series: &'static str,
    /// What `uname -r` prints.
    pub release: String,
    /// The image to boot.
    pub image: PathBuf,
    /// The directory to build modules in.
    pub headers: PathBuf,
    /// The directory of its own modules.
    pub modules: PathBuf,
}

/// The series of that name; [`Usage`] if there is none.
pub fn series(name: &str) -> Result<&'static Series> {
    SERIES.iter().find(|series| series.name == name).ok_or_else(|| {
        let names: Vec<&str> = SERIES.iter().map(|series| series.name).collect();
        Usage::new(format!("there is no kernel {name}; there is {}", names.join(", "))).into()
    })
}

/// The series of these names; all if there are no names.
pub fn several(names: &[String]) -> Result<Vec<&'static Series>> {
    if names.is_empty() {
        return Ok(SERIES.iter().collect());
    }
    names.iter().map(|name| series(name)).collect()
}

/// The unpacked kernel of a series; fails if setup has not unpacked it.
pub fn unpacked(series: &'static Series) -> Result<Kernel> {
    find(series)?
        .with_context(|| format!("kernel {} isn't there: run `cargo xtask setup`", series.name))
}

/// The unpacked kernel of a series; `None` if it is not there, or not complete.
pub fn find(series: &'static Series) -> Result<Option<Kernel>> {
    let directory = series.directory();
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

/// The numbers that a release begins with; those of its packaging come last: `5.10.0-46` has four.
#[must_use]
pub fn numbers(release: &str) -> Vec<u64> {
    release.split(['.', '-', '+']).map_while(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::{SERIES, numbers, series};

    #[test]
    fn releases_are_ordered_by_number() {
        assert!(numbers("5.10.0-9-cloud-amd64") < numbers("5.10.0-46-cloud-amd64"));
        assert!(numbers("7.2.9+deb14-cloud-amd64") < numbers("7.2.13+deb14-cloud-amd64"));
        assert!(SERIES.is_sorted_by_key(|series| numbers(series.name)));
    }

    #[test]
    fn series_are_compared_by_number() {
        let series = series("6.1").expect("it is in the list");
        assert!(series.is_before(6, 12) && !series.is_before(6, 1) && !series.is_before(5, 10));
    }
}
