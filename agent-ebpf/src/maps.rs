//! The maps, except the counters: three rings, and what is known of the threads that are followed.
use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, ProgramArray, RingBuf},
};

use fragwatch_ebpf::{Account, MIGRATETYPES, Repeats, SYMBOL_LEN};

use crate::state::{OutsideRefusal, Repeated, Reported, Thread};

/// `MAX_NUMNODES` of x86-64 with the largest `CONFIG_NODES_SHIFT` (arch/x86/Kconfig).
const MAX_NODES: u32 = 1024;

/// What belongs to a creation. Never shared with anything that can flood.
#[map]
pub(crate) static CREATION_EVENTS: RingBuf = RingBuf::with_byte_size(512 * 1024, 0);

/// What happens outside creations: with `--all` all of it, else what is rare.
#[map]
pub(crate) static OTHER_EVENTS: RingBuf = RingBuf::with_byte_size(512 * 1024, 0);

/// Bytes of [`CGROUP_EVENTS`].
pub(crate) const CGROUP_EVENTS_LEN: u32 = 256 * 1024;

/// Cgroups that were made, in a ring of their own: a node can make thousands in a second.
#[map]
pub(crate) static CGROUP_EVENTS: RingBuf = RingBuf::with_byte_size(CGROUP_EVENTS_LEN, 0);

/// Threads inside `copy_net_ns` or a system call around it, by thread id.
#[map]
pub(crate) static CREATING: HashMap<u32, Thread> = HashMap::with_max_entries(4096, 0);

/// Threads that allocate outside a creation, by thread id: with `--all`, else those that call the OOM
/// killer.
#[map]
pub(crate) static OUTSIDE: LruHashMap<u32, Thread> = LruHashMap::with_max_entries(4096, 0);

/// `pg_data_t` of each node, by its number; 0 of one that is not there.
#[map]
pub(crate) static NODES: Array<u64> = Array::with_max_entries(MAX_NODES, 0);

/// The program that reads one zone, put there by the agent.
#[map]
pub(crate) static ZONE_WALK: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Calls of clone3 whose arguments could not be read on the way in, by thread id: their address.
#[map]
pub(crate) static UNREAD_CALLS: LruHashMap<u32, u64> = LruHashMap::with_max_entries(256, 0);

/// Threads that count a namespace of theirs, where only a kretprobe will see the answer: its kind.
#[map]
pub(crate) static COUNTED_NAMESPACES: LruHashMap<u32, u32> = LruHashMap::with_max_entries(256, 0);

/// Failures by mask and order: those of a creation whose caller has a fallback, by its thread, and with `--all`
/// those outside creations.
#[map]
pub(crate) static REPEATED_FAILURES: LruHashMap<u64, Repeated> =
    LruHashMap::with_max_entries(256, 0);

/// Trouble that repeats, by whose it is and of which kind.
#[map]
pub(crate) static REPEATS: LruHashMap<Account, Repeats> = LruHashMap::with_max_entries(512, 0);

/// Ends of creations for which [`CREATION_EVENTS`] has no room: some five hundred.
#[map]
pub(crate) static BRIEF_ENDS: RingBuf = RingBuf::with_byte_size(64 * 1024, 0);

/// When `copy_net_ns` last failed in a creation, by thread id.
#[map]
pub(crate) static FAILED_NETNS: LruHashMap<u32, u64> = LruHashMap::with_max_entries(256, 0);

/// When a refused fork was last reported, by the id of the cgroup that the child would be in: repeated refusals
/// are reported once a second.
#[map]
pub(crate) static REFUSED_FORKS: LruHashMap<u64, u64> = LruHashMap::with_max_entries(256, 0);

/// The last error that a hook has reported and a step around it fails with, by thread id.
#[map]
pub(crate) static REPORTED: LruHashMap<u32, Reported> = LruHashMap::with_max_entries(256, 0);

/// Failed steps by cgroup, step and error.
#[map]
pub(crate) static FAILED_STEPS: LruHashMap<u64, Repeated> = LruHashMap::with_max_entries(256, 0);

/// The last refused charge outside creations, by thread id.
#[map]
pub(crate) static REFUSALS: LruHashMap<u32, OutsideRefusal> = LruHashMap::with_max_entries(256, 0);

/// What `symbol_name` was last asked for, as the kernel prints it, with a NUL.
#[map]
pub(crate) static SYMBOL: Array<[u8; SYMBOL_LEN]> = Array::with_max_entries(1, 0);

/// Allocations that took a block of another migratetype: of each wanted type those of each stolen one.
#[map]
pub(crate) static FALLBACKS: PerCpuArray<u64> =
    PerCpuArray::with_max_entries((MIGRATETYPES * MIGRATETYPES) as u32, 0);
