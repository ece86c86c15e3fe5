//! containerd, as a kubelet uses it: each start is that of a pod's sandbox.

use std::collections::HashMap;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use fragwatch_cri::messages::{LinuxPodSandboxConfig, PodSandboxConfig, PodSandboxMetadata};

use super::cri;
use super::daemon::Daemon;
use super::pod::{NAMESPACE, Pod};
use super::{ARCHIVE, Runtime, Start, command, configure};

/// Where it listens.
pub(super) const SOCKET: &str = "/run/containerd/containerd.sock";
const DAEMON: Daemon =
    Daemon { name: "containerd", command: &["/usr/bin/containerd"], socket: SOCKET };
const DEADLINE: Duration = Duration::from_mins(2);
/// The image is the one on the disk; podman's networks are in another directory.
const CONFIGURATION: &str = r#"
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/busybox:1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/pods"
"#;
const NETWORK: &str = r#"{
  "cniVersion": "0.3.1",
  "name": "pods",
  "plugins": [{"type": "ptp", "ipam": {"type": "host-local", "subnet": "10.200.0.0/16"}}]
}"#;

/// containerd with its CRI plug-in.
pub(crate) struct Containerd;

impl Runtime for Containerd {
    fn name(&self) -> &'static str {
        "containerd"
    }

    fn prepare(&self) -> Result<()> {
        configure("/etc/containerd/config.toml", CONFIGURATION)?;
        configure("/etc/cni/pods/10-pods.conflist", NETWORK)?;
        DAEMON.start()?;
        let import = ["--namespace", "k8s.io", "images", "import", ARCHIVE];
        command::must(Command::new("/usr/bin/ctr").args(import))?;
        // It listens before its plug-in takes requests.
        let started = Instant::now();
        while let Err(error) = cri::status(SOCKET)? {
            if started.elapsed() > DEADLINE {
                bail!("containerd's CRI isn't ready after {} s: {error}", DEADLINE.as_secs());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn start(&self, number: u64) -> Result<Start> {
        let pod = Pod::make("containerd", number)?;
        Ok(match cri::run_pod_sandbox(SOCKET, sandbox(&pod))? {
            Ok(id) => {
                Start { running: true, identity: pod.identity(Some(id)), output: String::new() }
            }
            Err(output) => {
                Start { running: false, identity: pod.identity(sandbox_id(&output)), output }
            }
        })
    }
}

/// The sandbox of a pod, as a kubelet asks for it.
pub(super) fn sandbox(pod: &Pod) -> PodSandboxConfig {
    PodSandboxConfig {
        metadata: Some(PodSandboxMetadata {
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            namespace: NAMESPACE.to_owned(),
        }),
        hostname: pod.name.clone(),
        log_directory: pod.logs(),
        labels: labels(pod),
        linux: Some(LinuxPodSandboxConfig { cgroup_parent: pod.cgroup() }),
    }
}

/// As a kubelet labels each sandbox.
fn labels(pod: &Pod) -> HashMap<String, String> {
    [
        ("io.kubernetes.pod.name", pod.name.as_str()),
        ("io.kubernetes.pod.namespace", NAMESPACE),
        ("io.kubernetes.pod.uid", pod.uid.as_str()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// The id that a sandbox would have had, in `… network namespace for sandbox "ID": …`.
fn sandbox_id(error: &str) -> Option<String> {
    let (_, rest) = error.split_once("sandbox \"")?;
    let (id, _) = rest.split_once('"')?;
    let is_id = id.len() == 64 && id.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_id.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::sandbox_id;

    #[test]
    fn id_of_a_failed_sandbox_is_taken_from_the_error() {
        let id = "84eb4454a792922a134f7096918175ce07dc930b302278a812c015a97019e937";
        let error = format!("failed to create network namespace for sandbox \"{id}\": no memory");
        assert_eq!(sandbox_id(&error).as_deref(), Some(id));
        assert_eq!(sandbox_id("failed to create sandbox \"web\": no memory"), None);
        assert_eq!(sandbox_id("no memory"), None);
    }
}
