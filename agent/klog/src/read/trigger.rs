//! Phrases that make a stretch of a log worth reading. Lines far from any of them are counted and
//! not parsed.

/// Each is looked for byte by byte, upper and lower case apart, in the undecoded line: a phrase may
/// hold nothing that JSON escapes. The rarer its first bytes are in logs, the faster the search.
pub const TRIGGERS: &[&str] = &[
    // mm/page_alloc.c: warn_alloc; before 4.10 warn_alloc_failed, with a full stop up to 2.6.3x.
    "page allocation failure",
    "page allocation stalls",
    "vmemmap alloc failure",
    // mm/percpu.c.
    "percpu: allocation failed",
    "PERCPU: allocation failed",
    // kernel/hung_task.c, in the line below the one that names the task.
    "hung_task_timeout_secs",
    // mm/slub.c, mm/slab.c: slab_out_of_memory, and what its callers add.
    "Unable to allocate memory on",
    "kmem_cache_create",
    "nf_conn slab cache",
    // mm/vmalloc.c.
    "vmalloc: allocation failure",
    "vmalloc error",
    "vmalloc size",
    "vmalloc_node_range for size",
    "vmap allocation for size",
    // mm/oom_kill.c, mm/memcontrol.c.
    "invoked oom-killer",
    "oom-kill:",
    "Out of memory",
    "out of memory",
    "Killed process",
    "killed as a result of limit of",
    // kernel/cgroup/pids.c.
    "fork rejected by pids controller",
    // mm/show_mem.c, for reports whose heading was cut.
    "Mem-Info:",
    // errno, in the words of libc and of Go.
    "annot allocate memory",
    "o space left on device",
    "esource temporarily unavailable",
    // Where errno's words are in another language.
    "/sys/fs/cgroup/memory/",
    // runc, containerd, dockerd, kubelet.
    "OCI runtime create failed",
    "oci runtime error",
    "starting container process caused",
    "unable to start container process",
    "failed to create shim",
    "unshare remaining namespaces",
    "FailedCreatePodSandBox",
    "RunPodSandbox",
    "CreatePodSandbox",
    "CreateContainerError",
    "RunContainerError",
    "OCI runtime exec failed",
    "runc create failed",
    "runc run failed",
    "final child's pid",
    "ailed to start container",
    "ailed to create container",
    "ailed to start sandbox",
    "ailed to run container",
    "reate container failed",
    "rror creating container",
    "ontainer creation failed",
    "ontainer create failed",
    "noop process for unshare",
    "unshare: ",
    "unshare failed",
    "annot clone",
    "max_user_namespaces",
    "newuidmap",
    "thread_create failed",
    "ailed to create new OS thread",
    "response from daemon",
    // crun, LXC and LXD.
    "rror: crun:",
    "OOM: the memory limit could be too low",
    "lxc_start:",
    "lxc_spawn:",
    "ailed to spawn container",
    "ailed to start instance",
    // init/version.c: which kernel the lines after it are of.
    "Linux version ",
];
