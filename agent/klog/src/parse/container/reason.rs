//! Why a start failed: the innermost error, and what it is about.
use fragwatch_core::model::program_message::{OtherLimit, StartError};

use super::errno::{Innermost, TRANSLATED};

/// Reasons that have nothing to do with memory, and the words for them; lower case.
const OTHER_REASONS: &[(&str, &str)] = &[
    ("executable file not found", "the image has no such program"),
    ("exec format error", "the program is not one for this machine"),
    ("not allowed\": newuidmap", UNGRANTED),
    ("not allowed\": newgidmap", UNGRANTED),
    ("uid range [", UNGRANTED),
    ("gid range [", UNGRANTED),
    ("no subuid ranges found", UNGRANTED),
    ("no subgid ranges found", UNGRANTED),
    ("not enough ids available", UNGRANTED),
    ("insufficient uids or gids available", UNGRANTED),
    ("potentially insufficient", UNGRANTED),
    ("seccomp", "a seccomp filter is in the way"),
    ("apparmor", "AppArmor is in the way"),
    ("selinux", "SELinux is in the way"),
    ("user namespaces are not enabled", "user namespaces are turned off"),
    ("user namespaces are disabled", "user namespaces are turned off"),
    ("user namespaces appear to be disabled", "user namespaces are turned off"),
    ("modprobe", "a kernel module is missing"),
    ("kernel module", "a kernel module is missing"),
    ("errimagepull", "the image could not be had"),
    ("imagepullbackoff", "the image could not be had"),
    ("pull access denied", "the image could not be had"),
    ("manifest unknown", "the image could not be had"),
    ("port is already allocated", "its port is in use"),
    ("no chain/target/match by that name", "a chain or a module of the firewall is missing"),
    ("address already in use", "its address is in use"),
    ("no ip addresses available", "the network has no address left"),
    ("available, non-overlapping ipv4 address pool", "no network address range is left"),
    ("cni plugin not initialized", "the node's network plugin is not set up"),
    ("cni config uninitialized", "the node's network plugin is not set up"),
    ("failed to find plugin", "a network plugin is missing"),
    ("unauthorized", "a server that it asks does not let it in"),
    ("bind source path does not exist", "a file or directory is missing"),
    ("is already in use by container", "its name is in use"),
    ("unknown or invalid runtime name", "the runtime is not installed"),
    ("nvidia-container-cli", "the graphics driver's hook failed"),
    (
        "minimum memory limit allowed",
        "its memory limit is below the smallest that the runtime accepts",
    ),
];

const UNGRANTED: &str =
    "the user is not granted this range of ids: see /etc/subuid and /etc/subgid";

/// Calls that make processes and namespaces; lower case.
const CLONES: &[&str] = &["clone", "unshare", "fork", "namespace", "pthread_create", "os thread"];

/// What went wrong. `mkdir` is a cgroup's directory that could not be made.
pub(super) fn error(
    lower: &str,
    innermost: Option<&Innermost>,
    mkdir: Option<String>,
) -> StartError {
    let errno = innermost.map(|innermost| innermost.errno);
    if let Some(words) = memory_limit(lower, innermost) {
        return StartError::MemoryLimit(words);
    }
    if let Some(path) = mkdir {
        return match errno {
            // kernel/cgroup/cgroup.c `cgroup_mkdir` returns it for these limits alone.
            Some(libc::EAGAIN) => StartError::OtherLimit(OtherLimit::Cgroups),
            _ => StartError::CgroupMkdir(path),
        };
    }
    let about = innermost.map(|innermost| innermost.about(lower)).unwrap_or_default();
    let of = |words: &[&str]| words.iter().any(|word| about.contains(word));
    StartError::OtherLimit(match errno {
        Some(libc::ENOSPC | libc::EMFILE) if of(&["inotify", "fsnotify", "file watcher"]) => {
            OtherLimit::Inotify
        }
        Some(libc::EDQUOT) if of(&["key"]) => OtherLimit::Keys,
        Some(libc::EDQUOT) => OtherLimit::FileQuota,
        Some(libc::ENOSPC) if of(&["/sys/fs/resctrl"]) => OtherLimit::Resctrl,
        Some(libc::ENOSPC) if of(&["/sys/fs/cgroup", "cgroup.procs", "cpuset"]) => {
            OtherLimit::Cpuset
        }
        Some(libc::ENOSPC) if of(CLONES) => return StartError::Namespace,
        Some(libc::EAGAIN) if of(CLONES) => return StartError::Process,
        // 32 levels of user namespaces, before 4.9.
        Some(libc::EUSERS) => return StartError::Namespace,
        Some(libc::ENOSPC) if is_mount(&about) => OtherLimit::Mounts,
        Some(libc::ENOSPC | libc::EMLINK) => OtherLimit::FileSystem,
        Some(libc::EXFULL) => OtherLimit::BridgePorts,
        Some(libc::EMFILE) => OtherLimit::OpenFiles,
        // Whatever else is said, these may come of memory; EBUSY of systemd, which makes a unit's cgroup,
        // of ids that are used up.
        Some(libc::ENOMEM | libc::EAGAIN | libc::ENOBUFS) => return StartError::Unsaid,
        Some(libc::EBUSY) if of(&["unit ", ".scope"]) && !of(&["cgroup."]) => {
            return StartError::Unsaid;
        }
        _ => return without_memory(lower, errno),
    })
}

/// What a runtime says of a memory limit that is too low for the start itself.
fn memory_limit(lower: &str, innermost: Option<&Innermost>) -> Option<&'static str> {
    const BELOW_USAGE: &str =
        "the kernel refused a memory limit below what the cgroup uses already";
    const KILLED: &str = "a process of the container's was killed at its memory limit";
    let has = |words: &[&str]| words.iter().any(|words| lower.contains(words));
    if has(&["unable to set memory limit", "to set memory limit to"]) && has(&["current usage"]) {
        return Some(BELOW_USAGE);
    }
    let about =
        innermost.filter(|found| found.errno == libc::EBUSY).map(|found| found.about(lower));
    if about.is_some_and(|about| {
        ["memory.limit_in_bytes", "memory.max", "memory.memsw.limit"]
            .iter()
            .any(|file| about.contains(file))
    }) {
        return Some(BELOW_USAGE);
    }
    // The name of a pod may hold such words.
    let killed = [
        "was oom-killed",
        "was oom killed",
        "memory limit too low",
        "memory limit could be too low",
        "reason: oomkilled",
        "reason=oomkilled",
        "reason=\"oomkilled\"",
        "reason:oomkilled",
        ": oomkilled",
    ];
    has(&killed).then_some(KILLED)
}

/// Whether the error is a mount's own.
fn is_mount(about: &str) -> bool {
    about
        .rsplit(": ")
        .any(|part| part.trim_start().starts_with("mount ") || part.contains("mounting"))
        && !about.contains("mkdir")
}

/// Reasons that leave no room for memory.
fn without_memory(lower: &str, errno: Option<i32>) -> StartError {
    let reason = OTHER_REASONS.iter().find(|(words, _)| lower.contains(words));
    if let Some(&(_, reason)) = reason {
        return StartError::Other(reason);
    }
    let Some(errno) = errno else { return StartError::Unsaid };
    StartError::Other(match errno {
        libc::EPERM | libc::EACCES => {
            "the kernel forbade it: rights, seccomp or namespaces turned off"
        }
        libc::ENOENT => "a file or directory is missing",
        libc::EBUSY => "something that it needs is in use",
        libc::E2BIG => "its arguments and its environment are too long",
        libc::ENAMETOOLONG => "a path is too long",
        libc::ETXTBSY => "a program that it runs is being written",
        libc::ETIMEDOUT | libc::EHOSTUNREACH => "a server that it needs can't be reached",
        libc::ESTALE => "a network file system lost what it had opened",
        libc::ENOTEMPTY => "a directory that must be empty is not",
        libc::ENOTDIR | libc::EISDIR => {
            "a file is where a directory must be, or the other way round"
        }
        libc::ECONNREFUSED => "a server that it needs does not answer",
        libc::EROFS => "a file system is read-only",
        libc::ENOSYS | libc::EOPNOTSUPP | libc::EPROTONOSUPPORT | libc::ENODEV => {
            "the kernel lacks what it needs: a module or an option"
        }
        libc::EINVAL | libc::ERANGE => "the kernel refused its settings",
        libc::EEXIST => "something of that name is there already",
        libc::ELOOP => "a symbolic link leads nowhere",
        libc::EIO => "a device could not be read or written",
        _ => return StartError::Unsaid,
    })
}

/// errno's words for a cgroup directory that could not be made; lower case.
const REFUSED: &[&str] = &[
    "cannot allocate memory",
    "no space left on device",
    "device or resource busy",
    "resource temporarily unavailable",
];

/// The cgroup directory that could not be made: `mkdir /sys/fs/cgroup/memory/a: cannot allocate
/// memory`, or coreutils' `mkdir: cannot create directory '/sys/fs/cgroup/a': …`.
pub(super) fn refused_mkdir(text: &str, lower: &str) -> Option<String> {
    let translated = || TRANSLATED.iter().any(|(words, _)| lower.contains(words));
    if !REFUSED.iter().any(|words| lower.contains(words)) && !translated() {
        return None;
    }
    let systemd = text.split_once("ailed to create cgroup /").map(|(before, _)| before.len());
    if let Some(at) = systemd {
        let path = &text[at + "ailed to create cgroup ".len()..];
        return path.split([':', ' ']).next().map(str::to_owned);
    }
    if let Some(path) = lxc_cgroup(text) {
        return Some(path.to_owned());
    }
    let mut places = text.match_indices("/sys/fs/cgroup/").map(|(at, _)| at);
    let at = places.find(|&at| {
        // Whatever language the rest is in.
        if text[..at].starts_with("mkdir: ") {
            return true;
        }
        let call = text[..at].trim_end_matches(['\'', '"', '`', '‘', '’', '“', '\\', ' ']);
        let call = call.to_ascii_lowercase();
        [
            "mkdir",
            "cannot create directory",
            "creating cgroup directory",
            "creating directory",
            "create directory",
            "create cgroup",
            "cgroup directory",
        ]
        .iter()
        .any(|end| call.ends_with(end))
    })?;
    let path = &text[at..];
    let quotes = [':', '\'', '"', '’', '”', '“', '»', '`', '\\', ' ', '\u{a0}'];
    let end = path.find(quotes).unwrap_or(path.len());
    Some(path[..end].to_owned())
}

/// The cgroup that LXC could not make, with the number of its hierarchy's descriptor before it:
/// `Cannot allocate memory - Failed to create 25(lxc.payload.web) cgroup`.
fn lxc_cgroup(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(" - Failed to create ")?;
    let (number, rest) = rest.split_once('(')?;
    let (path, rest) = rest.split_once(')')?;
    (number.bytes().all(|byte| byte.is_ascii_digit()) && rest.trim_start().starts_with("cgroup"))
        .then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::container::errno::innermost;

    #[track_caller]
    fn reason(text: &str) -> StartError {
        let lower = text.to_ascii_lowercase();
        error(&lower, innermost(&lower).as_ref(), refused_mkdir(text, &lower))
    }

    #[track_caller]
    fn other(text: &str, words: &str) {
        let reason = match reason(text) {
            StartError::Other(reason) => reason,
            StartError::OtherLimit(limit) => limit.reason(),
            other => panic!("{text}: {other:?}"),
        };
        assert!(reason.contains(words), "{text}: {reason}");
    }

    #[test]
    fn an_errno_is_read_with_its_object() {
        other(
            "writing file `/sys/fs/cgroup/cpuset/a/cgroup.procs`: No space left on device",
            "cpuset",
        );
        other(
            "mkdir /sys/fs/cgroup/a/b: resource temporarily unavailable",
            "cgroup.max.descendants",
        );
        other(
            "mkdir /var/lib/docker/overlay2/a-init: no space left on device",
            "file system is full",
        );
        other("unable to join session keyring: disk quota exceeded", "kernel.keys.maxkeys");
        other("write /var/lib/x: disk quota exceeded", "quota");
        other("inotify_add_watch: no space left on device", "inotify");
        other("mkdir /sys/fs/resctrl/a: no space left on device", "CLOSID");
        other("mount overlay:/var/lib/x, flags: 0x0: no space left on device", "fs.mount-max");
        other("adding interface veth1 to bridge docker0 failed: exchange full", "bridge");
        other("newuidmap: uid range [0-65536) -> [1-2) not allowed", "/etc/subuid");
        assert_eq!(reason("failed to unshare namespaces: ENOSPC"), StartError::Namespace);
        assert_eq!(
            reason("ctr -n namespace: fork/exec /usr/bin/runc: errno 11"),
            StartError::Process
        );
        assert_eq!(reason("create veth pair: (os error 12)"), StartError::Unsaid);
        let unit = "unable to start unit \"docker-1.scope\": device or resource busy";
        assert_eq!(reason(unit), StartError::Unsaid);
        other("write /sys/fs/cgroup/cgroup.subtree_control: device or resource busy", "in use");
    }
}
