//! `cargo xtask truth`: every scenario on every kernel, expected cause against given cause.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Result, bail};
use comfy_table::{ContentArrangement, Table, presets};

use super::Args;
use super::judge::{Boot, Given, Part};
use crate::setup;
use crate::setup::kernel::{self, Series};
use crate::vm::scenario::{self, SCENARIOS, Scenario, Truth};
use crate::vm::{self, Interrupted, Request};

/// At most one in so many may be undetermined, or not be told at all.
const UNDETERMINED_ONE_IN: usize = 20;
const UNDETERMINED: &str = "undetermined";
/// What the row of the twins expects.
const NOTHING: &str = "no failure";

/// A row of the table.
struct Row {
    scenario: &'static Scenario,
    /// The trouble; none for the twins.
    part: Option<&'static str>,
    expected: &'static str,
    /// One for each kernel that was asked for.
    cells: BTreeMap<&'static str, Cell>,
}

/// What a scenario came to on a kernel.
#[derive(Default)]
struct Cell {
    boots: u32,
    /// Boots with nothing else than what was expected.
    right: u32,
    /// What was given, and how often.
    given: BTreeMap<Given, u32>,
}

/// Counts over everything. A trouble of a boot counts once, however many creations met it, and by the
/// worst that was said of them.
#[derive(Default)]
struct Totals {
    troubles: usize,
    right: usize,
    wrong: usize,
    wrong_with_confidence: usize,
    undetermined: usize,
    missing: usize,
    twins_accused: usize,
    boots_failed: usize,
}

/// Runs them, prints a table and what deviates, and fails if the aims are missed.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let kernels: Vec<&'static Series> = if args.kernel.is_empty() {
        kernel::SERIES.iter().collect()
    } else {
        args.kernel.iter().map(|name| kernel::series(name)).collect::<Result<_>>()?
    };
    let wanted = wanted(args)?;
    setup::run()?;
    let (mut rows, mut totals, mut deviations) = (Vec::new(), Totals::default(), Vec::new());
    for (scenario, truth) in wanted {
        let mut of_scenario = rows_of(scenario, truth);
        for series in &kernels {
            if !truth.kernels.is_empty() && !truth.kernels.contains(&series.name) {
                continue;
            }
            let times = if truth.slow { 1 } else { args.times };
            for time in 1..=times {
                eprintln!("==> {} on kernel {}, {time} of {times}", scenario.name, series.name);
                let place = format!("{} on {}", scenario.name, series.name);
                match boot(series, scenario) {
                    Ok(boot) => {
                        for row in &mut of_scenario {
                            let part =
                                row.part.map_or_else(|| boot.twins(), |name| boot.part(name));
                            totals.add(row, &part);
                            println!("{place}: {}: {}", row.name(), part_in_words(&part));
                            deviations.extend(
                                deviation(row, &part).map(|what| format!("{place}: {what}")),
                            );
                            row.cells.entry(series.name).or_default().add(row.expected, &part);
                        }
                    }
                    Err(error) if error.is::<Interrupted>() => return Err(error),
                    Err(error) => {
                        totals.boots_failed += 1;
                        deviations.push(format!("{place}: {error:#}"));
                        for row in &mut of_scenario {
                            row.cells.entry(series.name).or_default().boots += 1;
                        }
                    }
                }
            }
        }
        rows.extend(of_scenario);
    }
    println!("{}", table(&rows, &kernels));
    for deviation in &deviations {
        println!("{deviation}");
    }
    println!("{}", totals.in_words());
    Ok(ExitCode::from(u8::from(!totals.are_good())))
}

/// The scenarios that were asked for.
fn wanted(args: &Args) -> Result<Vec<(&'static Scenario, Truth)>> {
    if args.scenario.is_empty() {
        let with_truth = SCENARIOS.iter().filter_map(|scenario| Some((scenario, scenario.truth?)));
        return Ok(with_truth.filter(|(_, truth)| args.slow || !truth.slow).collect());
    }
    let find = |name: &String| {
        let scenario = scenario::find(name)?;
        match scenario.truth {
            Some(truth) => Ok((scenario, truth)),
            None => bail!("scenario {name} is about no cause"),
        }
    };
    args.scenario.iter().map(find).collect()
}

fn boot(series: &Series, scenario: &Scenario) -> Result<Boot> {
    let mut request = Request::new(series.name, scenario.name);
    request.args = ["trace", "--all", "--format", "json"].map(str::to_owned).to_vec();
    request.results = format!("truth-{}", scenario.name);
    let run = vm::run(&request, &mut |event| vm::show_progress(&event))?;
    if run.exit_code != 0 {
        bail!("fragwatch ended with exit code {}; see {}", run.exit_code, run.directory.display());
    }
    Boot::of(&run)
}

fn rows_of(scenario: &'static Scenario, truth: Truth) -> Vec<Row> {
    let row = |part, expected| Row { scenario, part, expected, cells: BTreeMap::new() };
    let parts = truth.parts.iter().map(|(part, cause)| row(Some(*part), *cause));
    parts.chain([row(None, NOTHING)]).collect()
}

impl Row {
    fn name(&self) -> String {
        self.part.unwrap_or("twins").to_owned()
    }
}

impl Cell {
    fn add(&mut self, expected: &str, part: &Part) {
        self.boots += 1;
        self.right += u32::from(is_right(expected, part));
        for given in &part.given {
            *self.given.entry(given.clone()).or_default() += 1;
        }
    }

    fn shown(&self) -> String {
        let given: Vec<String> = self.given.keys().map(Given::to_string).collect();
        format!("{}/{} {}", self.right, self.boots, given.join(", ")).trim_end().to_owned()
    }
}

fn is_right(expected: &str, part: &Part) -> bool {
    part.missing == 0 && part.given.iter().all(|given| given.cause == expected)
}

fn deviation(row: &Row, part: &Part) -> Option<String> {
    (!is_right(row.expected, part)).then(|| {
        format!("{}: expected {}, given {}", row.name(), row.expected, part_in_words(part))
    })
}

fn part_in_words(part: &Part) -> String {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for given in &part.given {
        *counts.entry(given.to_string()).or_default() += 1;
    }
    let mut words: Vec<String> =
        counts.iter().map(|(given, count)| format!("{count} {given}")).collect();
    if part.missing > 0 {
        words.push(format!("{} not told", part.missing));
    }
    if words.is_empty() { NOTHING.to_owned() } else { words.join(", ") }
}

impl Totals {
    fn add(&mut self, row: &Row, part: &Part) {
        if row.part.is_none() {
            self.twins_accused += part.given.len();
            return;
        }
        self.troubles += 1;
        let wrong = |given: &&Given| given.cause != row.expected && given.cause != UNDETERMINED;
        if let Some(wrong) = part.given.iter().filter(wrong).max_by_key(|g| g.confidence == "high")
        {
            self.wrong += 1;
            self.wrong_with_confidence += usize::from(wrong.confidence == "high");
        } else if part.missing > 0 {
            self.missing += 1;
        } else if part.given.iter().any(|given| given.cause == UNDETERMINED) {
            self.undetermined += 1;
        } else {
            self.right += 1;
        }
    }

    fn are_good(&self) -> bool {
        self.wrong_with_confidence == 0
            && (self.undetermined + self.missing) * UNDETERMINED_ONE_IN <= self.troubles
            && self.twins_accused == 0
            && self.boots_failed == 0
    }

    fn in_words(&self) -> String {
        format!(
            "{} troubles: {} right, {} wrong ({} of them with confidence high; aim 0), {} \
             undetermined and {} not told of all (aim: one in {UNDETERMINED_ONE_IN} at most); {} twins accused \
             (aim 0); {} boots failed",
            self.troubles,
            self.right,
            self.wrong,
            self.wrong_with_confidence,
            self.undetermined,
            self.missing,
            self.twins_accused,
            self.boots_failed,
        )
    }
}

fn table(rows: &[Row], kernels: &[&'static Series]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Disabled);
    let names = kernels.iter().map(|series| series.name);
    table.set_header(["scenario", "trouble", "expected"].into_iter().chain(names));
    for row in rows {
        let cells = kernels
            .iter()
            .map(|series| row.cells.get(series.name).map_or_else(|| "–".to_owned(), Cell::shown));
        let head = [row.scenario.name.to_owned(), row.name(), row.expected.to_owned()];
        table.add_row(head.into_iter().chain(cells));
    }
    table
}

#[cfg(test)]
mod tests;
