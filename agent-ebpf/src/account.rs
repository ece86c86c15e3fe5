//! How much any one user, or one cgroup of root's, may have recorded of trouble with containers' steps: without
//! a limit, a process that fails thousands of times in a second would fill rings and reports.
use aya_ebpf::{bindings::BPF_NOEXIST, helpers::generated::bpf_get_current_comm};
use fragwatch_ebpf::{
    Account, COMM_LEN, Counter, DETAILS, MAX_DETAILS_OF_ROOT, MAX_DETAILS_OF_USER, MAX_OF_ROOT,
    MAX_OF_USER, ROOT_PERIOD_NS, Repeats, UNKNOWN_USER, USER_PERIOD_NS,
};

use crate::{
    cgroup,
    counters::count,
    kernel::now,
    maps::REPEATS,
    state::{Details, Thread},
    thread, user,
};

/// What new elements are copied from.
static BLANK: &Repeats = &Repeats {
    since_ns: 0,
    count: 0,
    omitted: 0,
    last_ns: 0,
    cgroup_id: 0,
    tgid: 0,
    reserved: 0,
    comm: [0; COMM_LEN],
};

/// How much an account may have recorded, and in which time.
struct Limit {
    count: u64,
    period_ns: u64,
}

/// Whether a step of the current task that failed with `errno`, or succeeded with trouble (0), is to be recorded.
/// If not, it is counted.
#[inline(never)]
pub(crate) fn admit(step: u32, errno: i32) -> bool {
    let user = user::current();
    let limit = if is_root(user) {
        Limit { count: MAX_OF_ROOT, period_ns: ROOT_PERIOD_NS }
    } else {
        Limit { count: MAX_OF_USER, period_ns: USER_PERIOD_NS }
    };
    let admitted = spend(&key(user, step, errno), &limit);
    if !admitted {
        omit_of(user, step, errno);
    }
    admitted
}

/// Counts a step of the current task that is not recorded.
#[inline(never)]
pub(crate) fn omit(step: u32, errno: i32) {
    omit_of(user::current(), step, errno);
}

/// Whether the records of a creation are sent. That is decided when the first one is due.
#[inline(always)]
pub(crate) fn is_detailed(thread: &mut Thread) -> bool {
    if thread.details == Details::Undecided {
        thread.details = if admit_details() { Details::Recorded } else { Details::Omitted };
    }
    thread.details == Details::Recorded
}

#[inline(never)]
fn admit_details() -> bool {
    let user = user::current();
    let limit = if is_root(user) {
        Limit { count: MAX_DETAILS_OF_ROOT, period_ns: ROOT_PERIOD_NS }
    } else {
        Limit { count: MAX_DETAILS_OF_USER, period_ns: USER_PERIOD_NS }
    };
    spend(&key(user, DETAILS, 0), &limit)
}

/// A task whose user is not known may be any.
#[inline(always)]
fn is_root(user: u32) -> bool {
    user == 0 || user == UNKNOWN_USER
}

#[inline(always)]
fn key(user: u32, step: u32, errno: i32) -> Account {
    let cgroup = if is_root(user) { cgroup::current_id() } else { 0 };
    Account { user, step, errno, reserved: 0, cgroup }
}

/// Counts one more. True if it is within the limit.
#[inline(always)]
fn spend(account: &Account, limit: &Limit) -> bool {
    if REPEATS.get_ptr(account).is_none() {
        // Two CPUs may do so at once; if it can't be kept, all are recorded.
        let _ = REPEATS.insert(account, BLANK, u64::from(BPF_NOEXIST));
    }
    let Some(repeats) = REPEATS.get_ptr_mut(account) else { return true };
    // SAFETY: memory of the map. Should the element be evicted and reused meanwhile, or another CPU count at the
    // same time, one is recorded too many or too few.
    let repeats = unsafe { &mut *repeats };
    let time = now();
    if time.saturating_sub(repeats.since_ns) >= limit.period_ns {
        repeats.since_ns = time;
        repeats.count = 0;
    }
    repeats.count += 1;
    repeats.count <= limit.count
}

#[inline(always)]
fn omit_of(user: u32, step: u32, errno: i32) {
    count(Counter::OmittedCreations);
    let account = &key(user, step, errno);
    if REPEATS.get_ptr(account).is_none() {
        let _ = REPEATS.insert(account, BLANK, u64::from(BPF_NOEXIST));
    }
    let Some(repeats) = REPEATS.get_ptr_mut(account) else { return };
    // SAFETY: as above.
    let repeats = unsafe { &mut *repeats };
    repeats.omitted += 1;
    repeats.last_ns = now();
    repeats.cgroup_id = cgroup::current_id();
    repeats.tgid = thread::tgid();
    // SAFETY: the buffer is as large as is said. Should it fail, the helper clears the buffer.
    unsafe { bpf_get_current_comm(repeats.comm.as_mut_ptr().cast(), COMM_LEN as u32) };
}
