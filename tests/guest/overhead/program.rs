//! The run times of a contestant's BPF programs. The kernel takes them only when it is asked to, which
//! itself takes time: so that is a turn of its own.

use std::collections::BTreeMap;
use std::thread;

use anyhow::{Context, Result, bail};
use aya::programs::loaded_programs;
use harness::overhead::{Contestant, Fact, Operation, Program, Programs};

use super::contestant::Running;
use super::usage::memory;
use super::{Bench, SETTLE, operation};
use crate::node;

/// Network namespaces that fragwatch sees before its memory is looked at again.
const NAMESPACES: u32 = 2500;

/// Run time in nanoseconds and runs of each program, by its id.
pub(super) type Times = BTreeMap<u32, (String, u64, u64)>;

/// Measures the programs of a contestant in each operation.
pub(super) fn measure(bench: &Bench, contestant: Contestant) -> Result<Fact> {
    let others = times()?;
    node::set("kernel/bpf_stats_enabled", "1")?;
    let Some(running) = Running::start(bench, contestant)? else {
        bail!("this contestant has no programs");
    };
    let own: Vec<u32> = times()?.into_keys().filter(|id| !others.contains_key(id)).collect();
    let mut operations = Vec::new();
    let namespaces = match contestant {
        Contestant::With => bench.effort.count(NAMESPACES),
        _ => Operation::Namespace.count(&bench.effort),
    };
    let mut after_namespaces = running.ready;
    for operation in Operation::ALL {
        let count = match operation {
            Operation::Namespace => namespaces,
            other => other.count(&bench.effort),
        };
        let before = times()?;
        operation::run(operation, count)?;
        thread::sleep(SETTLE);
        operations.push(Programs { operation, programs: since(&before, times()?, &own, count) });
        if operation == Operation::Namespace {
            after_namespaces = memory(running.pid)?;
        }
    }
    running.stop()?;
    node::set("kernel/bpf_stats_enabled", "0")?;
    Ok(Fact::Programs { contestant, operations, namespaces, memory: after_namespaces })
}

/// Those of a contestant's programs that ran since then, for one operation, the longest first.
fn since(before: &Times, now: Times, own: &[u32], count: u32) -> Vec<Program> {
    let each = |number: u64| number as f64 / f64::from(count);
    let mut programs: Vec<Program> = now
        .into_iter()
        .filter(|(id, _)| own.contains(id))
        .map(|(id, (name, ns, runs))| {
            let (ns_before, runs_before) =
                before.get(&id).map_or((0, 0), |(_, ns, runs)| (*ns, *runs));
            Program { name, runs: each(runs - runs_before), ns: each(ns - ns_before) }
        })
        .filter(|program| program.runs > 0.0)
        .collect();
    programs.sort_by(|a, b| b.ns.total_cmp(&a.ns));
    programs
}

/// Those of all programs that the kernel has.
pub(super) fn times() -> Result<Times> {
    let mut times = Times::new();
    for program in loaded_programs() {
        let program = program.context("can't list the kernel's BPF programs")?;
        let name = program.name_as_str().unwrap_or("?").to_owned();
        let ns = program.run_time().as_nanos() as u64;
        times.insert(program.id(), (name, ns, program.run_count()));
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::{Times, since};

    #[test]
    fn run_times_are_of_own_programs_and_one_operation() {
        let before = Times::from([(1, ("other".to_owned(), 5, 5)), (2, ("a".to_owned(), 100, 10))]);
        let now = Times::from([
            (1, ("other".to_owned(), 50, 50)),
            (2, ("a".to_owned(), 500, 20)),
            (3, ("b".to_owned(), 1000, 10)),
            (4, ("idle".to_owned(), 0, 0)),
        ]);
        let programs = since(&before, now, &[2, 3, 4], 10);
        let seen: Vec<_> = programs.iter().map(|p| (p.name.as_str(), p.runs, p.ns)).collect();
        assert_eq!(seen, [("b", 1.0, 100.0), ("a", 1.0, 40.0)]);
    }
}
