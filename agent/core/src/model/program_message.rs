//! What programs say of a container that didn't start.

/// A container that didn't start, as a program's log says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerFailure {
    /// Who says so.
    pub program: Option<String>,
    /// The container's id.
    pub container: Option<String>,
    /// The pod's name.
    pub pod: Option<String>,
    /// The pod's namespace.
    pub namespace: Option<String>,
    /// The pod's uid.
    pub pod_uid: Option<String>,
    /// The error in it, as a positive errno.
    pub errno: Option<i32>,
    /// What it says went wrong.
    pub error: StartError,
    /// What it says, shortened. It comes from outside.
    pub said: String,
}

/// What went wrong at a container's start, as far as a program says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// This cgroup directory could not be made.
    CgroupMkdir(String),
    /// A namespace was refused.
    Namespace,
    /// A process was refused.
    Process,
    /// Its memory cgroup's limit is too low, in these words.
    MemoryLimit(&'static str),
    /// A limit that is none of memory.
    OtherLimit(OtherLimit),
    /// Something that has nothing to do with memory.
    Other(&'static str),
    /// It doesn't say, or no more than an errno.
    Unsaid,
}

/// A limit that is none of memory, which has remedies of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherLimit {
    /// `cgroup.max.descendants` or `cgroup.max.depth`.
    Cgroups,
    /// `kernel.keys.maxkeys` or `kernel.keys.maxbytes`.
    Keys,
    /// `fs.inotify.max_user_watches` or `fs.inotify.max_user_instances`.
    Inotify,
    /// `fs.mount-max`.
    Mounts,
    /// Open files of the process or the machine.
    OpenFiles,
    /// Ports of a bridge.
    BridgePorts,
    /// Groups of resctrl.
    Resctrl,
    /// CPUs or memory nodes of a cpuset.
    Cpuset,
    /// Blocks or inodes of a file system.
    FileSystem,
    /// The user's quota of a file system.
    FileQuota,
}

impl OtherLimit {
    /// What was hit, in a sentence.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Cgroups => {
                "a cgroup above has as many cgroups below it as cgroup.max.descendants or \
                 cgroup.max.depth allows"
            }
            Self::Keys => {
                "the user has as many keys as kernel.keys.maxkeys allows, or as many bytes of them \
                 as kernel.keys.maxbytes"
            }
            Self::Inotify => "inotify's watches or instances are used up",
            Self::Mounts => "the mount namespace has as many mounts as fs.mount-max allows",
            Self::OpenFiles => "the process has as many open files as it may have",
            Self::BridgePorts => "the bridge has as many ports as it can have",
            Self::Resctrl => "resctrl has no group (CLOSID) left",
            Self::Cpuset => {
                "a cpuset cgroup has no CPUs or no memory nodes: cpuset.cpus or cpuset.mems is empty"
            }
            Self::FileSystem => "a file system is full, of blocks or of inodes",
            Self::FileQuota => "a file system's quota is used up",
        }
    }
}
