//! Each way in which fragwatch ends has the documented exit code and error, and leaves nothing behind.

use harness::kernel::Series;
use serde_json::Value;

use crate::observed::{Observed, TRACE};
use crate::plan::{Kernels, Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    let facts = facts![
        endings_have_exit_codes_and_errors,
        sigterm_ends_with_a_summary,
        nothing_stays_attached,
        lost_events_are_counted,
    ];
    vec![
        Plan::new("endings", TRACE)
            .on(Kernels::DefaultFirst)
            .facts(facts)
            .facts_on(names_come_from_kallsyms, facts![hidden_symbols_are_reported])
            .facts_on(
                |series| !names_come_from_kallsyms(series),
                facts![hidden_symbols_hide_nothing],
            ),
    ]
}

/// Exit code and standard error of one ending.
fn ending<'a>(run: &'a Observed, name: &str) -> (&'a str, &'a str) {
    let head = format!("{name} exited ");
    let line = run.run.stream("node").find_map(|line| line.strip_prefix(head.as_str()));
    let line = line.unwrap_or_else(|| panic!("the guest sent no exit code of {name}"));
    line.split_once(':').map_or((line, ""), |(code, stderr)| (code, stderr.trim()))
}

#[track_caller]
fn check(run: &Observed, name: &str, code: &str, error: &str) {
    let (found, stderr) = ending(run, name);
    assert_eq!(found, code, "{name}: {stderr}");
    assert!(stderr.contains(error), "{name}: `{error}` is not in: {stderr}");
    for word in ["panicked", "RUST_BACKTRACE", "stack backtrace"] {
        assert!(!stderr.contains(word), "{name}: {stderr}");
    }
}

fn endings_have_exit_codes_and_errors(run: &Observed) {
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
    check(run, "stuck-reader", "1", "the report");
    check(run, "hidden-symbols", "0", "");
    check(run, "sigkill", "by a signal", "");
    for quiet in ["duration", "reader-gone", "sigterm", "hidden-symbols"] {
        assert_eq!(ending(run, quiet).1, "", "{quiet} ended as asked");
    }
}

fn printed(run: &Observed, head: &str) -> Value {
    let line = run.run.stream("node").find_map(|line| line.strip_prefix(head));
    let line = line.unwrap_or_else(|| panic!("the guest sent no line that begins with `{head}`"));
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

fn sigterm_ends_with_a_summary(run: &Observed) {
    assert_eq!(printed(run, "sigterm printed last: ")["type"], "summary");
}

/// From 5.13 on the kernel itself writes the names of functions, which `kptr_restrict` doesn't concern.
fn names_come_from_kallsyms(series: &Series) -> bool {
    series.is_before(5, 13)
}

fn hidden_symbols_hide_nothing(run: &Observed) {
    let ready = printed(run, "hidden-symbols printed: ");
    assert_eq!(ready["not_seen"], serde_json::json!([]));
}

fn hidden_symbols_are_reported(run: &Observed) {
    let ready = printed(run, "hidden-symbols printed: ");
    let not_seen = ready["not_seen"].to_string();
    assert!(not_seen.contains("kptr_restrict"), "{not_seen}");
    let hooks = ready["hooks"].as_array().expect("`ready` lists hooks");
    assert!(hooks.iter().all(|hook| hook["state"] != "missing"), "{hooks:#?}");
}

/// The fragwatch beside the scenario stays attached; those that ended must not be.
fn nothing_stays_attached(run: &Observed) {
    let counts = run.run.stream("node").find_map(|line| line.strip_prefix("attached before "));
    let counts = counts.expect("the scenario counted");
    let numbers: Vec<usize> =
        counts.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    let [before, during, after] = numbers[..] else { panic!("not three counts: {counts}") };
    assert!(before > 0, "the one beside the scenario is attached: {counts}");
    assert!(during > before, "a second one attaches more: {counts}");
    assert_eq!(after, before, "{counts}");
}

/// Events that the ring could not hold are counted, reported, and missing from the totals.
fn lost_events_are_counted(run: &Observed) {
    let lines: Vec<Value> = run
        .run
        .stream("node")
        .filter_map(|line| line.strip_prefix("overrun printed: "))
        .map(|line| serde_json::from_str(line).expect("one object a line"))
        .collect();
    let loss = lines.iter().find(|line| line["type"] == "loss").expect("there is a loss");
    assert!(loss["creation_events"].as_u64() > Some(0), "{loss}");
    assert_eq!(loss["other_events"], 0, "{loss}");
    let summary = lines.last().expect("there is a summary");
    assert_eq!(summary["lost"], loss["lost"], "{summary}");
    // The ring for brief ends has room for those whose records were lost.
    assert_eq!(summary["creations"]["ok"], 600, "{summary}");
}
