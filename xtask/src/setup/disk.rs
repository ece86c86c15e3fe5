//! The disks of nodes: a small Debian, and one with container runtimes, that is Debian's, unpacked with all that they need and the
//! kernel's modules, in one ext4 image per kernel under target/disks.

mod debian;
mod ext4;
mod image;
mod packages;
mod tree;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use harness::disk::Disk;
use harness::kernel::{self, Series};
use harness::step;

use super::apt;

/// A change of how the disk is made must increase this, so that it is made again.
const RECIPE: u32 = 1;
/// There is room for what runtimes write.
const SIZE: &str = "2G";
/// The packages on the disk; their dependencies come too.
const RUNTIMES: [&str; 10] = [
    "runc",
    "crun",
    "podman",
    "containerd",
    "docker.io",
    // What podman and containerd set up a container's network with.
    "containernetworking-plugins",
    "iptables",
    "conmon",
    // The kernel calls its modprobe.
    "kmod",
    "busybox-static",
];
/// What making it needs on this machine: `mke2fs`, and `depmod`.
const TOOLS: [&str; 2] = ["e2fsprogs", "kmod"];

/// Makes a disk that is missing.
pub fn make(disk: Disk, series: &'static Series) -> Result<()> {
    match disk {
        Disk::Runtimes => make_runtimes(series),
        Disk::Debian => debian::make(),
    }
}

/// Makes the disk that goes with a kernel, unless it is there with all packages at their newest
/// version that this machine's package lists know of.
fn make_runtimes(series: &'static Series) -> Result<()> {
    apt::install(&TOOLS)?;
    if let Err(error) = make_once(series) {
        eprintln!("    {error:#}; perhaps the package lists are old");
        apt::update()?;
        make_once(series)?;
    }
    Ok(())
}

fn make_once(series: &'static Series) -> Result<()> {
    let kernel = kernel::unpacked(series)?;
    let packages = packages::with_dependencies(&RUNTIMES)?;
    let contents = format!("recipe {RECIPE}\nkernel {}\n{}\n", kernel.release, packages.join("\n"));
    let disk = Disk::Runtimes.path(series);
    let key = disk.with_extension("contents");
    if disk.is_file() && fs::read_to_string(&key).is_ok_and(|old| old == contents) {
        return Ok(());
    }
    let partial = disk.with_extension("partial");
    // Remains of an interrupted run, and an outdated disk.
    let _ = fs::remove_dir_all(&partial);
    let _ = fs::remove_file(&key);
    let (debs, root) = (partial.join("packages"), partial.join("root"));
    for directory in [&debs, &root] {
        fs::create_dir_all(directory)
            .with_context(|| format!("can't create {}", directory.display()))?;
    }
    step::run(
        &format!("download {} packages for the runtimes' disk", packages.len()),
        // The user that apt would download as can't write here.
        apt::get()
            .args(["-o", "APT::Sandbox::User=root", "download"])
            .args(&packages)
            .current_dir(&debs),
    )?;
    tree::unpack(&debs, &root)?;
    tree::add_modules(&root, &kernel)?;
    tree::add_what_nodes_have(&root)?;
    image::write(&root)?;
    let made = partial.join("disk.ext4");
    ext4::write(&root, &made, SIZE)?;
    fs::rename(&made, &disk).with_context(|| format!("can't put a disk at {}", disk.display()))?;
    fs::remove_dir_all(&partial).with_context(|| format!("can't remove {}", partial.display()))?;
    // Last: without it the disk is made again.
    fs::write(&key, contents).with_context(|| format!("can't write {}", key.display()))
}

/// Writes a file and creates its directory.
fn write(root: &Path, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
    let path = root.join(name);
    let cannot = || format!("can't write {}", path.display());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(cannot)?;
    }
    fs::write(&path, content).with_context(cannot)
}
