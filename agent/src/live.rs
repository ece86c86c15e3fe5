//! The events of the running kernel: taken from the programs' rings.
pub mod async_fd;
mod background;
mod counters;
pub mod decode;
mod fallbacks;
mod instructions;
mod load;
mod missed_runs;
mod nodes;
mod open_creations;
mod repeats;
mod rings;
mod start;
mod symbol_program;
mod unchecked_names;

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use aya::maps::{Map, MapData, MapError, RingBuf};
use aya_log::EbpfLogger;
use bytes::Bytes;
use fragwatch_core::model::{
    event::{Event, EventKind},
    hook::{Hook, HookStatus},
    loss::{CreationCounts, Loss, OutsideCounts},
    open_creation::OpenCreation,
    repeats::Repeats,
    sample::Fallbacks,
};
use fragwatch_ebpf::Counter;
use tokio::io::unix::AsyncFd;

pub use instructions::Instructions;
#[cfg(test)]
pub(crate) use load::PROGRAMS;
pub use start::{BTF_PATH, NamesRead, Options, StartError};

use crate::{
    hook::Links,
    live::{
        counters::Counters,
        decode::{DecodeError, Decoder},
        fallbacks::FallbackCounter,
        open_creations::{OpenCreations, Schedule},
        repeats::CountedSteps,
        unchecked_names::Detached,
    },
};

/// The events of the running kernel, from now on.
pub struct Live {
    /// What became of each hook.
    pub hooks: Vec<HookStatus>,
    detached: Detached,
    /// What can't be seen for other reasons than a missing hook, in sentences.
    pub not_seen: Vec<String>,
    /// `None` once detached.
    attached: Option<Attached>,
    creations: Ring,
    others: Ring,
    cgroups: Ring,
    counters: Arc<Counters>,
    counted_steps: CountedSteps,
    brief_ends: Ring,
    /// `None` if the kernel did not take the program.
    open_creations: Option<OpenCreations>,
    schedule: Schedule,
    /// `None` if they are not counted.
    fallbacks: Option<FallbackCounter>,
    logger: Option<AsyncFd<EbpfLogger<&'static dyn log::Log>>>,
    decoder: Decoder,
    /// A creation's end, while the other rings are read for what was before it.
    ended: Option<Event>,
    /// What was read then that came after it.
    after_end: Option<Event>,
}

/// What the kernel keeps the programs for.
struct Attached {
    /// Shared with the thread that finds ambiguous functions.
    links: Arc<Mutex<Links>>,
    _zone_walk: Option<Map>,
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
            guard = self.brief_ends.readable_mut() => guard.map(|mut g| g.clear_ready()),
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
                    // Where these are, all of that ring was full, and came before.
                    .or_else(|| next(&mut self.brief_ends))
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

    /// What became of hooks that had to be detached since this was last asked.
    pub fn newly_detached(&mut self) -> Vec<HookStatus> {
        let detached = &mut *self.detached.lock().unwrap_or_else(PoisonError::into_inner);
        let detached = std::mem::take(detached);
        for status in &detached {
            if let Some(known) = self.hooks.iter_mut().find(|known| known.hook == status.hook) {
                known.clone_from(status);
            }
        }
        detached
    }

    /// Reads now what else a thread reads once a second: what the kernel side has lost and counted so far.
    pub fn count(&self) -> Result<(), MapError> {
        self.counters.read_missed_runs();
        self.counters.read()
    }

    /// What the kernel side had lost when that was last read.
    pub fn loss(&self) -> Loss {
        let last = |counter| self.counters.last(counter);
        Loss {
            creation_events: last(Counter::LostCreationEvents),
            other_events: last(Counter::LostOtherEvents),
            cgroup_events: last(Counter::LostCgroupEvents),
            untracked_creations: last(Counter::UntrackedCreations),
            unseen_returns: last(Counter::UnseenReturns),
            missed_runs: self.counters.missed_runs(),
        }
    }

    /// What the kernel side had counted outside creations when that was last read.
    pub fn outside(&self) -> OutsideCounts {
        let last = |counter| self.counters.last(counter);
        OutsideCounts {
            slow_paths: last(Counter::OutsideSlowPaths),
            failures: self.sees_failures().then(|| last(Counter::OutsideFailures)),
            compactions: last(Counter::OutsideCompactions),
            reclaims: last(Counter::OutsideReclaims),
            omitted_failures: last(Counter::OmittedFailures),
            omitted_steps: last(Counter::OmittedSteps),
        }
    }

    /// Creations that the kernel side had counted when that was last read.
    pub fn creations(&self) -> CreationCounts {
        let last = |counter| self.counters.last(counter);
        let unfinished =
            last(Counter::BegunCreations).saturating_sub(last(Counter::EndedCreations));
        CreationCounts { untroubled: last(Counter::UntroubledCreations), unfinished }
    }

    /// Steps of creations that were only counted since this was last asked; `last` if nothing more will be.
    pub fn repeats(&mut self, now_ns: u64, last: bool) -> Vec<Repeats> {
        let total = self.counters.last(Counter::OmittedCreations);
        self.counted_steps.read(total, now_ns, last)
    }

    /// Creations that have not ended, if it is time to look for those: `long` is whether one is known to have been
    /// without an end for long, `last` if this is the end.
    pub fn open_creations(
        &mut self,
        now_ns: u64,
        long: bool,
        last: bool,
    ) -> anyhow::Result<Option<Vec<OpenCreation>>> {
        let Some(iterator) = &self.open_creations else { return Ok(None) };
        let count = |counter| self.counters.last(counter);
        let pairs = [
            (Counter::BegunCreations, Counter::EndedCreations),
            (Counter::BegunCgroups, Counter::EndedCgroups),
        ];
        let without_end =
            pairs.map(|(begun, ended)| count(begun).saturating_sub(count(ended))).iter().sum();
        if !last && !self.schedule.is_due(without_end, long, now_ns) {
            return Ok(None);
        }
        let found = iterator.read(&mut self.decoder.symbols)?;
        self.schedule.note(found.len());
        Ok(Some(found))
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

    /// Detaches every hook, for each of which the kernel takes some time; what lies in the rings can still be taken.
    pub fn detach(&mut self) {
        if let Some(Attached { links, .. }) = self.attached.take() {
            links.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }
}

fn is_end(event: &Event) -> bool {
    matches!(event.kind, EventKind::NetnsSetupEnded { .. } | EventKind::BriefEnd { .. })
}

/// It may have ended because its process was killed.
fn is_end_by_signal(event: &Event) -> bool {
    matches!(
        event.kind,
        EventKind::NetnsSetupEnded { errno: Some(libc::EINTR), .. }
            | EventKind::NetnsSetupEnded { oom_victim: Some(true), .. }
    )
}

fn next(ring: &mut Ring) -> Option<Bytes> {
    ring.get_mut().next().map(|item| Bytes::copy_from_slice(&item))
}
