//! Every scenario on every kernel: the expected cause and the reported one.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use comfy_table::Table;

use crate::judge::cause::{Boot, Given, Verdicts};
use crate::kernel::Series;
use crate::scenario::{self, SCENARIOS, Scenario, Truth};
use crate::vm::{self, Interrupted, Request};

/// At most one in so many may be undetermined, or not be reported.
const UNDETERMINED_ONE_IN: usize = 20;
const UNDETERMINED: &str = "undetermined";
/// What the row of the controls expects.
const NOTHING: &str = "no failure";

/// A row of the table.
struct Row {
    scenario: &'static Scenario,
    /// None for the controls.
    fault: Option<&'static str>,
    expected: &'static str,
    /// By kernel.
    cells: BTreeMap<&'static str, Cell>,
}

/// The result of a scenario on a kernel.
#[derive(Default)]
struct Cell {
    boots: u32,
    /// Boots with nothing else than what was expected.
    right: u32,
    /// What was reported, and how often.
    given: BTreeMap<Given, u32>,
}

/// Counts over everything. A fault of a boot counts once, however many creations met it, and by the
/// worst verdict on them.
#[derive(Default)]
struct Totals {
    faults: usize,
    right: usize,
    wrong: usize,
    wrong_with_confidence: usize,
    undetermined: usize,
    missing: usize,
    controls_failed: usize,
    boots_failed: usize,
}

/// A scenario that is about causes.
pub type Wanted = (&'static Scenario, Truth);

/// Runs each scenario so many times on each kernel where it can happen (slow ones once), prints a
/// table and what deviates from the truth. True if the aims are met.
pub fn run(wanted: &[Wanted], kernels: &[&'static Series], times: u32) -> Result<bool> {
    let (mut rows, mut totals, mut deviations) = (Vec::new(), Totals::default(), Vec::new());
    for &(scenario, truth) in wanted {
        let mut of_scenario = rows_of(scenario, truth);
        for series in kernels.iter().filter(|series| scenario.can_run(series, scenario.cgroups)) {
            let times = if truth.slow { 1 } else { times };
            for time in 1..=times {
                eprintln!("==> {} on kernel {}, {time} of {times}", scenario.name, series.name);
                let place = format!("{} on {}", scenario.name, series.name);
                match boot(series, scenario) {
                    Ok(boot) => {
                        for row in &mut of_scenario {
                            let verdicts =
                                row.fault.map_or_else(|| boot.controls(), |name| boot.fault(name));
                            totals.add(row, &verdicts);
                            println!("{place}: {}: {}", row.name(), summary(&verdicts));
                            let deviation = deviation(row, &verdicts);
                            deviations.extend(deviation.map(|what| format!("{place}: {what}")));
                            row.cells.entry(series.name).or_default().add(row.expected, &verdicts);
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
    println!("{}", table(&rows, kernels));
    for deviation in &deviations {
        println!("{deviation}");
    }
    println!("{}", totals.summary());
    Ok(totals.are_good())
}

/// The scenarios of these names, which must be about causes; all such scenarios if there are no
/// names, but the slow ones only if `slow` is set.
pub fn wanted(names: &[String], slow: bool) -> Result<Vec<Wanted>> {
    if names.is_empty() {
        let with_truth = SCENARIOS.iter().filter_map(|scenario| Some((scenario, scenario.truth?)));
        return Ok(with_truth.filter(|(_, truth)| slow || !truth.slow).collect());
    }
    let find = |name: &String| {
        let scenario = scenario::find(name)?;
        match scenario.truth {
            Some(truth) => Ok((scenario, truth)),
            None => bail!("scenario {name} is about no cause"),
        }
    };
    names.iter().map(find).collect()
}

fn boot(series: &Series, scenario: &Scenario) -> Result<Boot> {
    let mut request = Request::new(series.name, scenario.name);
    let args = ["trace", "--all", "--format", "json"];
    request.args = args.iter().chain(scenario.args).map(|arg| (*arg).to_owned()).collect();
    request.results = format!("truth-{}", scenario.name);
    let run = vm::run(&request, &mut |event| vm::show_progress(&event))?;
    if run.exit_code != 0 {
        bail!("fragwatch ended with exit code {}; see {}", run.exit_code, run.directory.display());
    }
    Boot::of(&run)
}

fn rows_of(scenario: &'static Scenario, truth: Truth) -> Vec<Row> {
    let row = |fault, expected| Row { scenario, fault, expected, cells: BTreeMap::new() };
    let faults = truth.faults.iter().map(|(fault, cause)| row(Some(*fault), *cause));
    faults.chain([row(None, NOTHING)]).collect()
}

impl Row {
    fn name(&self) -> String {
        self.fault.unwrap_or("controls").to_owned()
    }
}

impl Cell {
    fn add(&mut self, expected: &str, verdicts: &Verdicts) {
        self.boots += 1;
        self.right += u32::from(is_right(expected, verdicts));
        for given in &verdicts.given {
            *self.given.entry(given.clone()).or_default() += 1;
        }
    }

    fn shown(&self) -> String {
        let given: Vec<String> = self.given.keys().map(Given::to_string).collect();
        format!("{}/{} {}", self.right, self.boots, given.join(", ")).trim_end().to_owned()
    }
}

fn is_right(expected: &str, verdicts: &Verdicts) -> bool {
    verdicts.missing == 0 && verdicts.given.iter().all(|given| given.cause == expected)
}

fn deviation(row: &Row, verdicts: &Verdicts) -> Option<String> {
    (!is_right(row.expected, verdicts)).then(|| {
        format!("{}: expected {}, reported {}", row.name(), row.expected, summary(verdicts))
    })
}

fn summary(verdicts: &Verdicts) -> String {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for given in &verdicts.given {
        *counts.entry(given.to_string()).or_default() += 1;
    }
    let mut parts: Vec<String> =
        counts.iter().map(|(given, count)| format!("{count} {given}")).collect();
    if verdicts.missing > 0 {
        parts.push(format!("{} not reported", verdicts.missing));
    }
    if parts.is_empty() { NOTHING.to_owned() } else { parts.join(", ") }
}

impl Totals {
    fn add(&mut self, row: &Row, verdicts: &Verdicts) {
        if row.fault.is_none() {
            self.controls_failed += verdicts.given.len();
            return;
        }
        self.faults += 1;
        let wrong = |given: &&Given| given.cause != row.expected && given.cause != UNDETERMINED;
        if let Some(wrong) =
            verdicts.given.iter().filter(wrong).max_by_key(|g| g.confidence == "high")
        {
            self.wrong += 1;
            self.wrong_with_confidence += usize::from(wrong.confidence == "high");
        } else if verdicts.missing > 0 {
            self.missing += 1;
        } else if verdicts.given.iter().any(|given| given.cause == UNDETERMINED) {
            self.undetermined += 1;
        } else {
            self.right += 1;
        }
    }

    fn are_good(&self) -> bool {
        self.wrong_with_confidence == 0
            && (self.undetermined + self.missing) * UNDETERMINED_ONE_IN <= self.faults
            && self.controls_failed == 0
            && self.boots_failed == 0
    }

    fn summary(&self) -> String {
        format!(
            "{}: {} right, {} wrong ({} of them with confidence high; aim 0), {} undetermined \
             and {} not all reported (aim: one in {UNDETERMINED_ONE_IN} at most); {} reported as \
             failed (aim 0); {} failed",
            counted(self.faults, "fault"),
            self.right,
            self.wrong,
            self.wrong_with_confidence,
            self.undetermined,
            self.missing,
            counted(self.controls_failed, "control"),
            counted(self.boots_failed, "boot"),
        )
    }
}

/// A number of things: `1 fault`, `2 faults`.
fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

fn table(rows: &[Row], kernels: &[&'static Series]) -> Table {
    let mut table = super::table();
    let names = kernels.iter().map(|series| series.name);
    table.set_header(["scenario", "fault", "expected"].into_iter().chain(names));
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
