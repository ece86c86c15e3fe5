//! The root: what came with the kernel, until the disk takes its place.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::mount::{MsFlags, mount};
use nix::unistd::chroot;

use crate::node;

const DISK: &str = "/dev/nvme0n1";
/// The kernel looks for disks while it already runs this.
const DEADLINE: Duration = Duration::from_secs(20);
const TARGET: &str = "/disk";
/// What the disk doesn't have.
const OURS: [&str; 2] = ["/job.json", "/bin/fragwatch"];

/// Makes the disk the root of all processes, the kernel's own included: their modprobe is there.
/// Process 1 shares it with them, so this must be called before any other process is started.
pub(crate) fn change() -> Result<()> {
    bring_in(&OURS)?;
    // As on a node with systemd: runtimes expect it.
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_SHARED | MsFlags::MS_REC, None::<&str>)
        .context("can't share the mounts of the new root")
}

/// Makes the disk the root, with these files of the old one and the modules.
pub(crate) fn bring_in(files: &[&str]) -> Result<()> {
    let started = Instant::now();
    while !Path::new(DISK).exists() {
        if started.elapsed() > DEADLINE {
            bail!("there is no disk {DISK} after {} s", DEADLINE.as_secs());
        }
        thread::sleep(Duration::from_millis(20));
    }
    fs::create_dir_all(TARGET).with_context(|| format!("can't create {TARGET}"))?;
    mount(Some(DISK), TARGET, Some("ext4"), MsFlags::empty(), None::<&str>)
        .with_context(|| format!("can't mount {DISK}"))?;
    let modules = fs::read_dir("/").context("can't list /")?.flatten().map(|entry| entry.path());
    let modules = modules.filter(|path| path.extension().is_some_and(|end| end == "ko"));
    for path in files.iter().map(|path| Path::new(path).to_owned()).chain(modules) {
        let copy = format!("{TARGET}{}", path.display());
        fs::copy(&path, &copy)
            .with_context(|| format!("can't copy {} to {copy}", path.display()))?;
    }
    for directory in node::top_mounts() {
        move_mount(directory, &format!("{TARGET}{directory}"))?;
    }
    std::env::set_current_dir(TARGET).with_context(|| format!("can't go to {TARGET}"))?;
    move_mount(".", "/")?;
    chroot(".").with_context(|| format!("can't make {TARGET} the root"))?;
    std::env::set_current_dir("/").context("can't go to the new root")
}

fn move_mount(from: &str, to: &str) -> Result<()> {
    mount(Some(from), to, None::<&str>, MsFlags::MS_MOVE, None::<&str>)
        .with_context(|| format!("can't move the mount at {from} to {to}"))
}
