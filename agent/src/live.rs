//! The events of the running kernel: taken from the programs' rings.
pub mod async_fd;
mod background;
pub mod decode;
mod load;
mod missed_runs;
mod start;
mod symbol_program;

use std::{io, sync::Arc};

use aya::maps::{MapData, MapError, PerCpuArray, ProgramArray, RingBuf};
use aya_log::EbpfLogger;
use bytes::Bytes;
use fragwatch_core::model::{
    event::{Event, EventKind},
    hook::{Hook, HookStatus},
    loss::{CreationCounts, Loss, OutsideCounts},
};
<<<<<<< HEAD
use fragwatch_ebpf::Counter;
use tokio::io::unix::AsyncFd;

#[cfg(test)]
pub(crate) use load::PROGRAMS;
pub use start::{BTF_PATH, Options, StartError};
=======
use fragwatch_ebpf::{
    Counter, map,
    table::{
        ZONE_WALK,
        global::{GFP_FALLBACK, TASKS_ON_V1, WANT_ALL, WANT_UNTROUBLED, ZONES_READABLE},
    },
};
use tokio::io::{Interest, unix::AsyncFd};
>>>>>>> main

use crate::{
    hook::Links,
    live::{
        background::Background,
        decode::{DecodeError, Decoder},
        missed_runs::MissedRuns,
    },
};

<<<<<<< HEAD
=======
/// The kernel programs, compiled into this binary.
pub(crate) static PROGRAMS: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/programs"));

/// Where the kernel describes itself.
pub const BTF_PATH: &str = "/sys/kernel/btf/vmlinux";

/// Why tracing can't begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The kernel does not describe itself.
    #[error(
        "could not read {BTF_PATH}: {0}; fragwatch takes the kernel's structures from there: it \
         needs a kernel with CONFIG_DEBUG_INFO_BTF"
    )]
    NoBtf(io::Error),
    /// What describes it can't be understood.
    #[error("could not make sense of {BTF_PATH}: {0}")]
    BadBtf(BtfError),
    /// aya can't make sense of it.
    #[error("could not make sense of {BTF_PATH}: {0}")]
    UnusableBtf(aya::BtfError),
    /// The kernel did not take the maps.
    #[error(
        "the kernel did not take the programs' maps: {0}; before Linux 5.11 they count against \
         RLIMIT_MEMLOCK, which CAP_SYS_RESOURCE lets fragwatch raise"
    )]
    Load(String),
    /// A map of the programs is missing: agent and programs are not of one build.
    #[error("the kernel side has no usable map {0}")]
    NoMap(&'static str),
    /// A ring can't be waited for.
    #[error("could not wait for the kernel's events: {0}")]
    Wait(io::Error),
    /// Not one hook could be attached.
    #[error(
        "not one hook could be attached, so there is nothing to watch; the first: {}. A kernel \
         with lockdown=confidentiality can't be traced, nor one that has neither kprobes nor \
         tracepoints to offer",
        .0.iter().find_map(|hook| hook.why.as_deref()).unwrap_or_default()
    )]
    NoHook(Vec<HookStatus>),
}

/// How to watch.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Also what happens outside creations, in detail.
    pub all: bool,
    /// Events of creations without trouble too, which else are only counted.
    pub untroubled: bool,
    /// How to attach.
    pub preference: Preference,
    /// The hierarchy of cgroups that tasks are identified by; see [`Hierarchy::id`].
    ///
    /// [`Hierarchy::id`]: crate::host::hierarchy::Hierarchy::id
    pub hierarchy: u32,
}

>>>>>>> main
/// The events of the running kernel, from now on.
pub struct Live {
    /// What became of each hook.
    pub hooks: Vec<HookStatus>,
    /// What can't be seen for other reasons than a missing hook, in sentences.
    pub not_seen: Vec<String>,
    /// `None` once detached.
    attached: Option<Attached>,
    creations: Ring,
    others: Ring,
    cgroups: Ring,
    counters: PerCpuArray<MapData, u64>,
    logger: Option<AsyncFd<EbpfLogger<&'static dyn log::Log>>>,
    decoder: Decoder,
    programs: Arc<MissedRuns>,
    background: Arc<Background>,
    /// A creation's end, while the other rings are read for what was before it.
    ended: Option<Event>,
    /// What was read then that came after it.
    after_end: Option<Event>,
}

/// What the kernel keeps the programs for.
struct Attached {
    _links: Links,
    _zone_walk: Option<ProgramArray<MapData>>,
}

type Ring = AsyncFd<RingBuf<MapData>>;

impl Live {
    /// Waits until there is something to take. The programs' own log is passed on meanwhile.
    pub async fn wait(&mut self) -> io::Result<()> {
        let log = async {
            match &mut self.logger {
                Some(logger) => {
                    let mut guard = logger.readable_mut().await?;
                    guard.get_inner_mut().flush();
                    guard.clear_ready();
                    Ok(())
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            guard = self.creations.readable_mut() => guard.map(|mut g| g.clear_ready()),
            guard = self.others.readable_mut() => guard.map(|mut g| g.clear_ready()),
            guard = self.cgroups.readable_mut() => guard.map(|mut g| g.clear_ready()),
            logged = log => logged,
        }
    }

    /// Takes one piece of evidence, of a creation first; `None` if there is none just now.
    ///
    /// What was before a creation's end lies in other rings than the end: the cgroups of pods that it may
    /// have been for, and the kill that a signal came from. So an end waits until those have been
    /// read as far as it.
    pub fn take(&mut self) -> Option<Result<Event, DecodeError>> {
        if let Some(next) = self.after_end.take() {
            return Some(Ok(next));
        }
        loop {
            let record = match &self.ended {
                None => next(&mut self.creations)
                    .or_else(|| next(&mut self.cgroups))
                    .or_else(|| next(&mut self.others)),
                Some(ended) if is_end_by_signal(ended) => {
                    next(&mut self.cgroups).or_else(|| next(&mut self.others))
                }
                Some(_) => next(&mut self.cgroups),
            };
            let Some(record) = record else { return self.ended.take().map(Ok) };
            // A record may be only a part.
            let Some(decoded) = self.decoder.decode(&record).transpose() else { continue };
            let Ok(event) = decoded else { return Some(decoded) };
            match &self.ended {
                None if is_end(&event) => self.ended = Some(event),
                // However much comes after it, the end waits for none of that.
                Some(ended) if event.time_ns > ended.time_ns => {
                    self.after_end = Some(event);
                    return self.ended.take().map(Ok);
                }
                _ => return Some(Ok(event)),
            }
        }
    }

    /// What the kernel side has lost so far.
    pub fn loss(&self) -> Result<Loss, MapError> {
        Ok(Loss {
            creation_events: self.counter(Counter::LostCreationEvents)?,
            other_events: self.counter(Counter::LostOtherEvents)?,
            cgroup_events: self.counter(Counter::LostCgroupEvents)?,
            untracked_creations: self.counter(Counter::UntrackedCreations)?,
            unseen_returns: self.counter(Counter::UnseenReturns)?,
            missed_runs: self.background.missed_runs(),
        })
    }

    /// What the kernel side has counted outside creations so far.
    pub fn outside(&self) -> Result<OutsideCounts, MapError> {
        Ok(OutsideCounts {
            slow_paths: self.counter(Counter::OutsideSlowPaths)?,
            failures: if self.sees_failures() {
                Some(self.counter(Counter::OutsideFailures)?)
            } else {
                None
            },
            compactions: self.counter(Counter::OutsideCompactions)?,
            reclaims: self.counter(Counter::OutsideReclaims)?,
        })
    }

<<<<<<< HEAD
    /// As [`Live::loss`], with missed runs until now instead of those that were read last.
    pub fn final_loss(&self) -> Result<Loss, MapError> {
        Ok(Loss { missed_runs: self.programs.count(), ..self.loss()? })
=======
    /// Creations that the kernel side has counted so far.
    pub fn creations(&self) -> Result<CreationCounts, MapError> {
        // In this order: what ends meanwhile is not taken for unfinished.
        let begun = self.counter(Counter::BegunCreations)?;
        let ended = self.counter(Counter::EndedCreations)?;
        Ok(CreationCounts {
            untroubled: self.counter(Counter::UntroubledCreations)?,
            unfinished: begun.saturating_sub(ended),
        })
    }

    /// Asks the kernel how often it skipped a program so far, for [`Live::loss`].
    pub fn refresh_missed_runs(&mut self) {
        self.missed_runs = self.programs.count();
>>>>>>> main
    }

    /// Forgets names of addresses, which other modules may have by now.
    pub fn forget_symbols(&mut self) {
        self.decoder.symbols.forget();
    }

    /// Whether functions' names are known.
    pub fn knows_names(&self) -> bool {
        self.decoder.symbols.is_available()
    }

    /// Whether an allocation that comes back NULL is seen.
    pub fn sees_failures(&self) -> bool {
        self.hooks.iter().any(|h| h.hook == Hook::AllocationFailed && h.via.is_some())
    }

    /// Detaches every hook; what lies in the rings can still be taken.
    pub fn detach(&mut self) {
        self.attached = None;
    }

    fn counter(&self, counter: Counter) -> Result<u64, MapError> {
        Ok(self.counters.get(&(counter as u32), 0)?.iter().sum())
    }
}

fn is_end(event: &Event) -> bool {
    matches!(event.kind, EventKind::NetnsSetupEnded { .. })
}

fn is_end_by_signal(event: &Event) -> bool {
    matches!(event.kind, EventKind::NetnsSetupEnded { errno: Some(libc::EINTR), .. })
}

fn next(ring: &mut Ring) -> Option<Bytes> {
    ring.get_mut().next().map(|item| Bytes::copy_from_slice(&item))
}
<<<<<<< HEAD
=======

fn load(
    options: Options,
    offsets: &Offsets,
    gfp: &GfpNames,
    btf: &Btf,
) -> Result<Ebpf, StartError> {
    let zones_readable = u32::from(offsets.areas.is_some());
    let want_all = u32::from(options.all);
    let untroubled = u32::from(options.untroubled);
    let tasks_on_v1 = u32::from(options.hierarchy != 0);
    let log_level = log::max_level() as u8;
    let mut loader = EbpfLoader::new();
    loader.btf(Some(btf));
    loader.override_global(WANT_ALL.name, &want_all, true);
    loader.override_global(WANT_UNTROUBLED.name, &untroubled, true);
    loader.override_global(TASKS_ON_V1.name, &tasks_on_v1, true);
    loader.override_global(aya_log::LEVEL, &log_level, false);
    loader.override_global(ZONES_READABLE.name, &zones_readable, true);
    let fallback = gfp.fallback_mask();
    if let Some(fallback) = &fallback {
        loader.override_global(GFP_FALLBACK.name, fallback, true);
    }
    for (global, value) in &offsets.globals {
        loader.override_global(global, value, true);
    }
    if !options.all {
        // Only what is rare is put into them.
        loader.map_max_entries(map::OTHER_EVENTS, 64 * 1024);
        loader.map_max_entries(map::OUTSIDE, 64);
    }
    loader.load(PROGRAMS).map_err(|error| StartError::Load(innermost(&error)))
}

/// The last of a chain of errors, which is what the kernel said.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn ring(ebpf: &mut Ebpf, name: &'static str) -> Result<Ring, StartError> {
    let map: Map = ebpf.take_map(name).ok_or(StartError::NoMap(name))?;
    let ring = RingBuf::try_from(map).map_err(|_| StartError::NoMap(name))?;
    async_fd::watch(ring, Interest::READABLE).map_err(StartError::Wait)
}

/// Puts the program that reads a zone where the one that sees a failure calls it.
fn put_zone_walk(ebpf: &mut Ebpf) -> anyhow::Result<()> {
    let program: &mut KProbe =
        ebpf.program_mut(ZONE_WALK).context("there is no such program")?.try_into()?;
    program.load()?;
    let fd = program.fd()?.try_clone()?;
    let map = ebpf.map_mut(map::ZONE_WALK).context("there is no such map")?;
    ProgramArray::try_from(map)?.set(0, &fd, 0)?;
    Ok(())
}

/// The programs' own log, if the log level asks for it.
fn logger(
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
>>>>>>> main
