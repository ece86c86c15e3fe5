//! What a run measured, read from the guest's lines.

use std::mem;

use anyhow::{Context, Result, bail};
use harness::overhead::{Contestant, Cost, Fact, Memory, Operation, Process, Programs, STREAM};
use harness::vm::Run;
use serde::Serialize;
use serde_json::Value;

use crate::bench::delay::{Delays, percentile};

/// All facts of a run.
#[derive(Default)]
pub(super) struct Measured {
    /// As the guest sent them.
    pub(super) facts: Vec<Fact>,
    /// Delays of reports of failed creations.
    pub(super) latency: Option<Latency>,
    /// How long each stage of these reports took.
    pub(super) stages: Vec<Stage>,
    /// Failed creations in the flood whose report did not come, and events that were lost.
    pub(super) lost: Option<u64>,
    /// Contestants that did not take part, and why.
    pub(super) absent: Vec<(Contestant, String)>,
}

/// From the end of a failed creation to its report, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Latency {
    pub(super) reports: usize,
    pub(super) p50_ms: i64,
    pub(super) p99_ms: i64,
    pub(super) max_ms: i64,
}

/// A stage of a report, in microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Stage {
    pub(super) name: String,
    pub(super) p50_us: i64,
    pub(super) p99_us: i64,
}

/// Reads what the guest sent.
pub(super) fn read(run: &Run) -> Result<Measured> {
    let mut measured = Measured::default();
    let mut reader = Delays::default();
    let mut delays = Vec::new();
    let mut stages: Vec<(String, Vec<i64>)> = Vec::new();
    let mut missing = None;
    for line in &run.lines {
        delays.extend(reader.of(line)?);
        if line.stream == "fragwatch-err" {
            add_stages(&mut stages, &line.text);
        }
        if line.stream == STREAM {
            let fact: Fact =
                serde_json::from_str(&line.text).context("the guest sent a malformed fact")?;
            match &fact {
                Fact::Failures { .. } => {
                    delays.sort_unstable();
                    measured.latency = Some(latency(&delays)?);
                    measured.stages =
                        mem::take(&mut stages).into_iter().map(stage).collect::<Result<_>>()?;
                    delays.clear();
                }
                Fact::Flood { creations, .. } => {
                    missing = Some(u64::from(*creations).saturating_sub(delays.len() as u64));
                }
                Fact::Absent { contestant, reason } => {
                    measured.absent.push((*contestant, reason.clone()));
                }
                _ => {}
            }
            measured.facts.push(fact);
        } else if let Some(missing) = missing
            && line.stream == "fragwatch-out"
        {
            let report: Value = serde_json::from_str(&line.text).unwrap_or_default();
            if let Some(lost) = report["lost"].as_u64() {
                measured.lost = Some(missing + lost);
            }
        }
    }
    if measured.contestants().len() < 2 {
        bail!("the guest measured nothing beside fragwatch; see {}", run.directory.display());
    }
    Ok(measured)
}

fn latency(sorted: &[i64]) -> Result<Latency> {
    let at = |percent| percentile(sorted, percent);
    Ok(Latency { reports: sorted.len(), p50_ms: at(50)?, p99_ms: at(99)?, max_ms: at(100)? })
}

/// Adds the times of a line like `… report stages: ring_us=12 decode_us=3`.
fn add_stages(stages: &mut Vec<(String, Vec<i64>)>, line: &str) {
    let Some((_, times)) = line.split_once("report stages: ") else { return };
    for (name, us) in times.split_whitespace().filter_map(|time| time.split_once("_us=")) {
        let Ok(us) = us.parse() else { continue };
        match stages.iter_mut().find(|(known, _)| known == name) {
            Some((_, all)) => all.push(us),
            None => stages.push((name.to_owned(), vec![us])),
        }
    }
}

fn stage((name, mut times): (String, Vec<i64>)) -> Result<Stage> {
    times.sort_unstable();
    Ok(Stage { name, p50_us: percentile(&times, 50)?, p99_us: percentile(&times, 99)? })
}

impl Measured {
    /// Those that had a turn.
    pub(super) fn contestants(&self) -> Vec<Contestant> {
        let mut all = Contestant::ALL.to_vec();
        all.retain(|contestant| self.turns(*contestant).next().is_some());
        all
    }

    fn turns(&self, of: Contestant) -> impl Iterator<Item = (&[Cost], Option<&Process>)> {
        self.facts.iter().filter_map(move |fact| match fact {
            Fact::Turn { contestant, costs, process } if *contestant == of => {
                Some((costs.as_slice(), process.as_ref()))
            }
            _ => None,
        })
    }

    /// A time of an operation: the mean of all turns, in nanoseconds.
    pub(super) fn cost(
        &self,
        contestant: Contestant,
        operation: Operation,
        time: fn(&Cost) -> f64,
    ) -> Option<f64> {
        let costs = self.turns(contestant).flat_map(|(costs, _)| costs);
        mean(costs.filter(|cost| cost.operation == operation).map(time))
    }

    /// Something of a contestant's process: the mean of all turns.
    pub(super) fn process(
        &self,
        contestant: Contestant,
        value: fn(&Process) -> f64,
    ) -> Option<f64> {
        mean(self.turns(contestant).filter_map(|(_, process)| process.map(value)))
    }

    /// The run times of a contestant's programs, for each operation.
    pub(super) fn programs(&self, of: Contestant) -> Option<&[Programs]> {
        self.facts.iter().find_map(|fact| match fact {
            Fact::Programs { contestant, operations, .. } if *contestant == of => {
                Some(operations.as_slice())
            }
            _ => None,
        })
    }

    /// A contestant's memory after many network namespaces.
    pub(super) fn after_namespaces(&self, of: Contestant) -> Option<Memory> {
        self.facts.iter().find_map(|fact| match fact {
            Fact::Programs { contestant, memory, .. } if *contestant == of => Some(*memory),
            _ => None,
        })
    }

    /// fragwatch's memory beside many cgroups: when it was ready, and after others came and went.
    pub(super) fn crowded(&self) -> Option<(Memory, Memory)> {
        self.facts.iter().find_map(|fact| match fact {
            Fact::Crowded { ready, after, .. } => Some((*ready, *after)),
            _ => None,
        })
    }

    /// The part of a processor that fragwatch takes at so many failed allocations in a second.
    pub(super) fn cpu_at_rate(&self, wanted: f64) -> Option<f64> {
        self.facts.iter().find_map(|fact| match fact {
            Fact::Rate { per_second, cpu } => Some(cpu / per_second * wanted),
            _ => None,
        })
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0_u32, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use harness::overhead::{Contestant, Cost, Fact, Operation, STREAM};
    use harness::vm::Run;
    use harness::vm::protocol::Line;

    use super::{Latency, Stage, read};

    fn fact(fact: &Fact) -> (&'static str, String) {
        (STREAM, serde_json::to_string(fact).expect("a fact is JSON"))
    }

    fn turn(contestant: Contestant, ns: f64) -> (&'static str, String) {
        let operation = Operation::Cgroup;
        let costs = vec![Cost { operation, caller_ns: ns, node_ns: ns, process_ns: 0.0 }];
        fact(&Fact::Turn { contestant, costs, process: None })
    }

    fn run(lines: Vec<(&'static str, String)>) -> Run {
        let lines = lines.into_iter().zip(0..).map(|((stream, text), ms)| Line {
            ms,
            stream: stream.to_owned(),
            text,
        });
        Run { exit_code: 0, lines: lines.collect(), directory: PathBuf::new() }
    }

    #[test]
    fn times_are_means_and_losses_are_counted() {
        let report = |ms: i64| {
            (
                "fragwatch-out",
                format!(r#"{{"type":"creation","time":"1970-01-01T00:00:00.{ms:03}Z"}}"#),
            )
        };
        let summary = ("fragwatch-out", r#"{"type":"summary","lost":2}"#.to_owned());
        let measured = read(&run(vec![
            turn(Contestant::Without, 100.0),
            turn(Contestant::With, 110.0),
            turn(Contestant::With, 120.0),
            ("clock", "3".to_owned()),
            report(0),
            ("fragwatch-err", "[… DEBUG] report stages: ring_us=5 write_us=7".to_owned()),
            report(3),
            fact(&Fact::Failures { creations: 2 }),
            report(7),
            fact(&Fact::Flood { creations: 3, allocations: 1 }),
            summary,
        ]))
        .expect("all is there");
        let cost = |of| measured.cost(of, Operation::Cgroup, |cost| cost.caller_ns);
        assert_eq!(cost(Contestant::With), Some(115.0));
        assert_eq!(cost(Contestant::Before), None);
        let latency = Latency { reports: 2, p50_ms: 3, p99_ms: 4, max_ms: 4 };
        assert_eq!(measured.latency, Some(latency));
        let stage = |name: &str, us| Stage { name: name.to_owned(), p50_us: us, p99_us: us };
        assert_eq!(measured.stages, [stage("ring", 5), stage("write", 7)]);
        // Two reports of three did not come, and two events were lost.
        assert_eq!(measured.lost, Some(4));
    }

    #[test]
    fn run_without_fragwatch_is_no_measurement() {
        assert!(read(&run(vec![turn(Contestant::Without, 100.0)])).is_err());
    }
}
