//! Small objects of the kernel, held and freed in groups: messages in queues of an IPC namespace of their
//! own (ipc/msgutil.c `alloc_msg`). Each is 4 KiB of the slab allocator, which takes eight of them from
//! the page allocator in one piece. Nothing can move them.
use std::{fs, io};

use anyhow::{Context as _, Result};
use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, unshare};

use super::{pages::STEP, spare_pages};
use crate::zones;

/// The text that makes a message of 4 KiB with its `struct msg_msg` of 48 bytes.
const TEXT: usize = 4096 - 48;
/// Bytes of text that a queue takes (`msg_ctlmnb` is an int).
const QUEUE_BYTES: usize = 1 << 30;
/// The largest order of free blocks between messages.
pub(crate) const LARGEST: u32 = 4;

/// Messages that are held. They go with the namespace, when the process ends.
pub(crate) struct Messages {
    free: Vec<libc::c_int>,
}

impl Messages {
    /// Enters a new IPC namespace, and sends messages for `pages` pages: by turns a group that stays and
    /// one that can be freed.
    pub(crate) fn send(pages: u64) -> Result<Self> {
        unshare(CloneFlags::CLONE_NEWIPC).context("could not make an IPC namespace")?;
        for (name, value) in [("msgmnb", QUEUE_BYTES), ("msgmax", TEXT)] {
            let path = format!("/proc/sys/kernel/{name}");
            fs::write(&path, value.to_string())
                .with_context(|| format!("could not write {value} to {path}"))?;
        }
        // Each processor has a slab of its own that it takes objects from.
        let mut one = CpuSet::new();
        one.set(0).context("there is no processor 0")?;
        let itself = nix::unistd::Pid::from_raw(0);
        let all = nix::sched::sched_getaffinity(itself).context("could not read the processors")?;
        sched_setaffinity(itself, &one).context("could not stay on one processor")?;
        let sent = send_groups(pages);
        sched_setaffinity(itself, &all).context("could not go back to all processors")?;
        Ok(Self { free: sent? })
    }

    /// Frees all groups that can be.
    pub(crate) fn free(&mut self) -> Result<()> {
        for queue in self.free.drain(..) {
            // SAFETY: no buffer is given, and this command takes none.
            if unsafe { libc::msgctl(queue, libc::IPC_RMID, std::ptr::null_mut()) } != 0 {
                return Err(io::Error::last_os_error()).context("could not remove a message queue");
            }
        }
        Ok(())
    }
}

/// Returns the queues of messages to free.
fn send_groups(pages: u64) -> Result<Vec<libc::c_int>> {
    // So many objects, wherever they begin, hold at least one whole slab of eight, and never four.
    const GROUP: u64 = 16;
    let mut queues = [Vec::new(), Vec::new()];
    let per_queue = (QUEUE_BYTES / TEXT) as u64 / GROUP * GROUP;
    let mut sent = [0_u64; 2];
    for group in 0..pages / GROUP {
        if group.is_multiple_of(STEP / GROUP) && spare_pages(&zones::read()?) < 2 * STEP {
            break;
        }
        let side = (group % 2) as usize;
        if sent[side].is_multiple_of(per_queue) {
            queues[side].push(new_queue()?);
        }
        let Some(queue) = queues[side].last() else { continue };
        for _ in 0..GROUP {
            send(*queue)?;
        }
        sent[side] += GROUP;
    }
    let [_, free] = queues;
    Ok(free)
}

fn new_queue() -> Result<libc::c_int> {
    // SAFETY: it takes no pointer.
    let queue = unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) };
    if queue < 0 {
        return Err(io::Error::last_os_error()).context("could not make a message queue");
    }
    Ok(queue)
}

fn send(queue: libc::c_int) -> Result<()> {
    #[repr(C)]
    struct Message {
        kind: libc::c_long,
        text: [u8; TEXT],
    }
    let message = Message { kind: 1, text: [0; TEXT] };
    // SAFETY: the text is as long as is said, and outlives the call.
    if unsafe { libc::msgsnd(queue, (&raw const message).cast(), TEXT, libc::IPC_NOWAIT) } != 0 {
        return Err(io::Error::last_os_error()).context("could not send a message");
    }
    Ok(())
}
