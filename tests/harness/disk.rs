//! The disk of a node with container runtimes, which `cargo xtask setup` makes.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::kernel::Series;
use crate::paths;

/// The container image that all runtimes start: busybox, which sleeps. Its registry doesn't exist.
pub const IMAGE: &str = "localhost/busybox:1";
/// Where the image's archive is on the disk.
pub const IMAGE_ARCHIVE: &str = "/images/busybox.tar";

/// Where the disk for a kernel is or will be.
#[must_use]
pub fn path(series: &Series) -> PathBuf {
    // A dot would begin the extension.
    let series = series.name.replace('.', "-");
    paths::target().join("disks").join(format!("runtimes-{series}.ext4"))
}

/// The disk for a kernel; fails if setup has not made it.
pub fn made(series: &Series) -> Result<PathBuf> {
    let disk = path(series);
    if !disk.is_file() {
        bail!("{} isn't there: run `cargo xtask setup`", disk.display());
    }
    Ok(disk)
}
