//! What a tree says of its machines besides their logs.
use fragwatch_core::model::{kernel_version::KernelVersion, node::Buddyinfo};

use crate::parse::{self, Message};

/// Facts kept: of a tree with that many machines the rest is not known.
const MAX_FACTS: usize = 1000;

/// Files with the kernel's release, as `uname -a` or /proc/version print it.
const KERNELS: &[&str] = &[
    "sos_commands/kernel/uname_-a",
    "sos_commands/kernel/uname",
    "proc/version",
    "uname_-a",
    "uname-a",
    "uname.txt",
    "uname",
    "version.txt",
];
/// Copies of /proc/buddyinfo.
const BUDDYINFO: &[&str] = &["proc/buddyinfo", "buddyinfo.txt", "buddyinfo"];
/// Where must-gather has a Kubernetes node's description.
const NODES: &str = "core/nodes/";

/// Kernels and free blocks of the machines of a tree.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Of what is below these paths.
    kernels: Vec<(String, KernelVersion)>,
    /// Of what has these names in its path.
    nodes: Vec<(String, KernelVersion)>,
    buddyinfo: Vec<(String, Vec<Buddyinfo>)>,
}

impl Facts {
    /// Whether a file of that name may hold any.
    pub(super) fn wants(name: &str) -> bool {
        below(name, KERNELS).is_some() || below(name, BUDDYINFO).is_some() || node(name).is_some()
    }

    /// Takes what a file says.
    pub(super) fn take(&mut self, name: &str, sample: &[u8]) {
        let text = String::from_utf8_lossy(sample);
        let full = self.kernels.len() + self.nodes.len() + self.buddyinfo.len() >= MAX_FACTS;
        if full {
            return;
        }
        if let Some(place) = below(name, KERNELS) {
            self.kernels.extend(release(&text).map(|kernel| (place.to_owned(), kernel)));
        } else if let Some(place) = below(name, BUDDYINFO) {
            self.buddyinfo.extend(buddyinfo(&text).map(|zones| (place.to_owned(), zones)));
        } else if let Some(node) = node(name) {
            let field = text.lines().find_map(|line| line.trim().strip_prefix("kernelVersion:"));
            let kernel = field.and_then(|value| value.trim().trim_matches('"').parse().ok());
            self.nodes.extend(kernel.map(|kernel| (node.to_owned(), kernel)));
        }
    }

    /// The kernel of the machine that a log is of: the one that is named nearest to it, or the only
    /// one that is named at all.
    pub fn kernel(&self, log: &str) -> Option<&KernelVersion> {
        let nearest = nearest(&self.kernels, log);
        let of_node = || {
            let parts = || log.split(['/', ':']);
            let named = |(name, _): &&(String, KernelVersion)| parts().any(|part| part == name);
            self.nodes.iter().find(named).map(|(_, kernel)| kernel)
        };
        let only = || {
            let mut all = self.kernels.iter().chain(&self.nodes).map(|(_, kernel)| kernel);
            let first = all.next()?;
            all.all(|other| other == first).then_some(first)
        };
        nearest.or_else(of_node).or_else(only)
    }

    /// What the /proc/buddyinfo of the machine that a log is of showed when the tree was made.
    pub fn buddyinfo(&self, log: &str) -> Vec<Buddyinfo> {
        nearest(&self.buddyinfo, log).cloned().unwrap_or_default()
    }
}

/// What is known of the innermost directory that a log is in.
fn nearest<'a, T>(known: &'a [(String, T)], log: &str) -> Option<&'a T> {
    let inside = known.iter().filter(|(place, _)| log.starts_with(place.as_str()));
    inside.max_by_key(|(place, _)| place.len()).map(|(_, fact)| fact)
}

/// What stands before one of these names in a path.
fn below<'a>(path: &'a str, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| {
        let place = path.strip_suffix(name)?;
        (place.is_empty() || place.ends_with(['/', ':'])).then_some(place)
    })
}

/// The node that a file of must-gather describes.
fn node(path: &str) -> Option<&str> {
    let (_, file) = path.rsplit_once(NODES)?;
    file.strip_suffix(".yaml").filter(|name| !name.contains('/'))
}

/// `Linux node-7 5.14.0-427.el9.x86_64 #1 SMP …`, `Linux version 5.14.0-427.el9.x86_64 (…`, or the
/// release alone.
fn release(text: &str) -> Option<KernelVersion> {
    let line = text.lines().find(|line| !line.trim().is_empty())?;
    let mut words = line.split_whitespace();
    match words.next()? {
        "Linux" => words.nth(1)?.parse().ok(),
        word => word.parse().ok(),
    }
}

/// The zones in a copy of /proc/buddyinfo; `None` if its first line is not one.
pub fn buddyinfo(text: &str) -> Option<Vec<Buddyinfo>> {
    let mut zones = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match parse::parse_kernel(line) {
            Some(Message::Buddyinfo(zone, blocks)) => {
                zones.push(Buddyinfo { node: zone.node, name: zone.name, blocks });
            }
            _ if zones.is_empty() => return None,
            _ => {}
        }
    }
    (!zones.is_empty()).then_some(zones)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(files: &[(&str, &str)]) -> Facts {
        let mut facts = Facts::default();
        for (name, text) in files {
            assert!(Facts::wants(name), "{name}");
            facts.take(name, text.as_bytes());
        }
        facts
    }

    #[track_caller]
    fn check(facts: &Facts, log: &str, kernel: Option<&str>) {
        assert_eq!(facts.kernel(log).map(KernelVersion::as_str), kernel, "{log}");
    }

    #[test]
    fn a_log_has_the_kernel_of_its_machine() {
        let facts = facts(&[
            ("a/one/sos_commands/kernel/uname_-a", "Linux n1 5.14.0-1.el9.x86_64 #1 SMP x\n"),
            ("a/two/proc/version", "Linux version 4.18.0-2.el8.x86_64 (mockbuild@x) #1\n"),
            ("a/mg/cluster-scoped-resources/core/nodes/w-3.yaml", "s:\n  kernelVersion: 6.1.0-9\n"),
        ]);
        check(&facts, "a/one/var/log/messages", Some("5.14.0-1.el9.x86_64"));
        check(&facts, "a/two/var/log/messages", Some("4.18.0-2.el8.x86_64"));
        check(&facts, "a/mg/nodes/w-3/kubelet.log", Some("6.1.0-9"));
        check(&facts, "a/mg/nodes/w-4/kubelet.log", None);
    }

    #[test]
    fn the_only_kernel_is_that_of_all_logs() {
        let facts = facts(&[("x.tar:sos/uname", "Linux n1 5.14.0-1.el9.x86_64 #1 SMP\n")]);
        check(&facts, "y/messages", Some("5.14.0-1.el9.x86_64"));
        let sos = [("sos/version.txt", "sosreport: 4.5.1\n")];
        check(&self::facts(&sos), "sos/messages", None);
    }

    #[test]
    fn a_copy_of_buddyinfo_is_that_of_its_machine() {
        let zone = "Node 0, zone   Normal   100   20   3   0   0   0   0   0   0   0   0\n";
        let facts = facts(&[("a/proc/buddyinfo", zone)]);
        assert_eq!(facts.buddyinfo("a/var/log/messages").len(), 1);
        assert!(facts.buddyinfo("b/var/log/messages").is_empty());
    }
}
