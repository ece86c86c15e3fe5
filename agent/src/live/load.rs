//! Loading the programs, their maps and their log.
use std::os::fd::AsFd as _;

use anyhow::{Context as _, bail};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Map, RingBuf},
    programs::KProbe,
};
use aya_log::EbpfLogger;
use fragwatch_core::model::gfp::GfpNames;
use fragwatch_ebpf::{
    map,
    table::{
        ZONE_WALK,
        global::{
            GFP_DIRECT_RECLAIM, GFP_GIVES_UP, GFP_NOWARN, GFP_THISNODE, TASKS_HIERARCHY,
            TASKS_ON_V1, WANT_ALL, WANT_UNTROUBLED, ZONES_READABLE,
        },
    },
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::{Interest, unix::AsyncFd};

use crate::{
    hook::KprobesBy,
    kernel::{
        bpf::{self, Purpose},
        offsets::Offsets,
    },
    live::{Instructions, Options, Ring, StartError, async_fd, rings},
};

/// The kernel programs, compiled into this binary.
pub(crate) static PROGRAMS: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/programs"));

pub(super) fn load(
    options: Options,
    offsets: &Offsets,
    gfp: &GfpNames,
    zones: usize,
) -> Result<Ebpf, StartError> {
    let zones_readable = u32::from(offsets.zones_readable);
    let want_all = u32::from(options.all);
    let untroubled = u32::from(options.untroubled);
    let tasks_on_v1 = u32::from(options.hierarchy != 0);
    let log_level = log::max_level() as u8;
    let mut loader = loader();
    // The programs have no relocations that would need it.
    loader.btf(None);
    loader.override_global(WANT_ALL.name, &want_all, true);
    loader.override_global(WANT_UNTROUBLED.name, &untroubled, true);
    loader.override_global(TASKS_ON_V1.name, &tasks_on_v1, true);
    loader.override_global(TASKS_HIERARCHY.name, &options.hierarchy, true);
    loader.override_global(aya_log::LEVEL, &log_level, false);
    loader.override_global(ZONES_READABLE.name, &zones_readable, true);
    let no_warn = gfp.no_warn_mask();
    if let Some(no_warn) = &no_warn {
        loader.override_global(GFP_NOWARN.name, no_warn, true);
    }
    let gives_up = gfp.gives_up_mask();
    if let Some(gives_up) = &gives_up {
        loader.override_global(GFP_GIVES_UP.name, gives_up, true);
    }
    let direct_reclaim = gfp.direct_reclaim_mask();
    if let Some(direct_reclaim) = &direct_reclaim {
        loader.override_global(GFP_DIRECT_RECLAIM.name, direct_reclaim, true);
    }
    let this_node = gfp.this_node_mask();
    if let Some(this_node) = &this_node {
        loader.override_global(GFP_THISNODE.name, this_node, true);
    }
    for (global, value) in &offsets.globals {
        loader.override_global(global, value, true);
    }
    let rings = rings::sizes(zones, options.all);
    loader.map_max_entries(map::CREATION_EVENTS, rings.creations);
    loader.map_max_entries(map::OTHER_EVENTS, rings.others);
    if !options.all {
        // Only what is rare is put into it.
        loader.map_max_entries(map::OUTSIDE, 64);
    }
    loader.load(PROGRAMS).map_err(|error| StartError::Load(innermost(&error)))
}

/// A loader without BTF. aya's constructor reads and parses all of the kernel's, which
/// [`EbpfLoader::btf`] then replaces: it took a second of CPU and 20 MiB under emulation. It goes without
/// if it can't open the file, so while it runs this process may open none.
fn loader<'a>() -> EbpfLoader<'a> {
    let limit = getrlimit(Resource::RLIMIT_NOFILE);
    let limited = limit.and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, 0, hard)).is_ok();
    let loader = EbpfLoader::new();
    if limited
        && let Ok((soft, hard)) = limit
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, soft, hard)
    {
        log::warn!("could not restore the limit of open files: {error}");
    }
    loader
}

/// The last of a chain of errors, which is what the kernel said.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// The rings of creations, of their brief ends, of what happens outside of them, and of cgroups.
pub(super) fn rings(mut ebpf: Ebpf) -> Result<[Ring; 4], StartError> {
    let mut take = |name: &'static str| {
        let map = ebpf.take_map(name).ok_or(StartError::NoMap(name))?;
        Ok::<_, StartError>((name, map))
    };
    let taken = [
        take(map::CREATION_EVENTS)?,
        take(map::BRIEF_ENDS)?,
        take(map::OTHER_EVENTS)?,
        take(map::CGROUP_EVENTS)?,
    ];
    // Its copies of the programs go before the rings are mapped.
    drop(ebpf);
    let [creations, brief_ends, others, cgroups] = taken.map(|(name, map): (_, Map)| {
        let ring = RingBuf::try_from(map).map_err(|_| StartError::NoMap(name))?;
        async_fd::watch(ring, Interest::READABLE).map_err(StartError::Wait)
    });
    Ok([creations?, brief_ends?, others?, cgroups?])
}

/// Puts the program that reads a zone where the one that sees a failure calls it. The kernel empties the
/// map that is returned when that is dropped.
pub(super) fn put_zone_walk(
    ebpf: &mut Ebpf,
    instructions: &Instructions,
    kprobes: KprobesBy,
) -> anyhow::Result<Map> {
    let map = ebpf.take_map(map::ZONE_WALK).context("there is no such map")?;
    let Map::ProgramArray(data) = &map else { bail!("it is no array of programs") };
    // Both must be loaded in the same way.
    match kprobes {
        KprobesBy::PerfEvents => {
            let program: &mut KProbe =
                ebpf.program_mut(ZONE_WALK).context("there is no such program")?.try_into()?;
            program.load()?;
            bpf::put_program(data.fd().as_fd(), 0, program.fd()?.as_fd())?;
        }
        KprobesBy::Links => {
            let program = instructions.load(ZONE_WALK, Purpose::KprobeMulti)?;
            bpf::put_program(data.fd().as_fd(), 0, program.as_fd())?;
        }
    }
    Ok(map)
}

/// The programs' own log, if the log level asks for it.
pub(super) fn logger(
    ebpf: &mut Ebpf,
) -> Result<Option<AsyncFd<EbpfLogger<&'static dyn log::Log>>>, StartError> {
    if log::max_level() < log::Level::Debug {
        return Ok(None);
    }
    match EbpfLogger::init(ebpf) {
        Ok(logger) => {
            async_fd::watch(logger, Interest::READABLE).map(Some).map_err(StartError::Wait)
        }
        Err(error) => {
            log::warn!("the kernel programs' own log can't be read: {error}");
            Ok(None)
        }
    }
}
