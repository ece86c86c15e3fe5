//! Twenty creations at once on two CPUs: each is reported or counted as missed.

use jiff::Timestamp;
use serde_json::Value;

use crate::observed::{
    Observed, TRACE_ALL, TRACE_ALL_WITH_KPROBES, assert_kprobes_only, assert_trampolines,
};
use crate::plan::{Kernels, Plan, facts, is_default};

const THREADS: usize = 20;

pub(crate) fn plans() -> Vec<Plan> {
    // Alone, as `flood`, and for the same reason: nothing may be missed.
    vec![
        Plan::new("burst", TRACE_ALL)
            .on(Kernels::DefaultFirst)
            .alone()
            .facts(facts![all_creations_are_reported, misses_are_counted])
            .facts(facts![some_hook_has_a_trampoline])
            // Elsewhere some hook has none, as that of slab caches on 5.10 and 6.1, or a kernel is
            // preempted within a trampoline's program, which it then doesn't run a second time, as
            // 7.2.
            .facts_on(is_default, facts![nothing_is_missed]),
        Plan::new("burst", TRACE_ALL_WITH_KPROBES)
            .named("burst-kprobe")
            .on(Kernels::DefaultFirst)
            .alone()
            .facts(facts![kprobes_alone_are_attached, missed_returns_are_counted]),
    ]
}

/// When a creation began and ended, in microseconds.
fn span(creation: &Value) -> (i64, i64) {
    let ended: Timestamp = creation["time"]
        .as_str()
        .and_then(|time| time.parse().ok())
        .expect("a creation has a time");
    let took = creation["duration_us"].as_i64().expect("a creation has a duration");
    (ended.as_microsecond() - took, ended.as_microsecond())
}

/// How many of them were under way at one moment.
fn at_once(creations: &[&Value]) -> usize {
    let spans: Vec<(i64, i64)> = creations.iter().map(|creation| span(creation)).collect();
    let inside =
        |at: i64| spans.iter().filter(move |(began, ended)| (*began..*ended).contains(&at));
    spans.iter().map(|(began, _)| inside(*began).count()).max().unwrap_or(0)
}

/// Twenty, no more: the twenty threads that unshared something else are no creations.
fn all_creations_are_reported(run: &Observed) {
    assert_eq!(run.run.exit_code, 0);
    let made = run.creations_that("ok");
    assert_eq!(made.len(), THREADS, "{made:#?}");
    assert_eq!(run.creations().len(), THREADS, "{:#?}", run.creations());
    let mut threads: Vec<u64> = made.iter().filter_map(|one| one["tid"].as_u64()).collect();
    threads.sort_unstable();
    threads.dedup();
    assert_eq!(threads.len(), THREADS, "each was made by a thread of its own: {threads:?}");
    // More than a kretprobe has room for, or this test would show nothing.
    assert!(at_once(&made) > 10, "{}", at_once(&made));
}

/// Runs and returns that a hook missed are counted; beyond them nothing is lost.
fn misses_are_counted(run: &Observed) {
    assert_eq!(run.summary()["lost"], missed(run), "{:#?}", loss(run));
}

fn nothing_is_missed(run: &Observed) {
    run.assert_complete();
}

fn some_hook_has_a_trampoline(run: &Observed) {
    assert_trampolines(run);
}

fn kprobes_alone_are_attached(run: &Observed) {
    assert_kprobes_only(run);
}

/// A kretprobe follows ten or fewer at once, so some are missed. Creations that are not reported are
/// no more than what was counted, and none is reported as failed.
fn missed_returns_are_counted(run: &Observed) {
    assert_eq!(run.run.exit_code, 0);
    misses_are_counted(run);
    let missed = missed(run);
    assert!(missed > 0, "{}", run.summary());
    let made = run.creations_that("ok").len();
    assert_eq!(run.creations().len(), made, "{:#?}", run.creations());
    assert!(made <= THREADS && made as u64 + missed >= THREADS as u64, "{}", run.summary());
}

fn missed(run: &Observed) -> u64 {
    let loss = loss(run);
    let count = |name: &str| loss.map_or(0, |loss| loss[name].as_u64().expect("a count"));
    count("unseen_returns") + count("missed_runs")
}

fn loss(run: &Observed) -> Option<&Value> {
    run.json.iter().rfind(|line| line["type"] == "loss")
}
