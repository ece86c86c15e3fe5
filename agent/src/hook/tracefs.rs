//! tracefs, which holds the ids of tracepoints. Where it isn't mounted, attaching sees one that nothing else
//! sees.
use std::{fs, io, panic, path::Path, thread};

use caps::Capability;
use fragwatch_core::model::hook::Refusal;
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::statfs::{TRACEFS_MAGIC, statfs},
};

use crate::host::privileges;

/// Where aya looks for it.
const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Runs `attach` with tracefs where aya looks for it. If it is mounted nowhere, that is in a mount namespace
/// of a thread of its own, which ends with it.
pub fn with_tracefs<T: Send>(attach: impl FnOnce() -> T + Send) -> T {
    // A place that can't be looked at is closed, not empty.
    let is_missing = looked().iter().all(|found| matches!(found, Ok(false)));
    let may_mount = privileges::held(Capability::CAP_SYS_ADMIN);
    if !is_missing || !may_mount || PLACES.iter().any(|place| is_tracefs(place)) {
        return attach();
    }
    let work = || {
        if let Err(error) = mount_for_this_thread() {
            log::debug!("could not mount tracefs for this thread alone: {error}");
        }
        attach()
    };
    thread::scope(|scope| scope.spawn(work).join())
        .unwrap_or_else(|payload| panic::resume_unwind(payload))
}

fn mount_for_this_thread() -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    // Else it would be seen by the namespaces that share the mounts.
    let own = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, own, None::<&str>)?;
    mount(Some("tracefs"), PLACES[0], Some("tracefs"), MsFlags::empty(), None::<&str>)
}

/// Why a tracepoint can't be found, where that is not about this tracepoint.
pub(super) fn check(tracepoint: &str) -> Result<(), Refusal> {
    let tracepoint = tracepoint.to_owned();
    match looked() {
        [Ok(true), _] | [_, Ok(true)] => Ok(()),
        [Err(error), _] => Err(Refusal::ClosedTracefs { tracepoint, reason: error.to_string() }),
        // debugfs is root's alone, whether there is a tracefs in it or not.
        [Ok(false), _] if PLACES.iter().any(|place| is_tracefs(place)) => {
            Err(Refusal::EmptyTracefs(tracepoint))
        }
        [Ok(false), _] => Err(Refusal::NoTracefs(tracepoint)),
    }
}

/// Whether there are events at each place.
fn looked() -> [io::Result<bool>; 2] {
    PLACES.map(|place| fs::exists(Path::new(place).join("events")))
}

fn is_tracefs(place: &str) -> bool {
    statfs(place).is_ok_and(|found| found.filesystem_type() == TRACEFS_MAGIC)
}
