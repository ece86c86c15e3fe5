//! What runtimes and their callers say when a container doesn't start: runc, crun, dockerd,
//! containerd, kubelet, podman, LXC and LXD. Their words change from release to release, so this
//! looks for what stays: the phrase that says that a start failed, the words of errno (Go's and
//! libc's are alike), the path of a mkdir, ids.
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use fragwatch_core::model::{
    container::is_id,
    program_message::{ContainerFailure, StartError},
};

/// Phrases of a start that failed; lower case.
const PHRASES: &[&str] = &[
    "oci runtime error",
    "oci runtime create failed",
    "oci runtime exec failed",
    "container_linux.go:",
    "container process caused",
    "unable to start container process",
    "runc create failed",
    "runc run failed",
    "unshare remaining namespaces",
    "final child's pid from pipe",
    "failed to start container",
    "containerd: start container",
    "failed to create containerd task",
    "failed to create shim",
    "failed to start sandbox",
    "failed to create container",
    "failed to spawn container",
    "failed to run container",
    "failed to start instance",
    "create container failed",
    "error creating container",
    "runpodsandbox",
    "createpodsandbox",
    "createcontainererror",
    "runcontainererror",
    "failed to clone",
    "noop process for unshare",
    "fork/exec /proc/self/exe",
    "lxc_start:",
    "lxc_spawn:",
    "error: crun:",
    "unshare:",
    "unshare failed",
    "cannot clone",
    "clone()",
    "newuidmap",
    "max_user_namespaces",
    "failed to fork",
    "fork: retry",
    ": fork: ",
    "cannot fork",
    "can't fork",
    "pthread_create failed",
    "failed to create new os thread",
    "failed to create cgroup",
    "inotify_add_watch",
];

/// Words of a cgroup directory that could not be made; lower case.
const REFUSED: &[&str] = &[
    "cannot allocate memory",
    "no space left on device",
    "device or resource busy",
    "resource temporarily unavailable",
];

/// Finds lines that have a phrase or words of that kind: most have none.
static NEWS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let words = PHRASES.iter().chain(REFUSED);
    AhoCorasick::builder().ascii_case_insensitive(true).build(words).ok()
});

/// Words of failure; lower case. A phrase without any is no news.
const FAILED: &[&str] = &[
    "fail",
    "error",
    "caused",
    "cannot",
    "can't",
    "unable",
    "fatal",
    "no space",
    "denied",
    "not permitted",
    "unavailable",
    "disabled",
    "not enabled",
];

/// errno's words, lower case (glibc, musl and Go agree on these).
const ERRNOS: &[(&str, i32)] = &[
    ("cannot allocate memory", libc::ENOMEM),
    ("out of memory", libc::ENOMEM),
    ("no space left on device", libc::ENOSPC),
    ("resource temporarily unavailable", libc::EAGAIN),
    ("errno=11", libc::EAGAIN),
    ("operation not permitted", libc::EPERM),
    ("permission denied", libc::EACCES),
    ("device or resource busy", libc::EBUSY),
    ("invalid argument", libc::EINVAL),
    ("read-only file system", libc::EROFS),
    ("exec format error", libc::ENOEXEC),
    ("function not implemented", libc::ENOSYS),
    ("operation not supported", libc::EOPNOTSUPP),
    ("protocol not supported", libc::EPROTONOSUPPORT),
    ("no such device", libc::ENODEV),
    ("no such file or directory", libc::ENOENT),
    ("not a directory", libc::ENOTDIR),
    ("connection refused", libc::ECONNREFUSED),
    ("disk quota exceeded", libc::EDQUOT),
];

/// Reasons that have nothing to do with memory, and in what words they are told; lower case.
const OTHER_REASONS: &[(&str, &str)] = &[
    ("executable file not found", "the image has no such program"),
    ("exec format error", "the program is not one for this machine"),
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
];

/// Calls that make processes and namespaces; lower case.
const CLONES: &[&str] = &["clone", "unshare", "fork", "namespace", "pthread_create", "os thread"];

/// Parses a line of a program.
pub(super) fn parse(text: &str, program: Option<&str>) -> Option<ContainerFailure> {
    if NEWS.as_ref().is_some_and(|news| !news.is_match(text)) {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let mkdir = refused_mkdir(text, &lower);
    let phrase = PHRASES.iter().any(|phrase| lower.contains(phrase));
    if mkdir.is_none() && !(phrase && FAILED.iter().any(|word| lower.contains(word))) {
        return None;
    }
    // The innermost error stands last.
    let said = ERRNOS.iter().filter_map(|&(words, errno)| Some((lower.rfind(words)?, errno)));
    let errno = said.max_by_key(|&(at, _)| at).map(|(_, errno)| errno);
    let (pod, namespace, pod_uid) = pod(text);
    Some(ContainerFailure {
        program: program.map(str::to_owned),
        container: container(text),
        pod,
        namespace,
        pod_uid,
        errno,
        error: error(&lower, errno, mkdir),
        said: excerpt(text),
    })
}

fn error(lower: &str, errno: Option<i32>, mkdir: Option<String>) -> StartError {
    if let Some(path) = mkdir {
        return StartError::CgroupMkdir(path);
    }
    let clones = CLONES.iter().any(|call| lower.contains(call));
    if lower.contains("inotify") && matches!(errno, Some(libc::ENOSPC | libc::EMFILE)) {
        return StartError::Other("inotify's watches or instances are used up");
    }
    match errno {
        Some(libc::ENOSPC) if clones => StartError::Namespace,
        Some(libc::EAGAIN) if clones => StartError::Process,
        Some(libc::ENOSPC) => StartError::Other("a file system is full"),
        // Whatever else is said, these two may come of memory.
        Some(libc::ENOMEM | libc::EAGAIN) => StartError::Unsaid,
        _ => {
            let told = OTHER_REASONS.iter().find(|(words, _)| lower.contains(words));
            match (told, errno) {
                (Some(&(_, reason)), _) => StartError::Other(reason),
                (None, Some(libc::EPERM | libc::EACCES)) => StartError::Other(
                    "the kernel forbade it: rights, seccomp or namespaces turned off",
                ),
                (None, Some(libc::ENOENT)) => StartError::Other("a file or directory is missing"),
                (None, Some(libc::ENOTDIR)) => {
                    StartError::Other("a file is where a directory must be, or the other way round")
                }
                (None, Some(libc::ECONNREFUSED)) => {
                    StartError::Other("a server that it needs does not answer")
                }
                (None, Some(libc::EDQUOT)) => {
                    StartError::Other("a quota is used up, of keys or of a file system")
                }
                (None, Some(libc::EROFS)) => StartError::Other("a file system is read-only"),
                (
                    None,
                    Some(libc::ENOSYS | libc::EOPNOTSUPP | libc::EPROTONOSUPPORT | libc::ENODEV),
                ) => StartError::Other("the kernel lacks what it needs: a module or an option"),
                (None, Some(libc::EINVAL)) => StartError::Other("the kernel refused its settings"),
                _ => StartError::Unsaid,
            }
        }
    }
}

/// The cgroup directory that could not be made: `mkdir /sys/fs/cgroup/memory/a: cannot allocate
/// memory`, or coreutils' `mkdir: cannot create directory '/sys/fs/cgroup/a': …`.
fn refused_mkdir(text: &str, lower: &str) -> Option<String> {
    if !REFUSED.iter().any(|words| lower.contains(words)) {
        return None;
    }
    let systemd = text.split_once("ailed to create cgroup /").map(|(before, _)| before.len());
    if let Some(at) = systemd {
        let path = &text[at + "ailed to create cgroup ".len()..];
        return path.split([':', ' ']).next().map(str::to_owned);
    }
    let (before, _) = text.split_once("/sys/fs/cgroup/")?;
    let call = before.trim_end_matches(['\'', '"', '`', '‘', '’', '“', '\\', ' ']);
    if !call.ends_with("mkdir") && !call.ends_with("cannot create directory") {
        return None;
    }
    let path = &text[before.len()..];
    let end = path.find([':', '\'', '"', '’', '”', '`', '\\', ' ']).unwrap_or(path.len());
    Some(path[..end].to_owned())
}

/// A container's id: 64 hex digits, after a word that says so if there are several.
fn container(text: &str) -> Option<String> {
    let hex = |c: char| c.is_ascii_hexdigit();
    let runs = || text.split(|c| !hex(c)).filter(|run| is_id(run));
    let named = ["id=", "containers/", "container ", "docker-", "libpod-", "crio-", "containerd-"];
    let after = |name: &str| {
        text.match_indices(name).find_map(|(at, _)| {
            let rest = text[at + name.len()..].trim_start_matches(['"', '\\']);
            rest.split(|c| !hex(c)).next().filter(|run| is_id(run))
        })
    };
    named.iter().find_map(|name| after(name)).or_else(|| runs().next()).map(str::to_owned)
}

/// A pod's name, namespace and uid: kubelet's `"name_namespace(uid)"` or `pod="namespace/name"`,
/// or `for pod "name"`.
fn pod(text: &str) -> (Option<String>, Option<String>, Option<String>) {
    let name_like = |text: &str| {
        !text.is_empty()
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
    };
    let owned = |text: &str| Some(text.to_owned());
    for quoted in text.split('"') {
        let quoted = quoted.trim_end_matches('\\');
        if let Some((name, rest)) = quoted.split_once('_')
            && let Some((namespace, uid)) = rest.split_once('(')
            && let Some(uid) = uid.strip_suffix(')')
            && name_like(name)
            && name_like(namespace)
            && name_like(uid)
        {
            return (owned(name), owned(namespace), owned(uid));
        }
    }
    let quoted = |key: &str| text.split_once(key)?.1.split(['"', '\\']).next();
    if let Some((namespace, name)) = quoted("pod=\"").and_then(|pod| pod.split_once('/'))
        && name_like(name)
        && name_like(namespace)
    {
        let uid = quoted("podUID=\"").filter(|uid| name_like(uid)).and_then(owned);
        return (owned(name), owned(namespace), uid);
    }
    let name =
        quoted("for pod \"").or_else(|| quoted("for pod \\\"")).filter(|name| name_like(name));
    (name.and_then(owned), None, None)
}

/// As much of a line as a report shows.
const EXCERPT: usize = 240;

fn excerpt(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(EXCERPT) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
