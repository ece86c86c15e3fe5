//! The disks of nodes, which `cargo xtask setup` makes.

use std::path::PathBuf;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::kernel::Series;
use crate::paths;

/// The container image that all runtimes start: busybox, which sleeps. Its registry doesn't exist.
pub const IMAGE: &str = "localhost/busybox:1";
/// Where the image's archive is on the disk of the runtimes.
pub const IMAGE_ARCHIVE: &str = "/images/busybox.tar";

/// A node's root file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Disk {
    /// Container runtimes and the kernel's modules; the guest stays process 1.
    Runtimes,
    /// A small Debian on which systemd is process 1.
    Debian,
}

impl Disk {
    /// Where the disk for a kernel is or will be.
    #[must_use]
    pub fn path(self, series: &Series) -> PathBuf {
        // A dot would begin the extension.
        let series = series.name.replace('.', "-");
        let name = match self {
            Self::Runtimes => format!("runtimes-{series}.ext4"),
            // It holds nothing of the kernel.
            Self::Debian => "debian.ext4".to_owned(),
        };
        paths::target().join("disks").join(name)
    }

    /// The disk for a kernel; fails if setup has not made it.
    pub fn made(self, series: &Series) -> Result<PathBuf> {
        let disk = self.path(series);
        if !disk.is_file() {
            bail!("{} isn't there: run `cargo xtask setup`", disk.display());
        }
        Ok(disk)
    }
}
