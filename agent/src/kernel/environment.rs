//! Kernel settings and mounted file systems that matter for tracing. They are only read.
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The settings of a system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// The lockdown mode.
    pub lockdown: Lockdown,
    /// Whether the kernel was built with kprobes.
    pub kprobes: bool,
    /// Mount point of tracefs, which has the ids of tracepoints.
    pub tracefs: Option<PathBuf>,
    /// Mount point of bpffs.
    pub bpffs: Option<PathBuf>,
    /// The mounted cgroup hierarchies.
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
    /// Root is not restricted.
    Off,
    /// Root may not modify the running kernel, but may read its memory.
    Integrity,
    /// Root may not read it either: no kprobes, no tracefs, no kernel memory.
    Confidentiality,
    /// securityfs is not mounted or not readable.
    Unknown,
}

impl Lockdown {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Integrity => "integrity",
            Self::Confidentiality => "confidentiality",
            Self::Unknown => "unknown",
        }
    }
}

/// The mounted cgroup hierarchies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cgroups {
    /// Only v2.
    V2,
    /// v1, including the memory controller.
    V1,
    /// v2, and v1 with the memory controller.
    Hybrid,
    /// No hierarchy is mounted.
    None,
}

impl Cgroups {
    /// The name in reports.
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
    /// Reads the settings of the system whose root directory is `root`. What can't be read is unknown or
    /// `None`.
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

/// The lines of a mount table, as file system type, mount point and options.
fn entries(mounts: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (directory, kind, options) = (words.next()?, words.next()?, words.next()?);
        Some((kind, directory, options))
    })
}

/// The first mount point of a file system type in a mount table.
pub(crate) fn mounted(mounts: &str, kind: &str) -> Option<PathBuf> {
    entries(mounts).find(|(found, ..)| *found == kind).map(|(_, at, _)| PathBuf::from(at))
}

/// The directory of tracefs. The kernel mounts the second one itself, on access.
fn tracefs(mounts: &str) -> Option<PathBuf> {
    let own = Path::new("/sys/kernel/tracing");
    let at_own = entries(mounts).any(|(kind, at, _)| kind == "tracefs" && Path::new(at) == own);
    let debugfs = Path::new("/sys/kernel/debug");
    let in_debugfs =
        entries(mounts).any(|(kind, at, _)| kind == "debugfs" && Path::new(at) == debugfs);
    if at_own { Some(own.to_owned()) } else { in_debugfs.then(|| debugfs.join("tracing")) }
}

/// Whether the memory controller has a v1 hierarchy in a mount table.
pub(crate) fn has_v1_memory(mounts: &str) -> bool {
    v1_memory(mounts).is_some()
}

/// The mount point of the memory controller's v1 hierarchy in a mount table.
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

/// Parses `none [integrity] confidentiality`, where brackets mark the active mode.
fn lockdown(root: &Path, securityfs: bool) -> Lockdown {
    let text = match fs::read_to_string(root.join("sys/kernel/security/lockdown")) {
        Ok(text) => text,
        // The kernel was built without lockdown.
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

    /// A root directory with these files, removed when dropped.
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
    fn the_settings_of_a_node_are_read() {
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
    fn missing_files_leave_settings_unknown() {
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
    fn a_kernel_without_lockdown_is_not_locked_down() {
        let root = Root::new("no-lockdown", &[("proc/self/mounts", V2)]);
        assert_eq!(Environment::read(&root.0).lockdown, Lockdown::Off);
    }

    #[test]
    fn tracefs_is_found_only_at_its_standard_mount_points() {
        let at = |mounts: &str| tracefs(mounts).map(|path| path.display().to_string());
        assert_eq!(at(V2).as_deref(), Some("/sys/kernel/tracing"));
        assert_eq!(at("tracefs /mnt tracefs rw 0 0\n"), None);
        let debugfs = "debugfs /sys/kernel/debug debugfs rw 0 0\n";
        assert_eq!(at(debugfs).as_deref(), Some("/sys/kernel/debug/tracing"));
    }

    #[test]
    fn cgroup_hierarchies_are_distinguished() {
        let v1 = "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n";
        let names_only = "cgroup /sys/fs/cgroup/systemd cgroup rw,xattr,name=systemd 0 0\n";
        assert_eq!(cgroups(V2), Cgroups::V2);
        assert_eq!(cgroups(v1), Cgroups::V1);
        assert_eq!(cgroups(&format!("{V2}{v1}")), Cgroups::Hybrid);
        assert_eq!(cgroups(&format!("{V2}{names_only}")), Cgroups::V2);
        assert_eq!(cgroups("not a mount\n"), Cgroups::None);
    }
}
