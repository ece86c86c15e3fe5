//! The kernel functions that hooks attach to.

/// A kernel function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name, without a suffix of the compiler's.
    pub name: &'static str,
    /// How many parameters it has. Behind them an fexit program finds the return value, so a
    /// trampoline is used only where BTF says the same number.
    pub parameters: u32,
    /// Its prototype.
    pub prototype: &'static str,
    /// The kernels that have it with this prototype, and the file that it is in.
    pub kernels: &'static str,
}

/// `ERR_PTR` on failure.
pub const COPY_NET_NS: Function = Function {
    name: "copy_net_ns",
    parameters: 3,
    prototype: "struct net *copy_net_ns(unsigned long flags, struct user_namespace *user_ns, \
                struct net *old_net)",
    kernels: "5.10-6.12, with u64 flags 7.2; net/core/net_namespace.c",
};

/// Makes all namespaces of one `clone` or `unshare` but the user namespace, the network's second to
/// last. `ERR_PTR` on failure.
pub const CREATE_NEW_NAMESPACES: Function = Function {
    name: "create_new_namespaces",
    parameters: 4,
    prototype: "struct nsproxy *create_new_namespaces(unsigned long flags, struct task_struct *tsk, \
                struct user_namespace *user_ns, struct fs_struct *new_fs)",
    kernels: "5.10-6.12, with u64 flags 7.2; kernel/nsproxy.c",
};

/// Probed on its entry, where the kernel allows that.
pub const ALLOC_PAGES_SLOWPATH: Function = Function {
    name: "__alloc_pages_slowpath",
    parameters: 3,
    prototype: "struct page *__alloc_pages_slowpath(gfp_t gfp_mask, unsigned int order, \
                struct alloc_context *ac)",
    kernels: "5.10-7.2; mm/page_alloc.c",
};

/// The slow path calls it on entry and on every retry if the mask has `__GFP_KSWAPD_RECLAIM`.
pub const WAKE_ALL_KSWAPDS: Function = Function {
    name: "wake_all_kswapds",
    parameters: 3,
    prototype: "void wake_all_kswapds(unsigned int order, gfp_t gfp_mask, \
                const struct alloc_context *ac)",
    kernels: "5.10-6.12, inlined on 7.2; mm/page_alloc.c",
};

/// The slow path calls it whenever it returns NULL, before it looks at `__GFP_NOWARN`.
pub const WARN_ALLOC: Function = Function {
    name: "warn_alloc",
    parameters: 4,
    prototype: "void warn_alloc(gfp_t gfp_mask, nodemask_t *nodemask, const char *fmt, ...)",
    kernels: "5.10-7.2; mm/page_alloc.c",
};

/// Direct compaction.
pub const TRY_TO_COMPACT_PAGES: Function = Function {
    name: "try_to_compact_pages",
    parameters: 6,
    prototype: "enum compact_result try_to_compact_pages(gfp_t gfp_mask, unsigned int order, \
                unsigned int alloc_flags, const struct alloc_context *ac, \
                enum compact_priority prio, struct page **capture)",
    kernels: "5.10-7.2; mm/compaction.c",
};

/// Direct reclaim; returns the pages that it freed.
pub const TRY_TO_FREE_PAGES: Function = Function {
    name: "try_to_free_pages",
    parameters: 4,
    prototype: "unsigned long try_to_free_pages(struct zonelist *zonelist, int order, \
                gfp_t gfp_mask, nodemask_t *nodemask)",
    kernels: "5.10-7.2; mm/vmscan.c",
};

/// NULL on failure, as the two that follow.
pub const KMEM_CACHE_CREATE_ARGS: Function = Function {
    name: "__kmem_cache_create_args",
    parameters: 4,
    prototype: "struct kmem_cache *__kmem_cache_create_args(const char *name, \
                unsigned int object_size, struct kmem_cache_args *args, slab_flags_t flags)",
    kernels: "6.12-7.2; mm/slab_common.c",
};

/// What `kmem_cache_create` calls.
pub const KMEM_CACHE_CREATE_USERCOPY: Function = Function {
    name: "kmem_cache_create_usercopy",
    parameters: 7,
    prototype: "struct kmem_cache *kmem_cache_create_usercopy(const char *name, \
                unsigned int size, unsigned int align, slab_flags_t flags, \
                unsigned int useroffset, unsigned int usersize, void (*ctor)(void *))",
    kernels: "5.10-6.1; mm/slab_common.c",
};

/// A macro where `__kmem_cache_create_args` is a function.
pub const KMEM_CACHE_CREATE: Function = Function {
    name: "kmem_cache_create",
    parameters: 5,
    prototype: "struct kmem_cache *kmem_cache_create(const char *name, unsigned int size, \
                unsigned int align, slab_flags_t flags, void (*ctor)(void *))",
    kernels: "5.10-6.1; mm/slab_common.c",
};

/// Runs one subsystem's init for a new network namespace.
pub const OPS_INIT: Function = Function {
    name: "ops_init",
    parameters: 2,
    prototype: "int ops_init(const struct pernet_operations *ops, struct net *net)",
    kernels: "5.10-7.2; net/core/net_namespace.c",
};

/// False if a limit has no room, which `*fail` then is.
pub const PAGE_COUNTER_TRY_CHARGE: Function = Function {
    name: "page_counter_try_charge",
    parameters: 3,
    prototype: "bool page_counter_try_charge(struct page_counter *counter, \
                unsigned long nr_pages, struct page_counter **fail)",
    kernels: "5.10-7.2; mm/page_counter.c",
};

/// For the node's memory and for memory cgroups' alike.
pub const OOM_KILL_PROCESS: Function = Function {
    name: "oom_kill_process",
    parameters: 2,
    prototype: "void oom_kill_process(struct oom_control *oc, const char *message)",
    kernels: "5.10-7.2; mm/oom_kill.c",
};

/// Creates a cgroup.
pub const CGROUP_MKDIR: Function = Function {
    name: "cgroup_mkdir",
    parameters: 3,
    prototype: "int cgroup_mkdir(struct kernfs_node *parent_kn, const char *name, umode_t mode)",
    kernels: "5.10-7.2; kernel/cgroup/cgroup.c",
};

/// The memory controller's part of it; `ERR_PTR` on failure.
pub const MEM_CGROUP_CSS_ALLOC: Function = Function {
    name: "mem_cgroup_css_alloc",
    parameters: 1,
    prototype: "struct cgroup_subsys_state *mem_cgroup_css_alloc(\
                struct cgroup_subsys_state *parent_css)",
    kernels: "5.10-7.2; mm/memcontrol.c",
};

/// NULL if a limit `user.max_*_namespaces` refuses, or without memory for the count.
pub const INC_UCOUNT: Function = Function {
    name: "inc_ucount",
    parameters: 3,
    prototype: "struct ucounts *inc_ucount(struct user_namespace *ns, kuid_t uid, \
                enum ucount_type type)",
    kernels: "5.10-7.2; kernel/ucount.c",
};

/// `-EAGAIN` if a cgroup has as many processes as its `pids.max` allows.
pub const PIDS_CAN_FORK: Function = Function {
    name: "pids_can_fork",
    parameters: 2,
    prototype: "int pids_can_fork(struct task_struct *task, struct css_set *cset)",
    kernels: "5.10-7.2; kernel/cgroup/pids.c",
};
