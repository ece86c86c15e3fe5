//! The iterator over all threads (`bpf_iter_task`, 5.8–7.2; kernel/bpf/task_iter.c) that finds those whose creation
//! has not ended, with what each is doing. The agent runs it now and then; it is attached nowhere.
use aya_ebpf::{
    bindings::{seq_file, task_struct},
    cty::c_void,
    helpers::generated,
};
use fragwatch_ebpf::{COMM_LEN, MAX_OPEN_FRAMES, OpenCreation};

use crate::{
    cgroup,
    kernel::{self, TASK_COMM, TASK_PID, TASK_START_TIME, TASK_TGID, now, read_into},
    maps::CREATING,
    state::Stall,
};

/// The size of a pointer.
const POINTER: u32 = 8;

/// Writes an [`OpenCreation`] for the thread that the iterator is at, if it is inside a creation.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
extern "C" fn open_creations(ctx: *const *const c_void) -> i32 {
    // Read as memory, a number with which offsets can be calculated; 0 behind the last thread.
    let mut address = 0u64;
    read_into(&mut address, ctx as u64, POINTER);
    let Some(tid) = kernel::read::<u32>(address, TASK_PID.load()) else { return 0 };
    let Some(thread) = CREATING.get_ptr(tid) else { return 0 };
    // SAFETY: memory of the map. Should the creation end meanwhile and the element be reused, its time of
    // beginning shows that to the agent.
    let thread = unsafe { &*thread };
    let start = kernel::read_or_zero::<u64>(address, TASK_START_TIME.load());
    if thread.task_start != start || thread.creation_ns == 0 {
        return 0;
    }
    let time_ns = now();
    let under_way = |stall: &Stall| if stall.since == 0 { 0 } else { time_ns - stall.since };
    let mut open = OpenCreation {
        creation_ns: thread.creation_ns,
        time_ns,
        cgroup_id: cgroup::id_of(address),
        namespaces: thread.namespaces,
        stall_ns: under_way(&thread.compaction)
            .max(under_way(&thread.reclaim))
            .max(under_way(&thread.memcg_reclaim)),
        tid,
        tgid: kernel::read_or_zero(address, TASK_TGID.load()),
        step: thread.opener.step(),
        frames: 0,
        comm: kernel::read(address, TASK_COMM.load()).unwrap_or([0; COMM_LEN]),
        stack: [0; MAX_OPEN_FRAMES],
    };
    // SAFETY: the context is two pointers, of which the verifier knows the types: the iterator's own state, which
    // begins with the file that is written to, and the task.
    let (meta, task) =
        unsafe { (ctx.read_volatile().cast::<*mut seq_file>(), ctx.add(1).read_volatile()) };
    if task.is_null() {
        return 0;
    }
    // SAFETY: the buffer is as large as is said, and the task is the one that the iterator holds.
    let bytes = unsafe {
        generated::bpf_get_task_stack(
            task.cast_mut().cast::<task_struct>(),
            open.stack.as_mut_ptr().cast(),
            size_of_val(&open.stack) as u32,
            0,
        )
    };
    if bytes > 0 {
        open.frames = bytes as u32 / 8;
    }
    // SAFETY: the file is the iterator's, and the record is as long as is said. Should it have no room, the kernel
    // calls this program again for the same thread.
    unsafe {
        let file = meta.read_volatile();
        generated::bpf_seq_write(file, (&raw const open).cast(), size_of_val(&open) as u32);
    }
    0
}
