//! However fragwatch ends, it says why, answers the documented exit code and leaves nothing behind.

use serde_json::Value;

use crate::observed::{Observed, Scenario};

const fn endings() -> Scenario {
    Scenario::new("endings", "endings", &["trace", "--format", "json"])
}

static ENDINGS: Scenario = endings();

/// What the node told about one ending: exit code and standard error.
fn ending<'a>(run: &'a Observed, name: &str) -> (&'a str, &'a str) {
    let head = format!("{name} exited ");
    let told = run.run.stream("node").find_map(|line| line.strip_prefix(head.as_str()));
    let told = told.unwrap_or_else(|| panic!("the scenario told nothing of {name}"));
    told.split_once(':').map_or((told, ""), |(code, said)| (code, said.trim()))
}

#[track_caller]
fn check(run: &Observed, name: &str, code: &str, says: &str) {
    let (found, said) = ending(run, name);
    assert_eq!(found, code, "{name} said: {said}");
    assert!(said.contains(says), "{name}: `{says}` is not in: {said}");
    for word in ["panicked", "RUST_BACKTRACE", "stack backtrace"] {
        assert!(!said.contains(word), "{name}: {said}");
    }
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn endings_have_their_exit_codes_and_sentences() {
    have_exit_codes_and_sentences(&ENDINGS);
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn sigterm_ends_with_a_summary() {
    sigterm_has_a_summary(&ENDINGS);
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn hidden_symbols_are_said_and_stop_nothing() {
    hidden_symbols_are_said(&ENDINGS);
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn nothing_stays_attached() {
    nothing_is_left(&ENDINGS);
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn lost_events_are_counted() {
    losses_are_counted(&ENDINGS);
}

mod slow {
    use super::{Observed, Scenario, endings};

    static ON_5_10: Scenario = endings().on("5.10");
    static ON_6_1: Scenario = endings().on("6.1");
    static ON_7_2: Scenario = endings().on("7.2");

    fn judge(run: &Observed) {
        super::have_exit_codes_and_sentences(run);
        super::sigterm_has_a_summary(run);
        super::hidden_symbols_are_said(run);
        super::nothing_is_left(run);
        super::losses_are_counted(run);
    }

    #[test]
    #[ignore = "boots a VM; run by cargo xtask test --slow"]
    fn endings_are_the_same_on_5_10() {
        judge(&ON_5_10);
    }

    #[test]
    #[ignore = "boots a VM; run by cargo xtask test --slow"]
    fn endings_are_the_same_on_6_1() {
        judge(&ON_6_1);
    }

    #[test]
    #[ignore = "boots a VM; run by cargo xtask test --slow"]
    fn endings_are_the_same_on_7_2() {
        judge(&ON_7_2);
    }
}

fn have_exit_codes_and_sentences(run: &Observed) {
    run.assert_complete();
    check(run, "stdout-full", "1", "could not write the report to standard output: No space left");
    check(run, "duration", "0", "");
    check(run, "unprivileged", "2", "CAP_BPF and CAP_PERFMON");
    check(run, "no-btf", "2", "CONFIG_DEBUG_INFO_BTF");
    check(run, "reader-gone", "0", "");
    check(run, "sigterm", "0", "");
    // The kernel programs' own log.
    check(run, "debug-log", "0", "netns setup begins");
    check(run, "overrun", "0", "");
    check(run, "stuck-reader", "1", "nobody reads it");
    check(run, "hidden-symbols", "0", "");
    check(run, "sigkill", "by a signal", "");
    for quiet in ["duration", "reader-gone", "sigterm", "hidden-symbols"] {
        assert_eq!(ending(run, quiet).1, "", "{quiet} ended as asked");
    }
}

fn printed(run: &Observed, head: &str) -> Value {
    let line = run.run.stream("node").find_map(|line| line.strip_prefix(head));
    let line = line.unwrap_or_else(|| panic!("the scenario told nothing that begins `{head}`"));
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

fn sigterm_has_a_summary(run: &Observed) {
    assert_eq!(printed(run, "sigterm printed last: ")["type"], "summary");
}

fn hidden_symbols_are_said(run: &Observed) {
    let ready = printed(run, "hidden-symbols printed: ");
    let not_seen = ready["not_seen"].to_string();
    assert!(not_seen.contains("kptr_restrict"), "{not_seen}");
    let hooks = ready["hooks"].as_array().expect("`ready` lists hooks");
    assert!(hooks.iter().all(|hook| hook["state"] != "missing"), "{hooks:#?}");
}

/// The fragwatch beside the scenario stays attached; those that ended must not be.
fn nothing_is_left(run: &Observed) {
    let counts = run.run.stream("node").find_map(|line| line.strip_prefix("attached before "));
    let counts = counts.expect("the scenario counted");
    let numbers: Vec<usize> =
        counts.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    let [before, during, after] = numbers[..] else { panic!("not three counts: {counts}") };
    assert!(before > 0, "the one beside the scenario is attached: {counts}");
    assert!(during > before, "a second one attaches more: {counts}");
    assert_eq!(after, before, "{counts}");
}

/// What the ring could not hold is counted, said, and missing from the totals.
fn losses_are_counted(run: &Observed) {
    let told: Vec<Value> = run
        .run
        .stream("node")
        .filter_map(|line| line.strip_prefix("overrun printed: "))
        .map(|line| serde_json::from_str(line).expect("one object a line"))
        .collect();
    let loss = told.iter().find(|line| line["type"] == "loss").expect("the loss is told");
    assert!(loss["creation_events"].as_u64() > Some(0), "{loss}");
    assert_eq!(loss["other_events"], 0, "{loss}");
    let summary = told.last().expect("there is a summary");
    assert_eq!(summary["lost"], loss["lost"], "{summary}");
    let seen = summary["creations"]["ok"].as_u64().expect("a count");
    assert!((100..600).contains(&seen), "{summary}");
}
