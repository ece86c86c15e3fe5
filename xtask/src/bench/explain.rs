//! How long `explain` takes for a large journal, beside ripgrep and grep.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use harness::{build, paths};

use super::journal;
use super::measure::{self, Contestant};
use crate::setup::apt;

/// How often each is run; the median counts.
const ROUNDS: usize = 7;
/// `explain` may take this much of ripgrep's time.
const LIMIT: f64 = 3.0;
/// What ripgrep and grep count: one of many phrases that `explain` looks for.
const PHRASE: &str = "page allocation failure";

/// Runs all programs on the journal and prints the figures; fails if explain is too slow.
pub(super) fn run() -> Result<()> {
    apt::install(&["ripgrep", "grep"])?;
    build::fragwatch(true)?;
    let log = journal::generate(&paths::target().join("bench"))?;
    let results = measure::rounds(&contestants(&log), ROUNDS)?;
    println!(
        "{} with {} incidents; median of {ROUNDS} runs each, in turn",
        log.display(),
        journal::INCIDENTS
    );
    println!("{:24} {:>9} {:>14} {:>9}", "", "seconds", "times ripgrep", "peak MiB");
    let ripgrep = results[0].seconds;
    for result in &results {
        let times = result.seconds / ripgrep;
        let memory = result.peak_kib as f64 / 1024.0;
        println!("{:24} {:9.3} {times:14.2} {memory:9.1}", result.name, result.seconds);
    }
    let times = results[2].seconds / ripgrep;
    if times > LIMIT {
        bail!(
            "explain took {times:.2} times as long as ripgrep; it may take {LIMIT} times as long"
        );
    }
    Ok(())
}

fn contestants(log: &Path) -> [Contestant; 3] {
    let new = |name, program: &Path, args: &[&str]| {
        let mut command = Command::new(program);
        command.args(args).arg(log);
        // Both are fastest when they match bytes, not characters.
        command.env("LC_ALL", "C");
        Contestant { name, command }
    };
    [
        new("rg -c", Path::new("rg"), &["-c", PHRASE]),
        new("grep -c", Path::new("grep"), &["-c", PHRASE]),
        new("fragwatch explain", &build::fragwatch_path(), &["explain"]),
    ]
}
