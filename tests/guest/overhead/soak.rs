//! Memory of fragwatch while containers come and go for a long time. The guest's clock jumps over pauses.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use harness::overhead::{Contestant, Fact};

use super::contestant::Running;
use super::usage::memory;
use super::{Bench, operation};
use crate::node;

/// From one container to the next.
const PAUSE: Duration = Duration::from_secs(5);
/// From one look at the memory to the next.
const INTERVAL: Duration = Duration::from_mins(1);

/// Sends the memory once a minute.
pub(super) fn measure(bench: &Bench) -> Result<()> {
    // As in scenario `healthy`: a block for each namespace, of which there are enough.
    node::load_pernet_module(bench.channel)?;
    let Some(running) = Running::start(bench, Contestant::With)? else { return Ok(()) };
    let began = Instant::now();
    let mut containers = 0;
    for minute in 0..=bench.effort.minutes {
        while began.elapsed() < INTERVAL * minute {
            operation::start_and_stop(containers)?;
            containers += 1;
            thread::sleep(PAUSE);
        }
        let (seconds, memory) = (began.elapsed().as_secs(), memory(running.pid)?);
        bench.send(&Fact::Soak { seconds, containers, memory });
    }
    running.stop()
}
