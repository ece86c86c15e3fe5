//! Where the kernel keeps its nodes, whose lists say which zones an allocation could have used.
use std::fs;

use anyhow::Context as _;
use aya::{
    Ebpf,
    programs::{KProbe, ProgramError},
};
use fragwatch_ebpf::table::{NODE_SEEN, SHOWS_NODES};

use crate::live::load::innermost;

/// One line for each zone that has memory.
const BUDDYINFO: &str = "/proc/buddyinfo";

/// How many zones this machine has; 1 if that can't be read.
pub(super) fn count_zones() -> usize {
    fs::read_to_string(BUDDYINFO).map_or(1, |text| text.lines().count()).max(1)
}

/// Lets the kernel show its nodes while the program that keeps their addresses is attached.
pub(super) fn find(ebpf: &mut Ebpf) -> anyhow::Result<()> {
    let program: &mut KProbe =
        ebpf.program_mut(NODE_SEEN).context("there is no such program")?.try_into()?;
    let attached = program.load().and_then(|()| program.attach(SHOWS_NODES, 0));
    let read = attached.map_err(|error| refused(&error)).and_then(|_| {
        fs::read(BUDDYINFO).map(drop).with_context(|| format!("could not read {BUDDYINFO}"))
    });
    // Detached with it.
    if let Err(error) = program.unload() {
        log::debug!("{NODE_SEEN} was not loaded: {error}");
    }
    read
}

/// The kernel's answer without the verifier's log, which goes to the debug log.
fn refused(error: &ProgramError) -> anyhow::Error {
    log::debug!("{NODE_SEEN}: {error:?}");
    let reason = innermost(error);
    let line = reason.lines().next().unwrap_or_default();
    anyhow::anyhow!("the kernel refused a kprobe on {SHOWS_NODES}, which shows its nodes: {line}")
}
