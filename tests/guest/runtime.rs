//! Debian's container runtimes, each started as its users do.

mod command;
mod containerd;
mod cri;
mod daemon;
mod daemonset;
mod docker;
mod oci;
mod pod;
mod podman;

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use harness::disk::{IMAGE, IMAGE_ARCHIVE as ARCHIVE};
use harness::judge::runtimes::Identity;
use nix::mount::{MsFlags, mount};

/// Where runtimes look for programs.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
const SHARED_MEMORY: &str = "/dev/shm";

/// The outcome of a start.
pub(crate) struct Start {
    /// Whether the container runs now.
    pub(crate) running: bool,
    /// Its container.
    pub(crate) identity: Identity,
    /// What the runtime printed.
    pub(crate) output: String,
}

/// A container runtime.
pub(crate) trait Runtime {
    /// Its name, as reports have it.
    fn name(&self) -> &'static str;

    /// Has it ready to start containers.
    fn prepare(&self) -> Result<()>;

    /// Starts one; no other one has that number.
    fn start(&self, number: u64) -> Result<Start>;
}

/// All of them. Docker uses the containerd that was prepared before it, as Debian's does.
pub(crate) fn all() -> [Box<dyn Runtime>; 5] {
    [
        Box::new(oci::Oci::RUNC),
        Box::new(oci::Oci::CRUN),
        Box::new(podman::Podman),
        Box::new(Containerd),
        Box::new(docker::Docker),
    ]
}

pub(crate) use containerd::Containerd;
pub(crate) use daemonset::{DaemonSet, log as daemonset_log, start as start_daemonset};

/// What they need of the node beside the disk's files.
pub(crate) fn prepare_node() -> Result<()> {
    // containerd listens there too.
    let up = Command::new("/bin/busybox").args(["ip", "link", "set", "lo", "up"]).status();
    if !up.context("can't run busybox")?.success() {
        bail!("the loopback device can't be brought up");
    }
    // podman has locks there.
    fs::create_dir_all(SHARED_MEMORY).with_context(|| format!("can't create {SHARED_MEMORY}"))?;
    mount(Some("tmpfs"), SHARED_MEMORY, Some("tmpfs"), MsFlags::empty(), None::<&str>)
        .with_context(|| format!("can't mount tmpfs on {SHARED_MEMORY}"))?;
    crate::container::prepare()
}

/// Writes a file of a runtime's configuration, and creates its directory.
fn configure(path: &str, content: &str) -> Result<()> {
    let parent = path.rsplit_once('/').map_or("/", |(parent, _)| parent);
    fs::create_dir_all(parent).with_context(|| format!("can't create {parent}"))?;
    fs::write(path, content).with_context(|| format!("can't write {path}"))
}

#[cfg(test)]
mod tests {
    use super::all;
    use harness::judge::runtimes::RUNTIMES;

    #[test]
    fn guest_has_all_runtimes() {
        assert_eq!(all().map(|runtime| runtime.name()), RUNTIMES);
    }
}
