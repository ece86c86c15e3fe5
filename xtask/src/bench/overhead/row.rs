//! The rows of the table: what is measured, its unit, and what fragwatch may take of it.

use harness::overhead::{Contestant, Cost, Operation};
use serde_json::{Map, Value};

use super::measured::Measured;

/// A value of each contestant.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    /// What fragwatch may take: of a [`Unit::Time`] the ratio to the time without it.
    pub(super) limit: Option<f64>,
    of: fn(&Measured, Contestant) -> Option<f64>,
}

/// The unit of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Microseconds of an operation, compared with those without fragwatch.
    Time,
    /// Microseconds.
    Us,
    /// Milliseconds.
    Ms,
    /// Seconds.
    S,
    /// Percent of a processor.
    Percent,
    /// MiB.
    MiB,
    /// A number.
    Count,
}

impl Unit {
    /// As it stands behind a row's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Time | Self::Us => ", us",
            Self::Ms => ", ms",
            Self::S => ", s",
            Self::Percent => ", % of a CPU",
            Self::MiB => ", MiB",
            Self::Count => "",
        }
    }

    /// A value with as many digits as mean something.
    pub(super) fn show(self, value: f64) -> String {
        match self {
            Self::Count | Self::Ms => format!("{value:.0}"),
            Self::Time | Self::MiB => format!("{value:.1}"),
            Self::Us | Self::S => format!("{value:.2}"),
            Self::Percent => format!("{value:.3}"),
        }
    }
}

const US: f64 = 1e3;
const KIB: f64 = 1024.0;

fn caller(cost: &Cost) -> f64 {
    cost.caller_ns / US
}

fn node(cost: &Cost) -> f64 {
    cost.node_ns / US
}

fn own(cost: &Cost) -> f64 {
    cost.process_ns / US
}

const fn row(
    name: &'static str,
    unit: Unit,
    limit: Option<f64>,
    of: fn(&Measured, Contestant) -> Option<f64>,
) -> Row {
    Row { name, unit, limit, of }
}

/// A value of fragwatch alone.
fn only(of: Contestant, value: Option<f64>) -> Option<f64> {
    value.filter(|_| of == Contestant::With)
}

/// All rows, in the order of the table.
pub(super) const ROWS: [Row; 33] = [
    row("make a network namespace (system call)", Unit::Time, Some(1.02), |m, of| {
        m.cost(of, Operation::Namespace, caller)
    }),
    row("make and destroy a network namespace", Unit::Time, None, |m, of| {
        m.cost(of, Operation::Namespace, node)
    }),
    row("start, stop and remove a container with runc", Unit::Time, None, |m, of| {
        m.cost(of, Operation::Container, node)
    }),
    row("fork with exit", Unit::Time, Some(1.02), |m, of| m.cost(of, Operation::Fork, node)),
    row("fork with exec and exit", Unit::Time, Some(1.02), |m, of| {
        m.cost(of, Operation::Exec, node)
    }),
    row("make and remove a cgroup (system calls)", Unit::Time, Some(1.05), |m, of| {
        m.cost(of, Operation::Cgroup, caller)
    }),
    row("make, fill and close a pipe in a limited cgroup", Unit::Time, None, |m, of| {
        m.cost(of, Operation::Pipe, caller)
    }),
    row("mount and unmount", Unit::Time, None, |m, of| m.cost(of, Operation::Mount, caller)),
    row("failed high-order allocation with a fallback", Unit::Time, None, |m, of| {
        m.cost(of, Operation::FailedAllocation, caller)
    }),
    row("BPF time for a network namespace", Unit::Us, Some(10.0), |m, of| {
        bpf(m, of, Operation::Namespace)
    }),
    row("BPF time for a container", Unit::Us, None, |m, of| bpf(m, of, Operation::Container)),
    row("BPF time for a cgroup", Unit::Us, None, |m, of| bpf(m, of, Operation::Cgroup)),
    row("BPF time for a failed allocation", Unit::Us, None, |m, of| {
        bpf(m, of, Operation::FailedAllocation)
    }),
    row("CPU of the process for a network namespace", Unit::Us, Some(30.0), |m, of| {
        m.cost(of, Operation::Namespace, own)
    }),
    row("CPU of the process for a container", Unit::Us, None, |m, of| {
        m.cost(of, Operation::Container, own)
    }),
    row("CPU of the process for a cgroup", Unit::Us, None, |m, of| {
        m.cost(of, Operation::Cgroup, own)
    }),
    row("CPU of the process when idle", Unit::Percent, Some(0.05), |m, of| {
        m.process(of, |process| process.idle_ns_per_s / 1e7)
    }),
    row(
        "CPU of the process at 10,000 failed allocations a second",
        Unit::Percent,
        Some(1.0),
        |m, of| only(of, m.cpu_at_rate(1e4).map(|cpu| cpu * 100.0)),
    ),
    row("CPU until ready", Unit::S, Some(0.7), |m, of| {
        m.process(of, |process| process.ready_cpu_ns as f64 / 1e9)
    }),
    row("time until ready", Unit::S, None, |m, of| {
        m.process(of, |process| process.ready_wall_ns as f64 / 1e9)
    }),
    row("resident when ready", Unit::MiB, Some(9.0), |m, of| {
        m.process(of, |process| process.ready.resident as f64 / KIB)
    }),
    row("of that anonymous", Unit::MiB, None, |m, of| {
        m.process(of, |process| process.ready.anon as f64 / KIB)
    }),
    row("of that files and shared buffers", Unit::MiB, None, |m, of| {
        m.process(of, |process| process.ready.file as f64 / KIB)
    }),
    row("of that locked", Unit::MiB, None, |m, of| {
        m.process(of, |process| process.ready.locked as f64 / KIB)
    }),
    row("BPF maps, in the kernel", Unit::MiB, None, |m, of| {
        m.process(of, |process| process.ready.maps as f64 / KIB)
    }),
    row("resident after 2,500 network namespaces", Unit::MiB, Some(10.0), |m, of| {
        Some(m.after_namespaces(of)?.resident as f64 / KIB)
    }),
    row("resident after all operations", Unit::MiB, None, |m, of| {
        m.process(of, |process| process.after.resident as f64 / KIB)
    }),
    row("peak", Unit::MiB, Some(16.0), |m, of| {
        m.process(of, |process| process.after.peak as f64 / KIB)
    }),
    row("resident beside 5,000 cgroups when ready", Unit::MiB, Some(11.0), |m, of| {
        only(of, m.crowded().map(|(ready, _)| ready.resident as f64 / KIB))
    }),
    row("resident after 3,000 more came and went", Unit::MiB, Some(11.5), |m, of| {
        only(of, m.crowded().map(|(_, after)| after.resident as f64 / KIB))
    }),
    row("report of a failed creation, median", Unit::Ms, Some(20.0), |m, of| {
        only(of, m.latency.map(|latency| latency.p50_ms as f64))
    }),
    row("report of a failed creation, p99", Unit::Ms, Some(50.0), |m, of| {
        only(of, m.latency.map(|latency| latency.p99_ms as f64))
    }),
    row("reports and events lost in a flood", Unit::Count, Some(0.0), |m, of| {
        only(of, m.lost.map(|lost| lost as f64))
    }),
];

fn bpf(measured: &Measured, of: Contestant, operation: Operation) -> Option<f64> {
    let programs = measured.programs(of)?.iter().find(|one| one.operation == operation)?;
    Some(programs.programs.iter().map(|program| program.ns).sum::<f64>() / US)
}

impl Row {
    /// A contestant's value. Without any process only times have one.
    pub(super) fn value(&self, measured: &Measured, of: Contestant) -> Option<f64> {
        if of == Contestant::Without && self.unit != Unit::Time {
            return None;
        }
        (self.of)(measured, of)
    }

    /// Of a time, its ratio to the time without fragwatch.
    pub(super) fn ratio(&self, measured: &Measured, of: Contestant) -> Option<f64> {
        let without = self.value(measured, Contestant::Without)?;
        let value = self.value(measured, of)?;
        (self.unit == Unit::Time && of != Contestant::Without && without > 0.0)
            .then(|| value / without)
    }

    /// What is compared with the limit.
    fn limited(&self, measured: &Measured) -> Option<f64> {
        match self.unit {
            Unit::Time => self.ratio(measured, Contestant::With),
            _ => self.value(measured, Contestant::With),
        }
    }

    /// The limit as the table shows it.
    pub(super) fn show_limit(&self) -> Option<String> {
        let limit = self.limit?;
        Some(match self.unit {
            Unit::Time => format!("({limit:.3})"),
            _ => format!("{limit}"),
        })
    }
}

/// A sentence for each limit that fragwatch exceeds, and for each whose value is missing.
pub(super) fn exceeded(measured: &Measured) -> Vec<String> {
    let check = |row: &Row| -> Option<String> {
        let limit = row.limit?;
        let name = row.name;
        let unit = if row.unit == Unit::Time { " times the time without" } else { row.unit.name() };
        match row.limited(measured) {
            None => Some(format!("{name}: it was not measured")),
            Some(value) if value > limit => Some(format!("{name}: {value:.3} of {limit}{unit}")),
            Some(_) => None,
        }
    };
    ROWS.iter().filter_map(check).collect()
}

/// All values, by row and contestant.
pub(super) fn values(measured: &Measured) -> Value {
    let mut rows = Map::new();
    for row in &ROWS {
        let mut values = Map::new();
        for contestant in measured.contestants() {
            if let Some(value) = row.value(measured, contestant) {
                values.insert(contestant.name().to_owned(), value.into());
            }
        }
        if let Some(limit) = row.limit {
            values.insert("limit".to_owned(), limit.into());
        }
        rows.insert(format!("{}{}", row.name, row.unit.name()), values.into());
    }
    rows.into()
}

#[cfg(test)]
mod tests {
    use harness::overhead::{Contestant, Cost, Fact, Operation};

    use super::{Measured, exceeded};

    fn measured(with_ns: f64) -> Measured {
        let turn = |contestant, ns| {
            let operation = Operation::Cgroup;
            let costs = vec![Cost { operation, caller_ns: ns, node_ns: ns, process_ns: 0.0 }];
            Fact::Turn { contestant, costs, process: None }
        };
        let facts = vec![turn(Contestant::Without, 1000.0), turn(Contestant::With, with_ns)];
        Measured { facts, lost: Some(0), ..Measured::default() }
    }

    fn of_cgroup(with_ns: f64) -> Vec<String> {
        let mut all = exceeded(&measured(with_ns));
        all.retain(|text| text.contains("remove a cgroup"));
        all
    }

    #[test]
    fn value_above_its_limit_is_named() {
        assert_eq!(of_cgroup(1049.0), Vec::<String>::new());
        let above = of_cgroup(1100.0);
        assert_eq!(
            above,
            ["make and remove a cgroup (system calls): 1.100 of 1.05 times the time without"]
        );
    }

    #[test]
    fn missing_value_is_named_and_zero_is_within_its_limit() {
        let all = exceeded(&measured(1000.0));
        assert!(all.iter().any(|text| text == "CPU until ready: it was not measured"), "{all:?}");
        assert!(!all.iter().any(|text| text.contains("lost in a flood")), "{all:?}");
    }
}
