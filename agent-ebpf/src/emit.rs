//! Writing a record into the ring that it belongs to.
use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP, BPF_RB_RING_SIZE},
    helpers::{bpf_get_current_pid_tgid, generated::bpf_get_current_comm},
};
use fragwatch_ebpf::{BriefEnd, COMM_LEN, Counter, Head, Record, UNKNOWN_USER};

use crate::{
    account, cgroup,
    counters::count,
    kernel::now,
    maps::{BRIEF_ENDS, CGROUP_EVENTS, CGROUP_EVENTS_LEN, CREATION_EVENTS, OTHER_EVENTS},
    state::Thread,
    thread, user,
};

/// The head of a record about the current task.
#[inline(always)]
fn head<R: Record>(creation_ns: u64) -> Head {
    let ids = bpf_get_current_pid_tgid();
    let mut comm = [0; COMM_LEN];
    // SAFETY: the buffer is as large as is said. Should it fail, the helper clears the buffer.
    unsafe { bpf_get_current_comm(comm.as_mut_ptr().cast(), COMM_LEN as u32) };
    Head {
        kind: R::KIND as u32,
        tid: ids as u32,
        tgid: (ids >> 32) as u32,
        user: user::current(),
        time_ns: now(),
        creation_ns,
        cgroup_id: cgroup::current_id(),
        comm,
    }
}

/// The head of a record about a cgroup, of which only time and process are used: who made it is found by these.
#[inline(always)]
fn cgroup_head<R: Record>() -> Head {
    let ids = bpf_get_current_pid_tgid();
    Head {
        kind: R::KIND as u32,
        tid: ids as u32,
        tgid: (ids >> 32) as u32,
        user: UNKNOWN_USER,
        time_ns: now(),
        creation_ns: 0,
        cgroup_id: 0,
        comm: [0; COMM_LEN],
    }
}

/// Lets `fill` write a record about the current thread in place, with the head that it is given, and
/// submits it: to the creations' ring if the thread is inside a creation, whose end is recorded too
/// then; else to the other ring. A full ring is counted. Nothing is written where the user of a creation has had
/// too much recorded.
#[inline(always)]
pub(crate) fn emit<R: Record>(thread: &mut Thread, fill: impl FnOnce(*mut R, Head)) {
    thread.recorded = 1;
    if thread.creation_ns == 0 {
        emit_outside(fill);
    } else if account::is_detailed(thread) {
        emit_in_creation(thread.creation_ns, fill);
    }
}

/// As [`emit`], by when the creation began; 0 outside one. For the second and later records of one
/// moment.
#[inline(always)]
pub(crate) fn emit_at<R: Record>(creation_ns: u64, fill: impl FnOnce(*mut R, Head)) {
    if creation_ns == 0 {
        emit_outside(fill);
    } else {
        emit_in_creation(creation_ns, fill);
    }
}

/// As [`emit`], for a record that belongs to no creation.
#[inline(always)]
pub(crate) fn emit_outside<R: Record>(fill: impl FnOnce(*mut R, Head)) {
    let Some(mut entry) = OTHER_EVENTS.reserve::<R>(0) else {
        count(Counter::LostOtherEvents);
        return;
    };
    fill(entry.as_mut_ptr(), head::<R>(0));
    entry.submit(0);
}

/// As [`emit_at`], inside a creation. A quarter of the ring is for ends alone.
///
/// Each record wakes the agent if that has read all before it: a storm of failures inside creations
/// fills the ring while an agent that sleeps until their end would wake up.
#[inline(always)]
pub(crate) fn emit_in_creation<R: Record>(creation_ns: u64, fill: impl FnOnce(*mut R, Head)) {
    let size = CREATION_EVENTS.query(u64::from(BPF_RB_RING_SIZE));
    if CREATION_EVENTS.query(u64::from(BPF_RB_AVAIL_DATA)) <= size - size / 4
        && let Some(mut entry) = CREATION_EVENTS.reserve::<R>(0)
    {
        fill(entry.as_mut_ptr(), head::<R>(creation_ns));
        entry.submit(0);
        return;
    }
    count(Counter::LostCreationEvents);
    thread::note_lost();
}

/// As [`emit_in_creation`], for the creation's end. Where that has no room either, a brief record of it goes into
/// a ring of its own.
#[inline(always)]
pub(crate) fn emit_end<R: Record>(end: &End, fill: impl FnOnce(*mut R, Head)) {
    if let Some(mut entry) = CREATION_EVENTS.reserve::<R>(0) {
        fill(entry.as_mut_ptr(), head::<R>(end.creation_ns));
        entry.submit(0);
        return;
    }
    count(Counter::LostCreationEvents);
    // Counted already.
    let Some(mut entry) = BRIEF_ENDS.reserve::<BriefEnd>(0) else { return };
    let head = head::<BriefEnd>(end.creation_ns);
    entry.write(BriefEnd { head, errno: end.errno, step: end.step, namespaces: end.namespaces });
    entry.submit(0);
}

/// What a brief record says of a creation's end, as [`BriefEnd`].
pub(crate) struct End {
    pub(crate) creation_ns: u64,
    pub(crate) errno: i32,
    pub(crate) step: u32,
    pub(crate) namespaces: u64,
}

/// As [`emit`], for a record about a cgroup, which no creation is connected to.
///
/// The agent reads them before it judges a creation, and else once a second: it is woken only when an
/// eighth of the ring is full.
#[inline(always)]
pub(crate) fn emit_cgroup<R: Record>(fill: impl FnOnce(*mut R, Head)) {
    let Some(mut entry) = CGROUP_EVENTS.reserve::<R>(0) else {
        count(Counter::LostCgroupEvents);
        return;
    };
    fill(entry.as_mut_ptr(), cgroup_head::<R>());
    let unread = CGROUP_EVENTS.query(u64::from(BPF_RB_AVAIL_DATA));
    let wake = unread > u64::from(CGROUP_EVENTS_LEN / 8);
    entry.submit(u64::from(if wake { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP }));
}
