//! How long `explain` takes for a large journal, beside ripgrep and grep; and for a log that is made
//! to be slow.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use fragwatch_klog::read::trigger::TRIGGERS;
use harness::{build, paths};

use super::measure::{self, Contestant, Measured};
use super::{hostile, journal};
use crate::setup::apt;

/// How often each is run; the median counts.
const ROUNDS: usize = 7;
/// `explain` may take this much of the time that ripgrep takes to look for the same phrases.
const LIMIT: f64 = 1.0;
/// A log of failures alone may take this much longer behind a beginning that has to be learnt.
const HOSTILE_LIMIT: f64 = 2.0;

/// Arguments of the command.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Measure these logs too
    #[arg(long, value_name = "FILE")]
    logs: Vec<PathBuf>,
}

/// Runs all programs on the journal and prints the figures; fails if explain is too slow.
pub(super) fn run(args: &Args) -> Result<()> {
    apt::install(&["ripgrep", "grep"])?;
    build::fragwatch(true)?;
    let directory = paths::target().join("bench");
    let journal = journal::generate(&directory)?;
    let phrases = directory.join("phrases");
    fs::write(&phrases, TRIGGERS.join("\n") + "\n")
        .with_context(|| format!("can't write {}", phrases.display()))?;
    for log in &args.logs {
        println!("{}", log.display());
        table(&contestants(log, &phrases))?;
    }
    let (known, unknown) = hostile::generate(&directory)?;
    println!("a log of failures alone, behind a known beginning and behind one to learn");
    let results = table(&[explain("known beginning", &known), explain("to learn", &unknown)])?;
    let slower = results[1].seconds / results[0].seconds;
    println!("{} with {} incidents", journal.display(), journal::INCIDENTS);
    let results = table(&contestants(&journal, &phrases))?;
    let times = results[2].seconds / results[0].seconds;
    if times > LIMIT {
        bail!(
            "explain took {times:.2} times as long as ripgrep; it may take {LIMIT} times as long"
        );
    }
    if slower > HOSTILE_LIMIT {
        bail!("a beginning to learn took {slower:.2} times as long; it may take {HOSTILE_LIMIT}");
    }
    Ok(())
}

/// Runs these in turn and prints the figures, compared with the first.
fn table(contestants: &[Contestant]) -> Result<Vec<Measured>> {
    let results = measure::rounds(contestants, ROUNDS)?;
    println!("{:24} {:>9} {:>14} {:>9}", "", "seconds", "times the first", "peak MiB");
    for result in &results {
        let times = result.seconds / results[0].seconds;
        let memory = result.peak_kib as f64 / 1024.0;
        println!("{:24} {:9.3} {times:14.2} {memory:9.1}", result.name, result.seconds);
    }
    Ok(results)
}

fn explain(name: &'static str, log: &Path) -> Contestant {
    let mut command = Command::new(build::fragwatch_path());
    command.arg("explain").arg(log);
    Contestant { name, command }
}

/// ripgrep and grep count the lines with any of the phrases that `explain` looks for.
fn contestants(log: &Path, phrases: &Path) -> [Contestant; 3] {
    let search = |name, program: &str| {
        let mut command = Command::new(program);
        command.arg("-cF").arg("-f").arg(phrases).arg(log);
        // Both are fastest when they match bytes, not characters.
        command.env("LC_ALL", "C");
        Contestant { name, command }
    };
    [search("rg -cF -f", "rg"), search("grep -cF -f", "grep"), explain("fragwatch explain", log)]
}
