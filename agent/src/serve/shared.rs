//! What the event loop, the sampler and HTTP share. No lock is held for longer than a copy takes.
use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use fragwatch_core::report::line::doctor::Doctor;
use fragwatch_recorder::store;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::broadcast;

use super::{
    limits::Limits,
    metrics::Metrics,
    trend::{Outlook, Trend},
};
use crate::{check::Check, host::clock};

/// The loop is alive if it has taken a turn within this time.
const ALIVE: Duration = Duration::from_secs(5);

/// Attaching may take this long on a slow machine.
const START: Duration = Duration::from_mins(2);

/// Failures that are shown.
const FAILURES: usize = 20;

/// Lines that wait for a slow client of `/events`; it misses the oldest of more.
const EVENTS: usize = 32;

const MINUTE_NS: u64 = 60_000_000_000;

/// How far `serve` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Phase {
    /// The hooks are being attached.
    Starting,
    /// The kernel is watched.
    Watching,
    /// It is about to end.
    Stopping,
}

const PHASES: [Phase; 3] = [Phase::Starting, Phase::Watching, Phase::Stopping];

/// A failure, as the page and `/status` show it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Failure {
    pub(super) time: Timestamp,
    /// The creation's `id`, as in `/events`.
    pub(super) creation: u64,
    pub(super) outcome: &'static str,
    pub(super) cause: &'static str,
    pub(super) confidence: &'static str,
    /// Who, what, why, what to do.
    pub(super) summary: String,
    /// Which container it was, if that became known later.
    pub(super) container: Option<String>,
}

/// What people and `check` ask for.
#[derive(Clone, Debug, Default)]
pub(super) struct Board {
    pub(super) doctor: Option<Doctor>,
    pub(super) check: Option<Check>,
    pub(super) store: Option<store::Status>,
    /// The newest first.
    pub(super) failures: VecDeque<Failure>,
    /// Failures since the start.
    pub(super) failed: u64,
    pub(super) trend: Vec<Trend>,
    pub(super) outlooks: Vec<Outlook>,
    /// Minutes since boot with failures, and how many.
    minutes: VecDeque<(u64, u64)>,
}

/// What all threads share.
pub(super) struct Shared {
    pub(super) metrics: Metrics,
    /// Lines of the report as JSON.
    pub(super) events: broadcast::Sender<Bytes>,
    pub(super) limits: Mutex<Limits>,
    pub(super) started: Timestamp,
    started_ns: u64,
    board: Mutex<Board>,
    phase: AtomicU8,
    /// The loop's last turn, `CLOCK_MONOTONIC` in nanoseconds; 0 before the first.
    turned_ns: AtomicU64,
    recording_requested: AtomicBool,
}

impl Shared {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            metrics: Metrics::new(),
            events: broadcast::Sender::new(EVENTS),
            limits: Mutex::new(limits),
            started: Timestamp::now(),
            started_ns: clock::monotonic_ns(),
            board: Mutex::default(),
            phase: AtomicU8::new(Phase::Starting as u8),
            turned_ns: AtomicU64::new(0),
            recording_requested: AtomicBool::new(false),
        }
    }

    pub(super) fn board(&self) -> MutexGuard<'_, Board> {
        lock(&self.board)
    }

    pub(super) fn limits(&self) -> MutexGuard<'_, Limits> {
        lock(&self.limits)
    }

    pub(super) fn phase(&self) -> Phase {
        PHASES[usize::from(self.phase.load(Ordering::Relaxed)) % PHASES.len()]
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.turn();
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Notes that the loop is alive.
    pub(super) fn turn(&self) {
        self.turned_ns.store(clock::monotonic_ns(), Ordering::Relaxed);
    }

    /// How long ago the loop took its last turn; before its first, since the start.
    pub(super) fn silent_for(&self) -> Duration {
        let turned = self.turned_ns.load(Ordering::Relaxed).max(self.started_ns);
        Duration::from_nanos(clock::monotonic_ns().saturating_sub(turned))
    }

    /// Whether the loop is alive, or still starting within its time.
    pub(super) fn is_alive(&self) -> bool {
        self.silent_for() < if self.phase() == Phase::Starting { START } else { ALIVE }
    }

    /// Asks for a recording, as SIGUSR1 does.
    pub(super) fn request_recording(&self) {
        self.recording_requested.store(true, Ordering::Relaxed);
    }

    /// Whether one was asked for since the last call.
    pub(super) fn take_request(&self) -> bool {
        self.recording_requested.swap(false, Ordering::Relaxed)
    }
}

impl Board {
    /// Adds a failure, and forgets the oldest of too many.
    pub(super) fn add(&mut self, failure: Failure) {
        self.failed += 1;
        let minute = clock::monotonic_ns() / MINUTE_NS;
        match self.minutes.back_mut() {
            Some((last, count)) if *last == minute => *count += 1,
            _ => self.minutes.push_back((minute, 1)),
        }
        self.minutes.retain(|(at, _)| at + 60 > minute);
        self.failures.push_front(failure);
        self.failures.truncate(FAILURES);
    }

    /// Failures of the last hour.
    pub(super) fn failed_last_hour(&self) -> u64 {
        let minute = clock::monotonic_ns() / MINUTE_NS;
        self.minutes.iter().filter(|(at, _)| at + 60 > minute).map(|(_, count)| count).sum()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
