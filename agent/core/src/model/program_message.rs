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
    /// Something that has nothing to do with memory.
    Other(&'static str),
    /// It doesn't say, or no more than an errno.
    Unsaid,
}
