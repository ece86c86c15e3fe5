//! The kernels that virtual machines boot: Debian packages, unpacked under target/kernels.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::apt;
use crate::{Usage, paths, step};

/// A line of kernels, of which the newest one is taken.
pub struct Series {
    /// What `--kernel` calls it.
    pub name: &'static str,
    /// What its image packages are called, before the version's last part …
    prefix: &'static str,
    /// … and after it.
    suffix: &'static str,
}

/// All kernels that can be booted.
pub const SERIES: &[Series] =
    &[Series { name: "6.12", prefix: "linux-image-6.12.", suffix: "+deb12-cloud-amd64" }];

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
    let mut release = newest(series)?;
    if release.is_none() {
        apt::update()?;
        release = newest(series)?;
    }
    let release = release.with_context(|| {
        format!(
            "apt has no package {}*{} with headers: add Debian 12's updates and security suites to \
             its sources and run `cargo xtask setup` again",
            series.prefix, series.suffix
        )
    })?;
    let directory = paths::target().join("kernels").join(series.name);
    let partial = directory.with_extension("partial");
    // What an interrupted run left.
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial).with_context(|| format!("can't create {}", partial.display()))?;
    let packages = packages(&release)?;
    if apt::download(&packages, &partial).is_err() {
        // Old package lists name files that the mirror no longer has.
        apt::update()?;
        apt::download(&packages, &partial)?;
    }
    unpack(&partial)?;
    make_headers_relocatable(&partial, &release)?;
    fs::rename(&partial, &directory)
        .with_context(|| format!("can't put kernel {} at {}", series.name, directory.display()))
}

fn find(series: &'static Series) -> Result<Option<Kernel>> {
    let directory = paths::target().join("kernels").join(series.name);
    let Ok(entries) = fs::read_dir(directory.join("boot")) else {
        return Ok(None);
    };
    for entry in entries {
        let entry = entry.with_context(|| format!("can't list {}", directory.display()))?;
        if let Some(release) = entry.file_name().to_string_lossy().strip_prefix("vmlinuz-") {
            return Ok(Some(Kernel {
                series: series.name,
                release: release.to_owned(),
                image: entry.path(),
                headers: directory.join(format!("usr/src/linux-headers-{release}")),
            }));
        }
    }
    Ok(None)
}

/// The release of the newest image for which there are headers.
fn newest(series: &Series) -> Result<Option<String>> {
    let headers = apt::names(&series.prefix.replace("image", "headers"))?;
    let mut releases: Vec<(u64, String)> = apt::names(series.prefix)?
        .iter()
        .filter_map(|package| {
            let patch = package.strip_prefix(series.prefix)?.strip_suffix(series.suffix)?;
            Some((patch.parse().ok()?, package.strip_prefix("linux-image-")?.to_owned()))
        })
        .filter(|(_, release)| headers.contains(&format!("linux-headers-{release}")))
        .collect();
    releases.sort();
    Ok(releases.pop().map(|(_, release)| release))
}

fn packages(release: &str) -> Result<Vec<String>> {
    let headers = format!("linux-headers-{release}");
    let mut packages = vec![format!("linux-image-{release}"), headers.clone()];
    packages.extend(apt::depends(&headers)?.into_iter().filter(|name| {
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

fn unpack(directory: &Path) -> Result<()> {
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

/// The headers' Makefile includes the common one by its place in an installed system.
fn make_headers_relocatable(directory: &Path, release: &str) -> Result<()> {
    let path = directory.join(format!("usr/src/linux-headers-{release}/Makefile"));
    let text =
        fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
    let text = text.replace("include /usr/src/", "include $(dir $(lastword $(MAKEFILE_LIST)))../");
    fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))
}
