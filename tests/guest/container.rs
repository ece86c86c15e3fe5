//! Containers: an OCI bundle with busybox in it, started by runc as a kubelet's runtime would.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::json;

use crate::channel::Channel;

/// The directory of the bundle.
pub(crate) const BUNDLE: &str = "/run/bundle";
/// What a container runs that is to stay.
pub(crate) const SLEEP: [&str; 3] = ["/bin/busybox", "sleep", "1000000"];
const OUTPUT: &str = "/run/runc.out";
/// Every container of a scenario belongs to this pod.
const POD_UID: &str = "7c0f5a52-3d0f-4b8e-9a41-6a1f6f0f2b11";

/// The outcome of a start.
pub(crate) struct Start {
    /// Whether the container runs now.
    pub(crate) running: bool,
    /// What runc printed.
    pub(crate) output: String,
    /// Path of its cgroup.
    pub(crate) cgroup: String,
}

/// Puts the bundle together that all containers share.
pub(crate) fn prepare() -> Result<()> {
    let bin = format!("{BUNDLE}/rootfs/bin");
    fs::create_dir_all(&bin).with_context(|| format!("can't create {bin}"))?;
    for directory in ["proc", "dev"] {
        let path = format!("{BUNDLE}/rootfs/{directory}");
        fs::create_dir_all(&path).with_context(|| format!("can't create {path}"))?;
    }
    let busybox = format!("{bin}/busybox");
    fs::copy("/bin/busybox", &busybox)
        .with_context(|| format!("can't copy busybox to {busybox}"))?;
    name_pod("default", "web-0", POD_UID)?;
    fs::set_permissions(&busybox, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("can't make {busybox} executable"))
}

/// Makes the directory for a pod's logs, as a kubelet does before it starts the pod. Its name identifies
/// the pod.
pub(crate) fn name_pod(namespace: &str, pod: &str, uid: &str) -> Result<()> {
    let logs = format!("/var/log/pods/{namespace}_{pod}_{uid}");
    fs::create_dir_all(&logs).with_context(|| format!("can't create {logs}"))
}

/// Starts container number `number`, which then sleeps, and sends the outcome to the host.
pub(crate) fn start(channel: &Channel, number: u64) -> Result<Start> {
    let id = container_id(number);
    configure(&cgroup(&id), &SLEEP)?;
    channel.node(format!("container {number} {id} starting"));
    let started = Instant::now();
    // A file, not a pipe: the container inherits it and would keep a pipe open.
    let output = File::create(OUTPUT).with_context(|| format!("can't create {OUTPUT}"))?;
    let errors = output.try_clone().context("can't share runc's output")?;
    let status = Command::new("/sbin/runc")
        .args(["run", "--detach", "--no-pivot", "--bundle", BUNDLE, &id])
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .status()
        .context("can't run /sbin/runc")?;
    let took = started.elapsed().as_millis();
    let output = String::from_utf8_lossy(&fs::read(OUTPUT).unwrap_or_default()).into_owned();
    output.lines().for_each(|line| channel.send("runc", line));
    if status.success() {
        channel.node(format!("container {number} {id} started in {took} ms"));
    } else {
        channel.node(format!("container {number} {id} failed after {took} ms: runc, {status}"));
    }
    Ok(Start { running: status.success(), output, cgroup: cgroup(&id) })
}

/// An id of 64 hex digits, as container runtimes make them, and the same in every run.
pub(crate) fn container_id(number: u64) -> String {
    let part = |part| scramble(number * 4 + part);
    format!("{:016x}{:016x}{:016x}{:016x}", part(0), part(1), part(2), part(3))
}

/// The splitmix64 step: neighbouring numbers give unrelated ones.
fn scramble(number: u64) -> u64 {
    let mut bits = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn cgroup(id: &str) -> String {
    format!("/kubepods/burstable/pod{POD_UID}/{id}")
}

/// Has the bundle's next container run that program in that cgroup.
pub(crate) fn configure(cgroup: &str, args: &[&str]) -> Result<()> {
    let config = json!({
        "ociVersion": "1.0.2",
        "hostname": "container",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": args,
            "env": ["PATH=/bin"],
            "cwd": "/",
        },
        "root": {"path": "rootfs", "readonly": true},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
        ],
        "linux": {
            "cgroupsPath": cgroup,
            "namespaces": [
                {"type": "pid"}, {"type": "network"}, {"type": "ipc"},
                {"type": "uts"}, {"type": "mount"}, {"type": "cgroup"},
            ],
        },
    });
    fs::write(format!("{BUNDLE}/config.json"), config.to_string())
        .context("can't write config.json")
}

#[cfg(test)]
mod tests {
    use super::container_id;

    #[test]
    fn ids_have_64_hex_digits_and_differ() {
        let (first, second) = (container_id(1), container_id(2));
        assert_ne!(first, second);
        for id in [first, second] {
            assert_eq!(id.len(), 64);
            assert!(id.chars().all(|digit| digit.is_ascii_hexdigit()), "{id}");
        }
    }
}
