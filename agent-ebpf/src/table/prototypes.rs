//! The functions that hooks are attached to, as the kernel declares them.
use super::function::Function;

/// `ERR_PTR` on failure.
pub(super) const COPY_NET_NS: Function = Function::new(
    "struct net *copy_net_ns(unsigned long flags, struct user_namespace *user_ns, \
                struct net *old_net)",
    "5.10-6.12, with u64 flags 7.2; net/core/net_namespace.c",
);

/// Makes all namespaces of one `clone` or `unshare` but the user namespace, the network's second to
/// last. `ERR_PTR` on failure.
pub(super) const CREATE_NEW_NAMESPACES: Function = Function::new(
    "struct nsproxy *create_new_namespaces(unsigned long flags, struct task_struct *tsk, \
                struct user_namespace *user_ns, struct fs_struct *new_fs)",
    "5.10-6.12, with u64 flags 7.2; kernel/nsproxy.c",
);

/// Probed on its entry, where the kernel allows that.
pub(super) const ALLOC_PAGES_SLOWPATH: Function = Function::new(
    "struct page *__alloc_pages_slowpath(gfp_t gfp_mask, unsigned int order, \
                struct alloc_context *ac)",
    "5.10-7.2; mm/page_alloc.c",
);

/// The slow path calls it on entry and on every retry if the mask has `__GFP_KSWAPD_RECLAIM`.
pub(super) const WAKE_ALL_KSWAPDS: Function = Function::new(
    "void wake_all_kswapds(unsigned int order, gfp_t gfp_mask, \
                const struct alloc_context *ac)",
    "5.10-6.12, inlined on 7.2; mm/page_alloc.c",
);

/// What `wake_all_kswapds` calls for each node.
pub(super) const WAKEUP_KSWAPD: Function = Function::new(
    "void wakeup_kswapd(struct zone *zone, gfp_t gfp_flags, int order, \
                enum zone_type highest_zoneidx)",
    "5.10-7.2; mm/vmscan.c",
);

/// The slow path calls it whenever it returns NULL, before it looks at `__GFP_NOWARN`.
pub(super) const WARN_ALLOC: Function = Function::new(
    "void warn_alloc(gfp_t gfp_mask, nodemask_t *nodemask, const char *fmt, ...)",
    "5.10-7.2; mm/page_alloc.c",
);

/// Direct compaction.
pub(super) const TRY_TO_COMPACT_PAGES: Function = Function::new(
    "enum compact_result try_to_compact_pages(gfp_t gfp_mask, unsigned int order, \
                unsigned int alloc_flags, const struct alloc_context *ac, \
                enum compact_priority prio, struct page **capture)",
    "5.10-7.2; mm/compaction.c",
);

/// Direct reclaim; returns the pages that it freed.
pub(super) const TRY_TO_FREE_PAGES: Function = Function::new(
    "unsigned long try_to_free_pages(struct zonelist *zonelist, int order, \
                gfp_t gfp_mask, nodemask_t *nodemask)",
    "5.10-7.2; mm/vmscan.c",
);

/// Reclaim for a charge to a memory cgroup that found no room.
pub(super) const TRY_TO_FREE_MEM_CGROUP_PAGES: Function = Function::new(
    "unsigned long try_to_free_mem_cgroup_pages(struct mem_cgroup *memcg, \
                unsigned long nr_pages, gfp_t gfp_mask, bool may_swap)",
    "5.10, with other flags at the end 6.1-7.2; mm/vmscan.c",
);

/// NULL on failure, as the two that follow.
pub(super) const KMEM_CACHE_CREATE_ARGS: Function = Function::new(
    "struct kmem_cache *__kmem_cache_create_args(const char *name, \
                unsigned int object_size, struct kmem_cache_args *args, slab_flags_t flags)",
    "6.12-7.2; mm/slab_common.c",
);

/// What `kmem_cache_create` calls.
pub(super) const KMEM_CACHE_CREATE_USERCOPY: Function = Function::new(
    "struct kmem_cache *kmem_cache_create_usercopy(const char *name, \
                unsigned int size, unsigned int align, slab_flags_t flags, \
                unsigned int useroffset, unsigned int usersize, void (*ctor)(void *))",
    "5.10-6.1; mm/slab_common.c",
);

/// A macro where `__kmem_cache_create_args` is a function.
pub(super) const KMEM_CACHE_CREATE: Function = Function::new(
    "struct kmem_cache *kmem_cache_create(const char *name, unsigned int size, \
                unsigned int align, slab_flags_t flags, void (*ctor)(void *))",
    "5.10-6.1; mm/slab_common.c",
);

/// Runs one subsystem's init for a new network namespace.
pub(super) const OPS_INIT: Function = Function::new(
    "int ops_init(const struct pernet_operations *ops, struct net *net)",
    "5.10-7.2; net/core/net_namespace.c",
);

/// Undoes what was initialised before `ops` failed, last first; with NULL all of it, for a network namespace
/// that is destroyed.
pub(super) const OPS_UNDO_LIST: Function = Function::new(
    "void ops_undo_list(const struct list_head *ops_list, const struct pernet_operations *ops, \
                struct list_head *net_exit_list, bool expedite_rcu)",
    "7.2; net/core/net_namespace.c",
);

/// The same in a stable series.
pub(super) const OPS_UNDO_LIST_STABLE: Function = Function::new(
    "void ops_undo_list(const struct list_head *ops_list, const struct pernet_operations *ops, \
                struct list_head *net_exit_list, bool expedite_rcu, bool hold_rtnl)",
    "6.12.117; net/core/net_namespace.c",
);

/// False if a limit has no room, which `*fail` then is.
pub(super) const PAGE_COUNTER_TRY_CHARGE: Function = Function::new(
    "bool page_counter_try_charge(struct page_counter *counter, \
                unsigned long nr_pages, struct page_counter **fail)",
    "5.10-7.2; mm/page_counter.c",
);

/// For the node's memory and for memory cgroups' alike.
pub(super) const OOM_KILL_PROCESS: Function = Function::new(
    "void oom_kill_process(struct oom_control *oc, const char *message)",
    "5.10-7.2; mm/oom_kill.c",
);

/// Creates a cgroup.
pub(super) const CGROUP_MKDIR: Function = Function::new(
    "int cgroup_mkdir(struct kernfs_node *parent_kn, const char *name, umode_t mode)",
    "5.10-7.2; kernel/cgroup/cgroup.c",
);

/// The memory controller's part of it; `ERR_PTR` on failure.
pub(super) const MEM_CGROUP_CSS_ALLOC: Function = Function::new(
    "struct cgroup_subsys_state *mem_cgroup_css_alloc(\
                struct cgroup_subsys_state *parent_css)",
    "5.10-7.2; mm/memcontrol.c",
);

/// NULL if a limit `user.max_*_namespaces` refuses, or without memory for the count.
pub(super) const INC_UCOUNT: Function = Function::new(
    "struct ucounts *inc_ucount(struct user_namespace *ns, kuid_t uid, \
                enum ucount_type type)",
    "5.10-7.2; kernel/ucount.c",
);

/// `-EAGAIN` if a cgroup has as many processes as its `pids.max` allows.
pub(super) const PIDS_CAN_FORK: Function = Function::new(
    "int pids_can_fork(struct task_struct *task, struct css_set *cset)",
    "5.10-7.2; kernel/cgroup/pids.c",
);
