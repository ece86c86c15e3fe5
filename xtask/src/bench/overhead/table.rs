//! The tables of `bench overhead`, as Markdown.

use std::fmt::Write as _;

use harness::overhead::{Contestant, Operation};

use super::measured::Measured;
use super::row::{ROWS, Unit};

/// Programs that take less than this for each operation are not shown, in microseconds.
const SHOWN_US: f64 = 0.005;

/// A row for each value, with a column for each contestant.
pub(super) fn costs(measured: &Measured) -> String {
    let contestants = measured.contestants();
    let mut text = String::from("| |");
    for contestant in &contestants {
        // A String takes everything.
        let _ = write!(text, " {} |", contestant.name());
    }
    text += " limit |\n|---|";
    text += &"---|".repeat(contestants.len() + 1);
    for row in &ROWS {
        let _ = write!(text, "\n| {}{} |", row.name, row.unit.name());
        for contestant in &contestants {
            let cell = row.value(measured, *contestant).map(|value| {
                let ratio = row.ratio(measured, *contestant);
                let ratio = ratio.map_or(String::new(), |ratio| format!(" ({ratio:.3})"));
                format!("{}{ratio}", row.unit.show(value))
            });
            let _ = write!(text, " {} |", cell.unwrap_or_default());
        }
        let _ = write!(text, " {} |", row.show_limit().unwrap_or_default());
    }
    text
}

/// How long each stage of a report took.
pub(super) fn stages(measured: &Measured) -> String {
    let mut text = String::from("| stage of a report, us | median | p99 |\n|---|---|---|");
    for stage in &measured.stages {
        let _ = write!(text, "\n| {} | {} | {} |", stage.name, stage.p50_us, stage.p99_us);
    }
    text
}

/// The run time of each program for each operation, one table per contestant.
pub(super) fn programs(measured: &Measured) -> String {
    let tables: Vec<String> = Contestant::ALL
        .iter()
        .filter_map(|contestant| programs_of(measured, *contestant))
        .collect();
    tables.join("\n\n")
}

fn programs_of(measured: &Measured, contestant: Contestant) -> Option<String> {
    let operations = measured.programs(contestant)?;
    let time = |name: &str, operation: Operation| {
        let all = operations.iter().find(|one| one.operation == operation)?;
        // A name is cut, so that two programs may have the same.
        let same = all.programs.iter().filter(|program| program.name == name);
        let (ns, runs) =
            same.fold((0.0, 0.0), |(ns, runs), program| (ns + program.ns, runs + program.runs));
        Some((ns / 1e3, runs)).filter(|(us, _)| *us >= SHOWN_US)
    };
    let mut names: Vec<&str> =
        operations.iter().flat_map(|one| &one.programs).map(|one| one.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let mut text = format!("| {}: us (runs) |", contestant.name());
    for operation in Operation::ALL {
        let _ = write!(text, " {} |", operation.name());
    }
    let _ = write!(text, "\n|---|{}", "---|".repeat(Operation::ALL.len()));
    for name in names {
        let cells = Operation::ALL.map(|operation| time(name, operation));
        if cells.iter().all(Option::is_none) {
            continue;
        }
        let _ = write!(text, "\n| `{name}` |");
        for cell in cells {
            let cell = cell.map(|(us, runs)| format!("{} ({runs:.1})", Unit::Us.show(us)));
            let _ = write!(text, " {} |", cell.unwrap_or_default());
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use harness::overhead::{Contestant, Cost, Fact, Memory, Operation, Program, Programs};

    use super::{Measured, costs, programs};

    fn measured() -> Measured {
        let turn = |contestant, ns| {
            let operation = Operation::Mount;
            let costs = vec![Cost { operation, caller_ns: ns, node_ns: ns, process_ns: 0.0 }];
            Fact::Turn { contestant, costs, process: None }
        };
        let program = |name: &str, ns| Program { name: name.to_owned(), runs: 2.0, ns };
        let times = Fact::Programs {
            contestant: Contestant::With,
            operations: vec![Programs {
                operation: Operation::Mount,
                programs: vec![program("long", 1500.0), program("short", 1.0)],
            }],
            namespaces: 1,
            memory: Memory::default(),
        };
        let facts = vec![turn(Contestant::Without, 2000.0), turn(Contestant::With, 2100.0), times];
        Measured { facts, ..Measured::default() }
    }

    #[test]
    fn time_stands_beside_its_ratio() {
        let table = costs(&measured());
        assert!(
            table.starts_with("| | without | fragwatch | limit |\n|---|---|---|---|\n"),
            "{table}"
        );
        assert!(table.contains("\n| mount and unmount, us | 2.0 | 2.1 (1.050) |  |\n"), "{table}");
    }

    #[test]
    fn programs_that_hardly_run_are_not_shown() {
        let table = programs(&measured());
        assert!(table.contains("| `long` |  |  |  |  |  |  | 1.50 (2.0) |  |"), "{table}");
        assert!(!table.contains("short"), "{table}");
    }
}
