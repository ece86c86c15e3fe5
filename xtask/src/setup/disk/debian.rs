//! A small Debian with systemd, configured as its own installer would.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use harness::disk::Disk;
use harness::kernel::{DEFAULT, series};
use harness::step;

use super::ext4;
use crate::setup::apt;
use crate::setup::suite::{OWN, Suite};

/// A change of how the disk is made must increase this, so that it is made again.
const RECIPE: u32 = 1;
const SIZE: &str = "1G";
const TOOLS: [&str; 2] = ["e2fsprogs", "mmdebstrap"];
/// Beside the essential packages.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,init-system-helpers";

/// Makes the disk unless it is there.
pub(super) fn make() -> Result<()> {
    apt::install(&TOOLS)?;
    let disk = Disk::Debian.path(series(DEFAULT)?);
    let key = disk.with_extension("contents");
    let contents = format!("recipe {RECIPE}\n{PACKAGES}\n");
    if disk.is_file() && fs::read_to_string(&key).is_ok_and(|old| old == contents) {
        return Ok(());
    }
    let partial = disk.with_extension("partial");
    // Remains of an interrupted run.
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial).with_context(|| format!("can't create {}", partial.display()))?;
    let root = partial.join("root");
    step::run(
        "install a small Debian into a directory",
        Command::new("mmdebstrap")
            .args(["--quiet", "--mode=root", "--variant=minbase", "--include", PACKAGES, OWN])
            .arg(&root)
            .args(Suite::own_sources()?.lines()),
    )?;
    let made = partial.join("disk.ext4");
    ext4::write(&root, &made, SIZE)?;
    fs::rename(&made, &disk).with_context(|| format!("can't put a disk at {}", disk.display()))?;
    fs::remove_dir_all(&partial).with_context(|| format!("can't remove {}", partial.display()))?;
    // Last: without it the disk is made again.
    fs::write(&key, contents).with_context(|| format!("can't write {}", key.display()))
}
