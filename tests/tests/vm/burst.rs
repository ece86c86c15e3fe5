//! Twenty creations at once on two CPUs: each is told, or that it was missed is.

use jiff::Timestamp;
use serde_json::Value;

use crate::observed::{Observed, Scenario, via_trampoline};

const THREADS: usize = 20;

const fn burst() -> Scenario {
    Scenario::new("burst", "burst", &["trace", "--all", "--format", "json"])
}

const fn burst_with_kprobes() -> Scenario {
    let args = &["trace", "--all", "--format", "json", "--attach", "kprobe"];
    Scenario::new("burst", "burst-kprobe", args)
}

static BURST: Scenario = burst();
static WITH_KPROBES: Scenario = burst_with_kprobes();

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

/// Twenty, no more: the twenty threads that unshared something else count for nothing.
fn all_are_told(run: &Observed) {
    run.assert_complete();
    assert!(run.hooks().iter().any(via_trampoline), "{:#?}", run.hooks());
    let told = run.creations_that("ok");
    assert_eq!(told.len(), THREADS, "{told:#?}");
    assert_eq!(run.creations().len(), THREADS, "{:#?}", run.creations());
    let mut threads: Vec<u64> = told.iter().filter_map(|one| one["tid"].as_u64()).collect();
    threads.sort_unstable();
    threads.dedup();
    assert_eq!(threads.len(), THREADS, "each was made by a thread of its own: {threads:?}");
    // More than a kretprobe has room for, or this test would show nothing.
    assert!(at_once(&told) > 10, "{}", at_once(&told));
}

/// A kretprobe follows ten or fewer at once. All twenty are told all the same, and each return that
/// was missed is counted.
fn missed_returns_are_counted(run: &Observed) {
    assert_eq!(run.run.exit_code, 0);
    assert!(!run.hooks().iter().any(via_trampoline), "{:#?}", run.hooks());
    let told = run.creations_that("ok");
    assert_eq!(told.len(), THREADS, "{told:#?}");
    assert_eq!(run.creations().len(), THREADS, "{:#?}", run.creations());
    let loss = run.json.iter().rfind(|line| line["type"] == "loss");
    let loss = loss.expect("twenty at once are more than a kretprobe can follow");
    let missed = loss["unseen_returns"].as_u64().expect("a count");
    assert!((1..THREADS as u64).contains(&missed), "{loss}");
    assert_eq!(run.summary()["lost"], missed, "nothing else was lost: {loss}");
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn burst_is_told_completely() {
    all_are_told(&BURST);
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn burst_with_kprobes_counts_what_it_missed() {
    missed_returns_are_counted(&WITH_KPROBES);
}

mod slow {
    use super::{Scenario, all_are_told, burst, burst_with_kprobes, missed_returns_are_counted};

    static ON_5_10: Scenario = burst().on("5.10");
    static ON_6_1: Scenario = burst().on("6.1");
    static ON_7_2: Scenario = burst().on("7.2");
    static ON_5_10_WITH_KPROBES: Scenario = burst_with_kprobes().on("5.10");
    static ON_7_2_WITH_KPROBES: Scenario = burst_with_kprobes().on("7.2");

    #[test]
    #[ignore = "boots a VM; run by cargo xtask test --slow"]
    fn burst_is_told_completely_on_5_10() {
        all_are_told(&ON_5_10);
    }

    #[test]
    #[ignore = "boots a VM; run by cargo xtask test --slow"]
    fn burst_is_told_completely_on_6_1() {
        all_are_told(&ON_6_1);
    }

    #[test]
    #[ignore = "boots a VM; run by cargo xtask test --slow"]
    fn burst_is_told_completely_on_7_2() {
        all_are_told(&ON_7_2);
    }

    #[test]
    #[ignore = "boots a VM; run by cargo xtask test --slow"]
    fn burst_with_kprobes_counts_what_it_missed_on_5_10() {
        missed_returns_are_counted(&ON_5_10_WITH_KPROBES);
    }

    #[test]
    #[ignore = "boots a VM; run by cargo xtask test --slow"]
    fn burst_with_kprobes_counts_what_it_missed_on_7_2() {
        missed_returns_are_counted(&ON_7_2_WITH_KPROBES);
    }
}
