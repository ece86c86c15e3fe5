//! Who is responsible for a task. Ids of users are those of the initial user namespace.
use aya_ebpf::helpers::{bpf_get_current_uid_gid, generated::bpf_get_current_task};
use fragwatch_ebpf::{UNKNOWN_USER, table::ABSENT};

use crate::kernel::{self, CRED_USER_NS, TASK_CRED, USER_NS_OWNER, USER_NS_PARENT, read_into};

/// The kernel nests no deeper (kernel/user_namespace.c, `create_user_ns`).
const MAX_LEVELS: u32 = 34;

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
    let mut namespace = kernel::read::<u64>(cred, CRED_USER_NS.load()).unwrap_or(0);
    if namespace == 0 {
        return UNKNOWN_USER;
    }
    // The real id, which a program that takes another one for a while keeps.
    let mut user = bpf_get_current_uid_gid() as u32;
    for _ in 0..MAX_LEVELS {
        let mut parent = 0u64;
        // The initial one has none.
        if read_into(&mut parent, namespace, USER_NS_PARENT.load()) != 0 || parent == 0 {
            break;
        }
        read_into(&mut user, namespace, USER_NS_OWNER.load());
        namespace = parent;
    }
    user
}
