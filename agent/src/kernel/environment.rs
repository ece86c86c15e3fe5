//! What the kernel's settings and mounted file systems allow: read, never changed.
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// What the kernel keeps even from root.
    pub lockdown: Lockdown,
    /// Whether the kernel was built with kprobes.
    pub kprobes: bool,
    /// Where tracefs is mounted: tracepoints have their numbers there.
    pub tracefs: Option<PathBuf>,
    /// Where bpffs is mounted.
    pub bpffs: Option<PathBuf>,
    /// Which hierarchies of cgroups are mounted.
    pub cgroups: Cgroups,
    /// `kernel.perf_event_paranoid`; `None` if it can't be read.
    pub perf_event_paranoid: Option<i64>,
    /// `kernel.unprivileged_bpf_disabled`; `None` if it can't be read.
    pub unprivileged_bpf_disabled: Option<i64>,
    /// `kernel.kptr_restrict`; `None` if it can't be read.
    pub kptr_restrict: Option<i64>,
}

/// The kernel's lockdown (security/lockdown).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lockdown {
    /// Nothing is kept from root.
    Off,
    /// The running kernel can't be changed; reading it is allowed.
    Integrity,
    /// Nor can it be read: no kprobe, no tracefs, no kernel memory.
    Confidentiality,
    /// securityfs is not mounted, or not readable.
    Unknown,
}

impl Lockdown {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Integrity => "integrity",
            Self::Confidentiality => "confidentiality",
            Self::Unknown => "unknown",
        }
    }
}

/// Which hierarchies of cgroups are mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cgroups {
    /// The one of v2.
    V2,
    /// Those of v1, the memory controller's among them.
    V1,
    /// v2 for the names, v1 for the memory controller.
    Hybrid,
    /// None.
    None,
}

impl Cgroups {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V1 => "v1",
            Self::Hybrid => "hybrid",
            Self::None => "none",
        }
    }
}

impl Environment {
    /// Reads those of the system whose root directory is `root`. What can't be read is unknown.
    pub fn read(root: &Path) -> Self {
        let mounts = fs::read_to_string(root.join("proc/self/mounts")).unwrap_or_default();
        let number = |name: &str| {
            let text = fs::read_to_string(root.join("proc/sys/kernel").join(name)).ok()?;
            text.trim().parse().ok()
        };
        Self {
            lockdown: lockdown(root, mounted(&mounts, "securityfs").is_some()),
            kprobes: root.join("sys/bus/event_source/devices/kprobe").exists(),
            tracefs: tracefs(&mounts),
            bpffs: mounted(&mounts, "bpf"),
            cgroups: cgroups(&mounts),
            perf_event_paranoid: number("perf_event_paranoid"),
            unprivileged_bpf_disabled: number("unprivileged_bpf_disabled"),
            kptr_restrict: number("kptr_restrict"),
        }
    }
}

/// Lines of a table of mounts, as file system type, directory and options.
fn entries(mounts: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (directory, kind, options) = (words.next()?, words.next()?, words.next()?);
        Some((kind, directory, options))
    })
}

/// Where a file system of this type is mounted first, by a table of mounts.
pub(crate) fn mounted(mounts: &str, kind: &str) -> Option<PathBuf> {
    entries(mounts).find(|(found, ..)| *found == kind).map(|(_, at, _)| PathBuf::from(at))
}

/// Where tracefs is looked for. The second one the kernel mounts itself when it is entered.
fn tracefs(mounts: &str) -> Option<PathBuf> {
    let own = Path::new("/sys/kernel/tracing");
    let at_own = entries(mounts).any(|(kind, at, _)| kind == "tracefs" && Path::new(at) == own);
    let debugfs = Path::new("/sys/kernel/debug");
    let in_debugfs =
        entries(mounts).any(|(kind, at, _)| kind == "debugfs" && Path::new(at) == debugfs);
    if at_own { Some(own.to_owned()) } else { in_debugfs.then(|| debugfs.join("tracing")) }
}

/// Whether the memory controller has a hierarchy of its own, by a table of mounts.
pub(crate) fn has_v1_memory(mounts: &str) -> bool {
    v1_memory(mounts).is_some()
}

/// Where the memory controller's own hierarchy is mounted, by a table of mounts.
pub(crate) fn v1_memory(mounts: &str) -> Option<PathBuf> {
    entries(mounts)
        .find(|(kind, _, options)| *kind == "cgroup" && options.split(',').any(|o| o == "memory"))
        .map(|(_, at, _)| PathBuf::from(at))
}

fn cgroups(mounts: &str) -> Cgroups {
    let v2 = entries(mounts).any(|(kind, ..)| kind == "cgroup2");
    match (has_v1_memory(mounts), v2) {
        (true, true) => Cgroups::Hybrid,
        (true, false) => Cgroups::V1,
        (false, true) => Cgroups::V2,
        (false, false) => Cgroups::None,
    }
}

/// `none [integrity] confidentiality`: the one in brackets is in force.
fn lockdown(root: &Path, securityfs: bool) -> Lockdown {
    let text = match fs::read_to_string(root.join("sys/kernel/security/lockdown")) {
        Ok(text) => text,
        // A kernel built without it.
        Err(error) if error.kind() == io::ErrorKind::NotFound && securityfs => {
            return Lockdown::Off;
        }
        Err(_) => return Lockdown::Unknown,
    };
    match text.split(['[', ']']).nth(1) {
        Some("none") => Lockdown::Off,
        Some("integrity") => Lockdown::Integrity,
        Some("confidentiality") => Lockdown::Confidentiality,
        _ => Lockdown::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &str = "\
proc /proc proc rw 0 0
cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0
tracefs /sys/kernel/tracing tracefs rw,nosuid 0 0
securityfs /sys/kernel/security securityfs rw 0 0
bpf /sys/fs/bpf bpf rw,mode=700 0 0
";

    /// A root directory with these files, gone when dropped.
    struct Root(PathBuf);

    impl Root {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let root =
                std::env::temp_dir().join(format!("fragwatch-{name}-{}", std::process::id()));
            for (path, content) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().expect("it has one")).expect("a directory");
                fs::write(path, content).expect("a file");
            }
            Self(root)
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn reads_what_a_node_has() {
        let root = Root::new(
            "node",
            &[
                ("proc/self/mounts", V2),
                ("proc/sys/kernel/perf_event_paranoid", "3\n"),
                ("proc/sys/kernel/unprivileged_bpf_disabled", "2\n"),
                ("proc/sys/kernel/kptr_restrict", "garbage\n"),
                ("sys/kernel/security/lockdown", "none [integrity] confidentiality\n"),
                ("sys/bus/event_source/devices/kprobe/type", "8\n"),
            ],
        );
        let expected = Environment {
            lockdown: Lockdown::Integrity,
            kprobes: true,
            tracefs: Some("/sys/kernel/tracing".into()),
            bpffs: Some("/sys/fs/bpf".into()),
            cgroups: Cgroups::V2,
            perf_event_paranoid: Some(3),
            unprivileged_bpf_disabled: Some(2),
            kptr_restrict: None,
        };
        assert_eq!(Environment::read(&root.0), expected);
    }

    #[test]
    fn what_is_not_there_is_unknown() {
        let root = Root::new("empty", &[("etc/empty", "")]);
        let expected = Environment {
            lockdown: Lockdown::Unknown,
            kprobes: false,
            tracefs: None,
            bpffs: None,
            cgroups: Cgroups::None,
            perf_event_paranoid: None,
            unprivileged_bpf_disabled: None,
            kptr_restrict: None,
        };
        assert_eq!(Environment::read(&root.0), expected);
    }

    #[test]
    fn a_kernel_without_lockdown_has_none() {
        let root = Root::new("no-lockdown", &[("proc/self/mounts", V2)]);
        assert_eq!(Environment::read(&root.0).lockdown, Lockdown::Off);
    }

    #[test]
    fn tracefs_counts_where_it_is_looked_for() {
        let at = |mounts: &str| tracefs(mounts).map(|path| path.display().to_string());
        assert_eq!(at(V2).as_deref(), Some("/sys/kernel/tracing"));
        assert_eq!(at("tracefs /mnt tracefs rw 0 0\n"), None);
        let debugfs = "debugfs /sys/kernel/debug debugfs rw 0 0\n";
        assert_eq!(at(debugfs).as_deref(), Some("/sys/kernel/debug/tracing"));
    }

    #[test]
    fn hierarchies_are_told_apart() {
        let v1 = "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n";
        let names_only = "cgroup /sys/fs/cgroup/systemd cgroup rw,xattr,name=systemd 0 0\n";
        assert_eq!(cgroups(V2), Cgroups::V2);
        assert_eq!(cgroups(v1), Cgroups::V1);
        assert_eq!(cgroups(&format!("{V2}{v1}")), Cgroups::Hybrid);
        assert_eq!(cgroups(&format!("{V2}{names_only}")), Cgroups::V2);
        assert_eq!(cgroups("not a mount\n"), Cgroups::None);
    }
}
