//! Whether this machine looks like one that can be thrown away.
use std::{collections::BTreeSet, fs, path::Path};

use fragwatch_core::{attribution::cgroup_path, model::event::CgroupPath, units};

/// A machine that is up for longer is not one of a CI job.
const LONG_UPTIME_S: u64 = 24 * 60 * 60;

/// What speaks against it, in parts of sentences. `root` is the root directory.
pub(super) fn risks(root: &Path) -> Vec<String> {
    let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let mut risks = Vec::new();
    if let Some(seconds) = uptime(&text("proc/uptime")).filter(|seconds| *seconds > LONG_UPTIME_S) {
        risks.push(format!("it is up for {} days", seconds.div_ceil(LONG_UPTIME_S) - 1));
    }
    if !is_virtual(&text("proc/cpuinfo")) {
        risks.push("no hypervisor is seen: it is no virtual machine, or hides it".to_owned());
    }
    let processes = Processes::read(root);
    if processes.kubelet || root.join("etc/kubernetes/kubelet.conf").exists() {
        risks.push("it is a node of Kubernetes".to_owned());
    }
    if processes.containers != 0 {
        let plural = if processes.containers == 1 { "container runs" } else { "containers run" };
        risks.push(format!("{} {plural} on it", units::grouped(processes.containers)));
    }
    risks
}

fn uptime(text: &str) -> Option<u64> {
    text.split('.').next()?.parse().ok()
}

/// x86 processors have a flag for it, which hypervisors set.
fn is_virtual(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    flags.is_some_and(|flags| flags.split_ascii_whitespace().any(|flag| flag == "hypervisor"))
}

/// What runs on the machine.
#[derive(Debug, Default, PartialEq, Eq)]
struct Processes {
    kubelet: bool,
    containers: u64,
}

impl Processes {
    fn read(root: &Path) -> Self {
        let mut found = Self::default();
        let mut containers = BTreeSet::new();
        for entry in fs::read_dir(root.join("proc")).into_iter().flatten().flatten() {
            // A process may have ended since.
            let text = |name: &str| fs::read_to_string(entry.path().join(name)).unwrap_or_default();
            found.kubelet |= text("comm").trim() == "kubelet";
            containers.extend(text("cgroup").lines().filter_map(container));
        }
        found.containers = containers.len() as u64;
        found
    }
}

/// The container's cgroup in a line like `0::/kubepods/burstable/pod…/…`.
fn container(line: &str) -> Option<String> {
    let path = line.splitn(3, ':').nth(2)?;
    let names = path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    cgroup_path::find(&CgroupPath { names, truncated: false })?.id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hypervisor_is_seen_in_the_flags() {
        assert!(is_virtual("processor\t: 0\nflags\t\t: fpu vme hypervisor lahf_lm\n"));
        assert!(!is_virtual(
            "processor\t: 0\nflags\t\t: fpu vme lahf_lm\nmodel name: hypervisor\n"
        ));
        assert!(!is_virtual(""));
    }

    #[test]
    fn uptime_is_read() {
        assert_eq!(uptime("11941.45 21988.12\n"), Some(11941));
        assert_eq!(uptime(""), None);
    }

    #[test]
    fn containers_are_counted_by_their_cgroups() {
        let id = "84eb4454a792".repeat(6)[..64].to_owned();
        assert_eq!(container(&format!("0::/system.slice/docker-{id}.scope")), Some(id));
        assert_eq!(container("0::/system.slice/ssh.service"), None);
        assert_eq!(container("0::/"), None);
    }

    /// The risks of a machine with these files.
    fn of(name: &str, files: &[(&str, &str)]) -> Vec<String> {
        let root =
            std::env::temp_dir().join(format!("fragwatch-safety-{name}-{}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
            fs::write(path, text).expect("it can be written");
        }
        let risks = risks(&root);
        fs::remove_dir_all(&root).expect("it can be removed");
        risks
    }

    #[test]
    fn each_risk_is_named() {
        let pod = format!("0::/kubepods/pod1/{}\n", "84eb4454a792".repeat(6)[..64].to_owned());
        let node = of(
            "node",
            &[
                ("proc/uptime", "190000.00 1.00\n"),
                ("proc/cpuinfo", "flags\t\t: fpu vme\n"),
                ("proc/100/comm", "kubelet\n"),
                ("proc/200/cgroup", &pod),
                ("proc/201/cgroup", &pod),
            ],
        );
        assert_eq!(
            node,
            [
                "it is up for 2 days",
                "no hypervisor is seen: it is no virtual machine, or hides it",
                "it is a node of Kubernetes",
                "1 container runs on it"
            ]
        );
        let virtual_machine = of(
            "vm",
            &[
                ("proc/uptime", "60.00 1.00\n"),
                ("proc/cpuinfo", "flags\t\t: fpu hypervisor\n"),
                ("proc/100/comm", "sshd\n"),
                ("proc/100/cgroup", "0::/system.slice/ssh.service\n"),
            ],
        );
        assert!(virtual_machine.is_empty(), "{virtual_machine:?}");
    }
}
