//! Where the kernel keeps its nodes, whose lists say which zones an allocation could have used.
use std::{fs, io};

use anyhow::Context as _;
use aya::{
    Ebpf,
    programs::{KProbe, ProgramError},
};
use fragwatch_ebpf::table::{NODE_SEEN, SHOWS_NODES};

use crate::{
    hook::{KprobesBy, attach_by_link},
    live::{Instructions, load::innermost},
};

/// One line for each zone that has memory.
const BUDDYINFO: &str = "/proc/buddyinfo";

/// How many zones this machine has; 1 if that can't be read.
pub(super) fn count_zones() -> usize {
    fs::read_to_string(BUDDYINFO).map_or(1, |text| text.lines().count()).max(1)
}

/// Lets the kernel show its nodes while the program that keeps their addresses is attached. Returns what
/// kprobes can be attached by: perf events, or links where this process may have none of these.
pub(super) fn find(
    ebpf: &mut Ebpf,
    instructions: &Instructions,
) -> (anyhow::Result<()>, KprobesBy) {
    let error = match find_by_perf_event(ebpf) {
        Err(error) if is_denied(&error) => error,
        found => return (found, KprobesBy::PerfEvents),
    };
    match attach_by_link(instructions, NODE_SEEN, SHOWS_NODES, false) {
        Ok(_attached) => (show(), KprobesBy::Links),
        Err(other) => {
            log::debug!("{NODE_SEEN} by a link: {other}");
            (Err(error), KprobesBy::PerfEvents)
        }
    }
}

/// As with `kernel.perf_event_paranoid` above 2 on kernels of Debian and Ubuntu.
fn is_denied(error: &anyhow::Error) -> bool {
    let errnos = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    errnos.filter_map(io::Error::raw_os_error).any(|errno| errno == libc::EACCES)
}

fn find_by_perf_event(ebpf: &mut Ebpf) -> anyhow::Result<()> {
    let program: &mut KProbe =
        ebpf.program_mut(NODE_SEEN).context("there is no such program")?.try_into()?;
    let attached = program.load().and_then(|()| program.attach(SHOWS_NODES, 0));
    let read = attached.map_err(refused).and_then(|_| show());
    // Detached with it.
    if let Err(error) = program.unload() {
        log::debug!("{NODE_SEEN} was not loaded: {error}");
    }
    read
}

fn show() -> anyhow::Result<()> {
    fs::read(BUDDYINFO).map(drop).with_context(|| format!("could not read {BUDDYINFO}"))
}

/// The kernel's answer without the verifier's log, which goes to the debug log.
fn refused(error: ProgramError) -> anyhow::Error {
    log::debug!("{NODE_SEEN}: {error:?}");
    let reason = innermost(&error);
    let line = reason.lines().next().unwrap_or_default().to_owned();
    anyhow::Error::new(error).context(Refused(line))
}

/// What is said of a refusal; its cause is not printed with it.
#[derive(Debug, thiserror::Error)]
#[error("the kernel refused a kprobe on {SHOWS_NODES}, which shows its nodes: {0}")]
struct Refused(String);
