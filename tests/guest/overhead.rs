//! What fragwatch costs the node: the same operations without it and beside it, in turns, then what
//! needs a run of its own.

mod contestant;
mod crowded;
mod failures;
mod fallbacks;
mod forecast;
mod operation;
mod program;
mod soak;
mod turn;
mod usage;

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::forecast::{COURSES, Course};
use harness::job::Job;
use harness::overhead::{Contestant, Effort, Fact, STREAM};
use harness::scenario::{OVERHEAD, SOAK};

use crate::channel::Channel;

pub(crate) use operation::run_child;

/// For what the kernel does later, such as the removal of namespaces.
const SETTLE: Duration = Duration::from_secs(3);
const AFTER_BOOT: Duration = Duration::from_mins(1);

/// What all measurements work with.
struct Bench<'a> {
    channel: &'a Channel,
    /// fragwatch's arguments.
    args: &'a [String],
    effort: Effort,
}

impl Bench<'_> {
    fn send(&self, fact: &Fact) {
        self.channel.send_json(STREAM, fact);
    }
}

/// Whether this job measures costs, and how. Such a job starts fragwatch itself, several times.
pub(crate) fn of(job: &Job) -> Option<fn(&Channel, &Job) -> Result<()>> {
    match job.scenario.as_str() {
        name if name == OVERHEAD.name => Some(run),
        name if name == SOAK.name => Some(soak),
        name if course(name).is_some() => Some(forecast),
        _ => None,
    }
}

fn run(channel: &Channel, job: &Job) -> Result<()> {
    let bench = Bench { channel, args: &job.args, effort: job.effort };
    operation::prepare()?;
    // The first ones of a boot fill the kernel's caches.
    channel.node("warm up");
    operation::warm_up()?;
    // The kernel has some things to do after a boot, which would count as what an idle node does.
    thread::sleep(AFTER_BOOT);
    let mut contestants = Contestant::ALL.to_vec();
    contestants.retain(|contestant| contestant::is_there(*contestant));
    for round in 1..=bench.effort.rounds {
        contestants.retain(|contestant| {
            // Its start alone takes longer than all operations.
            if round > 1 && *contestant == Contestant::Bpftrace {
                return true;
            }
            channel.node(format!(
                "round {round} of {}: {}",
                bench.effort.rounds,
                contestant.name()
            ));
            bench.attempt(*contestant, turn::measure)
        });
    }
    for contestant in contestants {
        if contestant != Contestant::Without {
            channel.node(format!("run times of programs: {}", contestant.name()));
            bench.attempt(contestant, program::measure);
        }
    }
    crowded::measure(&bench)?;
    failures::measure(&bench)?;
    channel.send("exit", "0");
    Ok(())
}

fn soak(channel: &Channel, job: &Job) -> Result<()> {
    let bench = Bench { channel, args: &job.args, effort: job.effort };
    operation::prepare()?;
    soak::measure(&bench)?;
    channel.send("exit", "0");
    Ok(())
}

fn course(scenario: &str) -> Option<&'static Course> {
    COURSES.iter().find(|course| course.scenario == scenario)
}

fn forecast(channel: &Channel, job: &Job) -> Result<()> {
    let bench = Bench { channel, args: &job.args, effort: job.effort };
    let course = course(&job.scenario).context("it is no course of the forecast")?;
    forecast::measure(&bench, course)?;
    channel.send("exit", "0");
    Ok(())
}

impl Bench<'_> {
    /// Measures beside a contestant, and sends the outcome. False if that contestant doesn't run here.
    fn attempt(
        &self,
        contestant: Contestant,
        measure: fn(&Self, Contestant) -> Result<Fact>,
    ) -> bool {
        let fact = measure(self, contestant)
            .unwrap_or_else(|error| Fact::Absent { contestant, reason: format!("{error:#}") });
        self.send(&fact);
        !matches!(fact, Fact::Absent { .. })
    }
}
