//! However fragwatch ends, it says why, answers the documented exit code and leaves nothing behind.

use serde_json::Value;

use crate::observed::Scenario;

static ENDINGS: Scenario = Scenario::new("endings", "endings", &["trace", "--format", "json"]);

/// What the node told about one ending: exit code and standard error.
fn ending(name: &str) -> (&'static str, &'static str) {
    let head = format!("{name} exited ");
    let told = ENDINGS.run.stream("node").find_map(|line| line.strip_prefix(head.as_str()));
    let told = told.unwrap_or_else(|| panic!("the scenario told nothing of {name}"));
    told.split_once(':').map_or((told, ""), |(code, said)| (code, said.trim()))
}

#[track_caller]
fn check(name: &str, code: &str, says: &str) {
    let (found, said) = ending(name);
    assert_eq!(found, code, "{name} said: {said}");
    assert!(said.contains(says), "{name}: `{says}` is not in: {said}");
    for word in ["panicked", "RUST_BACKTRACE", "stack backtrace"] {
        assert!(!said.contains(word), "{name}: {said}");
    }
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn endings_have_their_exit_codes_and_sentences() {
    ENDINGS.assert_complete();
    check("stdout-full", "1", "could not write the report to standard output: No space left");
    check("duration", "0", "");
    check("unprivileged", "2", "CAP_BPF and CAP_PERFMON");
    check("no-btf", "2", "CONFIG_DEBUG_INFO_BTF");
    check("reader-gone", "0", "");
    check("sigterm", "0", "");
    // The kernel programs' own log.
    check("debug-log", "0", "netns setup begins");
    check("overrun", "0", "");
    check("stuck-reader", "1", "nobody reads it");
    check("hidden-symbols", "0", "");
    check("sigkill", "by a signal", "");
    for quiet in ["duration", "reader-gone", "sigterm", "hidden-symbols"] {
        assert_eq!(ending(quiet).1, "", "{quiet} ended as asked");
    }
}

fn printed(head: &str) -> Value {
    let line = ENDINGS.run.stream("node").find_map(|line| line.strip_prefix(head));
    let line = line.unwrap_or_else(|| panic!("the scenario told nothing that begins `{head}`"));
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn sigterm_ends_with_a_summary() {
    assert_eq!(printed("sigterm printed last: ")["type"], "summary");
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn hidden_symbols_are_said_and_stop_nothing() {
    let ready = printed("hidden-symbols printed: ");
    let not_seen = ready["not_seen"].to_string();
    assert!(not_seen.contains("kptr_restrict"), "{not_seen}");
    let hooks = ready["hooks"].as_array().expect("`ready` lists hooks");
    assert!(hooks.iter().all(|hook| hook["state"] != "missing"), "{hooks:#?}");
}

/// The fragwatch beside the scenario stays attached; those that ended must not be.
#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn nothing_stays_attached() {
    let counts = ENDINGS.run.stream("node").find_map(|line| line.strip_prefix("attached before "));
    let counts = counts.expect("the scenario counted");
    let numbers: Vec<usize> =
        counts.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    let [before, during, after] = numbers[..] else { panic!("not three counts: {counts}") };
    assert!(before > 0, "the one beside the scenario is attached: {counts}");
    assert!(during > before, "a second one attaches more: {counts}");
    assert_eq!(after, before, "{counts}");
}

/// What the ring could not hold is counted, said, and missing from the totals.
#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn lost_events_are_counted() {
    let told: Vec<Value> = ENDINGS
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
