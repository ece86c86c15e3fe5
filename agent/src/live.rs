//! The events of the running kernel: taken from the programs' rings.
pub mod async_fd;
mod background;
pub mod decode;
mod fallbacks;
mod load;
mod missed_runs;
mod nodes;
mod rings;
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
    sample::Fallbacks,
};
use fragwatch_ebpf::Counter;
use tokio::io::unix::AsyncFd;

pub(crate) use load::PROGRAMS;
pub use start::{BTF_PATH, Options, StartError};

use crate::{
    hook::Links,
    live::{
        background::Background,
        decode::{DecodeError, Decoder},
        fallbacks::FallbackCounter,
        missed_runs::MissedRuns,
    },
};

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
    /// `None` if they are not counted.
    fallbacks: Option<FallbackCounter>,
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
            omitted_failures: self.counter(Counter::OmittedFailures)?,
            omitted_steps: self.counter(Counter::OmittedSteps)?,
        })
    }

    /// As [`Live::loss`], with missed runs until now instead of those that were read last.
    pub fn final_loss(&self) -> Result<Loss, MapError> {
        Ok(Loss { missed_runs: self.programs.count(), ..self.loss()? })
    }

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

    /// Allocations that took a block of another migratetype so far; `None` if they are not counted.
    pub fn fallbacks(&self) -> Option<Fallbacks> {
        self.fallbacks.as_ref()?.read().ok()
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
