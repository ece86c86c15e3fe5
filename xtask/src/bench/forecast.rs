//! `cargo xtask bench forecast`: how good `serve`'s forecast is on nodes that run into a limit, and on nodes that
//! only look like it. Beside it two rules that are published: more than 80 % of free memory outside
//! blocks of the huge-page order, and fewer than ten blocks of order 8 or above.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use harness::forecast::{COURSES, Course, Minute, STREAM};
use harness::kernel;
use harness::vm::{self, Request};

use crate::setup;

/// `serve` without a store, for the order that the modules of the tests need.
const SERVE: [&str; 5] = ["serve", "--store", "off", "--order", "6"];

/// The order of huge pages on x86-64.
const HUGE: usize = 9;

/// Arguments of the command.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Which kernel to boot
    #[arg(long, default_value = kernel::DEFAULT)]
    kernel: String,
    /// Only these courses, such as leak or namespaces; all of them unless given
    #[arg(long)]
    only: Vec<String>,
    /// Run this build of fragwatch, and build none
    #[arg(long)]
    program: Option<PathBuf>,
}

/// When each alarm began that did not end before the failure, and whether there was one at any time.
#[derive(Clone, Copy, Default)]
struct Alarm {
    since: Option<u32>,
    ever: bool,
}

impl Alarm {
    fn take(&mut self, minute: u32, on: bool) {
        self.ever |= on;
        self.since = if on { self.since.or(Some(minute)) } else { None };
    }
}

/// What became of a course.
struct Outcome {
    course: &'static Course,
    /// In which minute it failed.
    failed: Option<u32>,
    /// The forecast, the rule of the share, and the rule of ten blocks.
    alarms: [Alarm; 3],
}

/// Boots a machine for each course, one after the other, and prints the table.
pub(super) fn run(args: &Args) -> Result<()> {
    let series = kernel::series(&args.kernel)?;
    setup::with_kernel(series)?;
    let wanted = |course: &&Course| {
        let name = course.scenario.trim_start_matches("forecast-");
        args.only.is_empty() || args.only.iter().any(|only| only == name)
    };
    let courses: Vec<&'static Course> = COURSES.iter().filter(wanted).collect();
    if courses.is_empty() {
        bail!("there is no such course: {}", args.only.join(", "));
    }
    let mut outcomes = Vec::new();
    for course in courses {
        let mut request = Request::new(series.name, course.scenario);
        request.counted = true;
        request.program.clone_from(&args.program);
        request.args = SERVE.map(str::to_owned).to_vec();
        let run = vm::run(&request, &mut |event| vm::show_progress(&event))?;
        let minutes: Result<Vec<Minute>, _> =
            run.stream(STREAM).map(serde_json::from_str).collect();
        outcomes.push(judge(course, &minutes.context("the guest sent a malformed minute")?));
    }
    println!("{}", table(&outcomes));
    for outcome in &outcomes {
        if outcome.course.fails != outcome.failed.is_some() {
            bail!("{}: the node did not do what it should", outcome.course.what);
        }
    }
    Ok(())
}

fn judge(course: &'static Course, minutes: &[Minute]) -> Outcome {
    let mut alarms = [Alarm::default(); 3];
    for minute in minutes {
        let on = [!minute.forecast.is_empty(), rule_of_share(minute), rule_of_ten(minute)];
        for (alarm, on) in alarms.iter_mut().zip(on) {
            alarm.take(minute.minute, on);
        }
    }
    let failed = minutes.iter().find(|minute| minute.failed).map(|minute| minute.minute);
    Outcome { course, failed, alarms }
}

fn pages_from(minute: &Minute, order: usize) -> u64 {
    minute.blocks.iter().enumerate().skip(order).map(|(order, count)| count << order).sum()
}

fn rule_of_share(minute: &Minute) -> bool {
    let free = pages_from(minute, 0);
    (free - pages_from(minute, HUGE)) as f64 > 0.8 * free as f64
}

fn rule_of_ten(minute: &Minute) -> bool {
    pages_from(minute, 8) >> 8 < 10
}

fn table(outcomes: &[Outcome]) -> String {
    let mut table =
        "| node | fails | forecast | 80 % rule | ten-block rule |\n|---|---|---|---|---|"
            .to_owned();
    for Outcome { course, failed, alarms } in outcomes {
        let fails = failed.map_or("never".to_owned(), |minute| format!("after {minute} min"));
        let alarms = alarms.map(|alarm| match (failed, alarm.since) {
            (Some(failed), Some(since)) => format!("{} min before", failed - since),
            (Some(_), None) => "missed".to_owned(),
            (None, _) if alarm.ever => "false alarm".to_owned(),
            (None, _) => "quiet".to_owned(),
        });
        // Writing to a string can't fail.
        let _ = write!(table, "\n| {} | {fails} | {} |", course.what, alarms.join(" | "));
    }
    let scores = [0, 1, 2].map(|at| score(outcomes, at));
    let row = |name: &str, value: fn(&(f64, f64)) -> f64| {
        // Of nothing there is no part.
        let written =
            |part: f64| if part.is_nan() { "–".to_owned() } else { format!("{part:.2}") };
        let values = scores.each_ref().map(|score| written(value(score)));
        format!("\n| **{name}** | | {} |", values.join(" | "))
    };
    table + &row("precision", |score| score.0) + &row("recall", |score| score.1)
}

/// Precision and recall of one of the three; not a number where there was no alarm, or no failure.
fn score(outcomes: &[Outcome], at: usize) -> (f64, f64) {
    let count = |is: fn(&Outcome, Alarm) -> bool| {
        outcomes.iter().filter(|outcome| is(outcome, outcome.alarms[at])).count() as f64
    };
    let right = count(|outcome, alarm| outcome.failed.is_some() && alarm.since.is_some());
    let wrong = count(|outcome, alarm| outcome.failed.is_none() && alarm.ever);
    let failed = count(|outcome, _| outcome.failed.is_some());
    (right / (right + wrong), right / failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(minute: u32, forecast: bool, blocks: &[u64]) -> Minute {
        let forecast = forecast.then(|| ("order-6".to_owned(), 60.0)).into_iter().collect();
        Minute { minute, failed: minute == 9, forecast, blocks: blocks.to_vec() }
    }

    #[test]
    fn an_alarm_that_ended_before_the_failure_is_none() {
        let blocks = [100, 0, 0, 0, 0, 0, 0, 0, 20, 100];
        let minutes: Vec<Minute> =
            (0..10).map(|at| minute(at, at == 2 || at >= 5, &blocks)).collect();
        let outcome = judge(&COURSES[0], &minutes);
        assert_eq!((outcome.failed, outcome.alarms[0].since), (Some(9), Some(5)));
        assert!(!outcome.alarms[1].ever && !outcome.alarms[2].ever);
        assert!(table(&[outcome]).contains("| after 9 min | 4 min before | missed | missed |"));
    }

    #[test]
    fn without_a_failure_or_an_alarm_there_is_no_ratio() {
        let large = [0, 0, 0, 0, 0, 0, 0, 0, 20, 100];
        let minutes: Vec<Minute> = (0..9).map(|at| minute(at, false, &large)).collect();
        let table = table(&[judge(&COURSES[0], &minutes)]);
        assert!(table.contains("| **precision** | | – | – | – |"), "{table}");
        assert!(table.contains("| **recall** | | – | – | – |"), "{table}");
    }

    #[test]
    fn rules_are_as_published() {
        assert!(
            rule_of_share(&minute(0, false, &[1000])) && rule_of_ten(&minute(0, false, &[1000]))
        );
        let large = [0, 0, 0, 0, 0, 0, 0, 0, 0, 5];
        assert!(!rule_of_share(&minute(0, false, &large)));
        assert!(!rule_of_ten(&minute(0, false, &large)), "five of order 9 are ten of order 8");
    }
}
