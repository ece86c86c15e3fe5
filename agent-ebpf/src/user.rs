//! Who is responsible for a task. Ids of users are those of the initial user namespace.
use aya_ebpf::helpers::{bpf_get_current_uid_gid, generated::bpf_get_current_task};
use fragwatch_ebpf::{NESTED_USER, UNKNOWN_USER, table::ABSENT};

use crate::kernel::{self, CRED_USER_NS, TASK_CRED, USER_NS_OWNER, USER_NS_PARENT, read_into};

/// See [`Head::user`](fragwatch_ebpf::Head::user). A user namespace lets its owner be any of its users, and make
/// further ones: so the outermost one's owner counts, whichever user the task is inside. Where there are more than three
/// levels that is not looked for, and all such tasks count as one user: the verifier would follow a loop over all 33
/// levels in each program that sends a record.
#[inline(never)]
pub(crate) fn current() -> u32 {
    if USER_NS_PARENT.load() == ABSENT || USER_NS_OWNER.load() == ABSENT {
        return UNKNOWN_USER;
    }
    // SAFETY: the helper takes nothing and returns the current task's address.
    let task = unsafe { bpf_get_current_task() };
    let cred = kernel::read_or_zero::<u64>(task, TASK_CRED.load());
    let inner = kernel::read_or_zero::<u64>(cred, CRED_USER_NS.load());
    if inner == 0 {
        return UNKNOWN_USER;
    }
    let above = parent(inner);
    if above == 0 {
        // The real id, which a program that takes another one for a while keeps.
        return bpf_get_current_uid_gid() as u32;
    }
    let second = parent(above);
    if second == 0 {
        return owner(inner);
    }
    let third = parent(second);
    if third == 0 {
        return owner(above);
    }
    if parent(third) == 0 { owner(second) } else { NESTED_USER }
}

/// The user namespace that one is in; 0 for the initial one.
#[inline(always)]
fn parent(namespace: u64) -> u64 {
    let mut parent = 0u64;
    read_into(&mut parent, namespace, USER_NS_PARENT.load());
    parent
}

#[inline(always)]
fn owner(namespace: u64) -> u32 {
    let mut owner = 0u32;
    read_into(&mut owner, namespace, USER_NS_OWNER.load());
    owner
}
