//! Who is responsible for a task. Ids of users are those of the initial user namespace.
use aya_ebpf::helpers::{bpf_get_current_uid_gid, generated::bpf_get_current_task};
use fragwatch_ebpf::{UNKNOWN_USER, table::ABSENT};

use crate::kernel::{self, CRED_USER_NS, TASK_CRED, USER_NS_OWNER, USER_NS_PARENT, read_into};

/// The kernel nests user namespaces no deeper (kernel/user_namespace.c, `create_user_ns`).
const MAX_LEVELS: u32 = 33;

/// See [`Head::user`](fragwatch_ebpf::Head::user). A user namespace lets its owner be any of its users, and make
/// further ones: so the outermost one's owner counts, whoever the task is inside.
#[inline(never)]
pub(crate) fn current() -> u32 {
    if USER_NS_PARENT.load() == ABSENT || USER_NS_OWNER.load() == ABSENT {
        return UNKNOWN_USER;
    }
    // SAFETY: the helper takes nothing and returns the current task's address.
    let task = unsafe { bpf_get_current_task() };
    let cred = kernel::read::<u64>(task, TASK_CRED.load()).unwrap_or(0);
    let namespace = kernel::read::<u64>(cred, CRED_USER_NS.load()).unwrap_or(0);
    if namespace == 0 {
        return UNKNOWN_USER;
    }
    let mut parent = 0u64;
    // The initial one has none.
    if read_into(&mut parent, namespace, USER_NS_PARENT.load()) != 0 || parent == 0 {
        // The real id, which a program that takes another one for a while keeps.
        return bpf_get_current_uid_gid() as u32;
    }
    outermost_owner(namespace)
}

/// The owner of the outermost user namespace below the initial one. Without a branch: the verifier follows each
/// way out of a loop to the program's end.
#[inline(always)]
fn outermost_owner(mut namespace: u64) -> u32 {
    let mut owner = 0u64;
    for _ in 0..MAX_LEVELS {
        let (mut parent, mut its_owner) = (0u64, 0u32);
        // What can't be read is 0.
        read_into(&mut parent, namespace, USER_NS_PARENT.load());
        read_into(&mut its_owner, namespace, USER_NS_OWNER.load());
        // All ones if it has a parent, so that it is not the initial one.
        let below = ((parent | parent.wrapping_neg()) >> 63).wrapping_neg();
        owner = u64::from(its_owner) & below | owner & !below;
        namespace = parent & below | namespace & !below;
    }
    owner as u32
}
