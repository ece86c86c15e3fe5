//! The sampler: a thread that reads the node's memory once a second, for the recorder, the metrics, and
//! what `check` would say. Reading may take long when memory is short, and delays no report.
mod counters;
mod kept_file;
mod limits;
mod process;
mod reader;

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

use fragwatch_core::model::{
    node::{NodeFacts, NodeZone},
    sample::{MAX_ORDERS, MAX_ZONES, Sample, SampleZone},
    status::CheckStatus,
};
use fragwatch_recorder::forecast::{Forecast, Resource};

use self::{
    limits::LimitReader,
    process::ProcessReader,
    reader::{NodeReader, Reading},
};
use super::{
    shared::Shared,
    trend::{History, Outlook},
};
use crate::{
    check::{self, Need},
    host::{orders, privileges},
};

/// The time between samples.
const PERIOD: Duration = Duration::from_secs(1);

/// Every how many samples everything is read, instead of what changes quickly alone.
const SLOW: u32 = 10;

/// The names of limits in metrics.
const PIDS: &str = "pids";
const NET_NAMESPACES: &str = "net-namespaces";

/// Samples that wait for the loop.
const WAITING: usize = 16;

/// Stack size of the thread in bytes. Used stack pages count as locked memory.
const STACK: usize = 256 << 10;

/// A sample on its way to the loop.
pub(super) struct Sampled {
    pub(super) sample: Sample,
    /// What `check` says has become worse with it.
    pub(super) worse: bool,
}

/// Starts the thread, which ends when the receiver is gone. `orders` are needed on this node as far as the
/// configuration says.
pub(super) fn start(
    shared: Arc<Shared>,
    orders: Vec<u32>,
    page_size: u64,
) -> io::Result<Receiver<Sampled>> {
    let (samples, receiver) = mpsc::sync_channel(WAITING);
    let limits = LimitReader::open();
    let work = move || {
        if let Err(error) = privileges::drop_all() {
            log::warn!("the sampler could not give up its capabilities: {error}");
        }
        Sampler::new(shared, orders, page_size, limits).run(&samples);
    };
    thread::Builder::new().name("sampler".to_owned()).stack_size(STACK).spawn(work)?;
    Ok(receiver)
}

struct Sampler {
    shared: Arc<Shared>,
    orders: Vec<u32>,
    page_size: u64,
    needs: Vec<Need>,
    status: Option<CheckStatus>,
    history: History,
    forecast: Forecast,
    node: NodeReader,
    limits: LimitReader,
    process: ProcessReader,
}

impl Sampler {
    fn new(shared: Arc<Shared>, orders: Vec<u32>, page_size: u64, limits: LimitReader) -> Self {
        let process = ProcessReader::new(page_size);
        Self {
            shared,
            orders,
            page_size,
            needs: Vec::new(),
            status: None,
            history: History::default(),
            forecast: Forecast::default(),
            node: NodeReader::open(),
            limits,
            process,
        }
    }

    fn run(mut self, samples: &SyncSender<Sampled>) {
        let mut due = Instant::now();
        for turn in 0u32.. {
            let all = turn.is_multiple_of(SLOW);
            if all {
                self.needs = check::needs(&self.orders, orders::read(Path::new("/")));
                self.shared.metrics.set_process(self.process.read());
            }
            let sample = self.sample(all);
            if matches!(samples.try_send(sample), Err(mpsc::TrySendError::Disconnected(_))) {
                return;
            }
            due += PERIOD;
            let now = Instant::now();
            // After a long stall it goes on from now, instead of catching up.
            due = due.max(now);
            thread::sleep(due - now);
        }
    }

    fn sample(&mut self, all: bool) -> Sampled {
        let Reading { facts, vm, pressure } = self.node.read(all);
        let sample = Sample {
            time_ns: facts.time_ns,
            zones: zones(&facts),
            memory_cgroups: facts.memory_cgroups,
            vm,
            pressure,
            // The loop has them.
            fallbacks: None,
        };
        let needed: Vec<u32> = self.needs.iter().map(|need| need.order).collect();
        self.shared.metrics.set_zones(&facts.zones, &needed);
        if all {
            if let Some(cgroups) = facts.memory_cgroups {
                self.shared.metrics.set_memory_cgroups(cgroups);
            }
            self.forecast(&sample, &needed);
        }
        let check = check::assess(facts, self.needs.clone(), self.page_size);
        let status = check.status();
        let worse = self.status.replace(status).is_some_and(|before| is_worse(before, status));
        self.shared.metrics.set_check(status);
        let trend = self.history.add(&check);
        let mut board = self.shared.board();
        (board.check, board.trend) = (Some(check), trend);
        drop(board);
        Sampled { sample, worse }
    }

    fn forecast(&mut self, sample: &Sample, needed: &[u32]) {
        self.forecast.sample(sample, needed);
        let now_s = sample.time_ns as f64 / 1e9;
        let left =
            [(PIDS, self.limits.pids_left()), (NET_NAMESPACES, self.limits.net_namespaces_left())];
        for (limit, left) in left {
            if let Some(left) = left {
                self.forecast.observe(Resource::Limit(limit), now_s, left as f64);
            }
        }
        let outlooks = self.forecast.outlooks().map(|(resource, outlook)| Outlook {
            resource: resource.name(),
            seconds_to_failure: outlook.seconds_to_failure,
        });
        let outlooks: Vec<Outlook> = outlooks.collect();
        self.shared.metrics.set_forecast(&outlooks);
        self.shared.board().outlooks = outlooks;
    }
}

/// Whether less is left. What is not known is no news.
fn is_worse(before: CheckStatus, now: CheckStatus) -> bool {
    now > before && ![before, now].contains(&CheckStatus::Unknown)
}

/// The zones that `GFP_KERNEL` may use.
fn zones(facts: &NodeFacts) -> Vec<SampleZone> {
    let usable = facts.zones.iter().filter_map(|zone| Some((zone, zone.lowmem_reserve?)));
    let zone = |(zone, reserve): (&NodeZone, u64)| {
        let kept = zone.min.saturating_add(reserve);
        let above_min = i128::from(zone.free) - i128::from(kept);
        SampleZone {
            node: zone.node,
            name: zone.name.clone(),
            above_min: i64::try_from(above_min).unwrap_or(i64::MIN),
            blocks: zone.blocks.iter().copied().take(MAX_ORDERS).collect(),
        }
    };
    usable.map(zone).take(MAX_ZONES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_for_the_worse_is_worse() {
        use CheckStatus::{Ok, Tight, Unknown, WouldFail};
        assert!(is_worse(Ok, Tight) && is_worse(Tight, WouldFail) && is_worse(Ok, WouldFail));
        for (before, now) in [(Ok, Ok), (Tight, Ok), (Ok, Unknown), (Unknown, WouldFail)] {
            assert!(!is_worse(before, now), "{before:?} {now:?}");
        }
    }

    #[test]
    fn zones_that_the_kernel_may_not_use_are_left_out() {
        let zone = |name: &str, lowmem_reserve| NodeZone {
            name: name.to_owned(),
            free: 100,
            min: 30,
            lowmem_reserve,
            blocks: vec![1; 20],
            ..NodeZone::default()
        };
        let zones_of_node =
            vec![zone("DMA", Some(200)), zone("Normal", Some(0)), zone("Movable", None)];
        let sampled = zones(&NodeFacts { zones: zones_of_node, ..NodeFacts::default() });
        let found: Vec<_> =
            sampled.iter().map(|z| (&*z.name, z.above_min, z.blocks.len())).collect();
        assert_eq!(found, [("DMA", -130, 11), ("Normal", 70, 11)]);
    }
}
