//! The pod of the DaemonSet in deploy/, started by containerd as a kubelet would: with its capabilities, mounts,
//! limits and seccomp profile. Its image is the one on the disk, and the program is mounted into it.

use anyhow::{Context, Result, bail};
use fragwatch_cri::messages::{
    Capability, ContainerConfig, ContainerMetadata, CreateContainerRequest, ImageSpec, Int64Value,
    LinuxContainerConfig, LinuxContainerResources, LinuxContainerSecurityContext, Mount,
    NamespaceOption, SecurityProfile,
};
use harness::disk::IMAGE;
use harness::job::FRAGWATCH;

use super::containerd::{SOCKET, sandbox};
use super::cri;
use super::pod::Pod;

const FILE: &str = include_str!("../../../deploy/kubernetes/daemonset.yaml");

/// Where the image of the DaemonSet has the program.
const PROGRAM: &str = "/fragwatch";

/// The part of the file that a runtime is given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DaemonSet {
    args: Vec<String>,
    add: Vec<String>,
    drop: Vec<String>,
    memory_mib: i64,
    /// Container's path, node's path, and whether it is read-only.
    mounts: Vec<(String, String, bool)>,
}

impl DaemonSet {
    /// From the file.
    pub(crate) fn read() -> Result<Self> {
        Self::parse(FILE)
    }

    /// It is this project's own file, whose lists are JSON and whose settings have a line each.
    fn parse(file: &str) -> Result<Self> {
        let list = |key: &str| -> Result<Vec<String>> {
            let text = value(file, key).with_context(|| format!("it has no {key}"))?;
            serde_json::from_str(text).with_context(|| format!("its {key} is no list"))
        };
        for wanted in ["privileged: false", "readOnlyRootFilesystem: true", "runAsUser: 0"] {
            if !file.contains(wanted) {
                bail!("it has no `{wanted}`, which is given to the runtime");
            }
        }
        let (_, limits) = file.split_once("limits:").context("it has no limits")?;
        let memory = value(limits, "memory").and_then(|text| text.strip_suffix("Mi"));
        let (_, mounts) = file.split_once("volumeMounts:").context("it has no mounts")?;
        let (mounts, volumes) = mounts.split_once("volumes:").context("it has no volumes")?;
        Ok(Self {
            args: list("args")?,
            add: list("add")?,
            drop: list("drop")?,
            memory_mib: memory
                .and_then(|mib| mib.parse().ok())
                .context("it has no memory limit")?,
            mounts: mounts
                .split("- name: ")
                .skip(1)
                .map(|item| mount(item, volumes))
                .collect::<Result<_>>()?,
        })
    }
}

/// What stands behind a key.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(':').map(str::trim))
}

fn mount(item: &str, volumes: &str) -> Result<(String, String, bool)> {
    let name = item.lines().next().unwrap_or_default();
    let at = value(item, "mountPath").with_context(|| format!("mount {name} has no path"))?;
    let mut volume = volumes.split("- name: ").filter(|volume| volume.lines().next() == Some(name));
    let path = volume.next().and_then(|volume| value(volume, "path"));
    let path = path.with_context(|| format!("there is no volume {name}"))?;
    Ok((at.to_owned(), path.to_owned(), value(item, "readOnly") == Some("true")))
}

/// Starts the pod on containerd. Returns its address.
pub(crate) fn start(daemonset: &DaemonSet) -> Result<String> {
    let pod = Pod::make("fragwatch", 0)?;
    let config = sandbox(&pod);
    let id = cri::run_pod_sandbox(SOCKET, config.clone())?;
    let id = id.map_err(anyhow::Error::msg).context("the DaemonSet's sandbox can't be made")?;
    let mount = |(at, path, readonly): &(String, String, bool)| Mount {
        container_path: at.clone(),
        host_path: path.clone(),
        readonly: *readonly,
    };
    let program = Mount {
        container_path: PROGRAM.to_owned(),
        host_path: FRAGWATCH.to_owned(),
        readonly: true,
    };
    let container = ContainerConfig {
        metadata: Some(ContainerMetadata { name: "fragwatch".to_owned() }),
        image: Some(ImageSpec { image: IMAGE.to_owned() }),
        command: vec![PROGRAM.to_owned()],
        args: daemonset.args.clone(),
        mounts: daemonset.mounts.iter().map(mount).chain([program]).collect(),
        labels: config.labels.clone(),
        log_path: "fragwatch.log".to_owned(),
        linux: Some(LinuxContainerConfig {
            resources: Some(LinuxContainerResources {
                cpu_shares: 10,
                memory_limit_in_bytes: daemonset.memory_mib << 20,
                oom_score_adj: -997,
            }),
            security_context: Some(LinuxContainerSecurityContext {
                capabilities: Some(Capability {
                    add_capabilities: daemonset.add.clone(),
                    drop_capabilities: daemonset.drop.clone(),
                }),
                namespace_options: Some(NamespaceOption { network: 0, pid: 1, ipc: 0 }),
                run_as_user: Some(Int64Value { value: 0 }),
                readonly_rootfs: true,
                no_new_privs: true,
                seccomp: Some(SecurityProfile { profile_type: 0 }),
            }),
        }),
    };
    cri::run_container(
        SOCKET,
        CreateContainerRequest {
            pod_sandbox_id: id.clone(),
            config: Some(container),
            sandbox_config: Some(config),
        },
    )?;
    cri::pod_ip(SOCKET, &id)
}

/// The log of its container.
pub(crate) fn log() -> String {
    let pods = std::fs::read_dir("/var/log/pods").into_iter().flatten().flatten();
    let logs =
        pods.filter_map(|pod| std::fs::read_to_string(pod.path().join("fragwatch.log")).ok());
    logs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_has_what_the_runtime_is_given() {
        let daemonset = DaemonSet::read().expect("it can be read");
        assert_eq!(daemonset.drop, ["ALL"]);
        assert!(daemonset.add.contains(&"BPF".to_owned()), "{daemonset:?}");
        assert_eq!(daemonset.args[0], "serve");
        let store = ("/var/lib/fragwatch".to_owned(), "/var/lib/fragwatch".to_owned(), false);
        assert!(daemonset.mounts.contains(&store), "{daemonset:?}");
        assert!(daemonset.mounts.iter().filter(|mount| mount.2).count() >= 3, "{daemonset:?}");
        assert!(DaemonSet::parse(&FILE.replace("privileged: false", "")).is_err());
    }
}
