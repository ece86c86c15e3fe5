//! Memory of fragwatch while containers come and go for a long time. The guest's clock jumps over pauses.
//! `serve` is scraped meanwhile, and from time to time many creations fail at once.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use harness::overhead::{Contestant, Fact, Operation, ServeState};
use nix::sched::{CloneFlags, unshare};

use super::contestant::Running;
use super::usage::{memory, process_cpu_ns};
use super::{Bench, SETTLE, fallbacks, operation, turn};
use crate::{http, node};

/// From one container to the next. Beside `serve` there are the creations of storms too.
const PAUSE: Duration = Duration::from_secs(5);
const SERVE_PAUSE: Duration = Duration::from_secs(30);
/// From one look at the memory to the next.
const INTERVAL: Duration = Duration::from_mins(1);
/// So many minutes are between two storms.
const STORM_MINUTES: u32 = 5;
/// Creations of a storm that succeed, and those that fail.
const SUCCEEDING: u32 = 300;
const FAILING: u32 = 100;
/// Scrapes whose CPU time is measured, once a minute.
const SCRAPES: u32 = 4;

/// Sends the memory once a minute.
pub(super) fn measure(bench: &Bench) -> Result<()> {
    // As in scenario `healthy`: a block for each namespace, of which there are enough.
    node::load_pernet_module(bench.channel)?;
    let store = store(bench.args);
    if store.is_some() {
        http::prepare()?;
    }
    let Some(running) = Running::start(bench, Contestant::With)? else { return Ok(()) };
    if store.is_some() {
        let ns_per_s = turn::idle(Some(running.pid))?.process_ns;
        bench.send(&Fact::Idle { ns_per_s, threads: turn::idle_threads(running.pid)? });
    }
    let began = Instant::now();
    let pause = if store.is_some() { SERVE_PAUSE } else { PAUSE };
    let mut containers = 0;
    for minute in 0..=bench.effort.minutes {
        while began.elapsed() < INTERVAL * minute {
            operation::start_and_stop(containers)?;
            containers += 1;
            thread::sleep(pause);
        }
        if store.is_some() && minute % STORM_MINUTES == 0 {
            storm()?;
            // Its reports are no part of a scrape.
            thread::sleep(SETTLE);
        }
        let state = store.map(|store| state(store, running.pid)).transpose()?;
        let (seconds, memory) = (began.elapsed().as_secs(), memory(running.pid)?);
        bench.send(&Fact::Soak { seconds, containers, memory, serve: state });
    }
    if store.is_some() {
        fallbacks::measure(bench)?;
    }
    let ms = running.stop()?.as_millis() as u64;
    if store.is_some() {
        bench.send(&Fact::Ended { ms });
    }
    Ok(())
}

/// The directory of the store, if it is `serve` that runs.
fn store(args: &[String]) -> Option<&Path> {
    let (command, rest) = args.split_first()?;
    let at = rest.iter().position(|arg| arg == "--store")?;
    (command == "serve").then(|| rest.get(at + 1).map(Path::new))?
}

/// Creations one right after the other, of which the last ones fail.
fn storm() -> Result<()> {
    operation::run(Operation::Namespace, SUCCEEDING)?;
    node::set("user/max_net_namespaces", "0")?;
    for _ in 0..FAILING {
        let refused = thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET)).join();
        if !matches!(refused, Ok(Err(_))) {
            bail!("a network namespace was made beyond the limit");
        }
    }
    node::set("user/max_net_namespaces", "10000")
}

/// Scrapes, and what the last scrape and the store's files say.
fn state(store: &Path, pid: u32) -> Result<ServeState> {
    let before = process_cpu_ns(pid)?;
    let mut metrics = String::new();
    for _ in 0..SCRAPES {
        (_, metrics) = http::get("/metrics")?;
    }
    let scrape_ns = (process_cpu_ns(pid)? - before) / u64::from(SCRAPES);
    let sum = |name: &str| {
        let series = metrics.lines().filter(|line| line.starts_with(name));
        let values = series.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        values.sum::<u64>()
    };
    Ok(ServeState {
        store_bytes: bytes_on_disk(store)?,
        lost: sum("fragwatch_events_lost_total") + sum("fragwatch_store_dropped_total"),
        failures: sum("fragwatch_creation_failures_total"),
        series: metrics.lines().filter(|line| !line.starts_with('#')).count() as u64,
        scrape_ns,
    })
}

/// What the files below a directory take.
fn bytes_on_disk(directory: &Path) -> Result<u64> {
    let cannot = || format!("can't list {}", directory.display());
    let mut bytes = 0;
    for entry in fs::read_dir(directory).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        // A segment may be sealed or deleted meanwhile.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes +=
            if metadata.is_dir() { bytes_on_disk(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}
