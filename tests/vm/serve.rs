//! `fragwatch serve` beside the failure that this program exists for: what it counts, shows and logs.

use serde_json::Value;

use crate::observed::Observed;
use crate::plan::{Plan, facts};

const SERVE: &[&str] = &[
    "serve",
    "--store",
    "/store",
    "--store-min-free",
    "0",
    "--order",
    "6",
    "--record-before",
    "3m",
];

/// What a failure of the scenario is counted as.
const FAILURES: &str = "fragwatch_creation_failures_total{step=\"namespaces\",\
                        cause=\"fragmentation\",confidence=\"high\"} ";

pub(crate) fn plans() -> Vec<Plan> {
    vec![Plan::new("serve", SERVE).facts(facts![
        failure_is_counted_by_its_cause,
        nothing_is_lost,
        it_is_healthy_and_ready,
        status_has_the_failure_and_the_hooks,
        check_turns_from_ok_to_would_fail,
        page_shows_the_failure,
        failure_is_streamed,
        journal_has_one_line_for_the_failure,
        threads_keep_few_capabilities,
        check_knows_what_serve_knows,
        node_problem_detector_gets_one_line,
        store_survives_a_kill_with_what_led_to_the_failure,
        resident_memory_is_small,
        it_ends_soon_after_sigterm,
        service_manager_is_notified,
    ])]
}

/// The value of the series that begins so.
fn series(run: &Observed, stream: &str, start: &str) -> f64 {
    let line = run.run.stream(stream).find_map(|line| line.strip_prefix(start));
    let value = line.unwrap_or_else(|| panic!("{stream} has no series {start}"));
    value.parse().unwrap_or_else(|error| panic!("{start}{value}: {error}"))
}

fn json(run: &Observed, stream: &str) -> Value {
    let line = run.run.stream(stream).next().expect("there is a response");
    serde_json::from_str(line).expect("it is JSON")
}

fn failure_is_counted_by_its_cause(run: &Observed) {
    assert!(series(run, "before-metrics", FAILURES).abs() < 0.5);
    assert!(series(run, "http-metrics", FAILURES) >= 1.0);
    let failed = "fragwatch_creations_total{step=\"namespaces\",outcome=\"failed\"} ";
    assert!(series(run, "http-metrics", failed) >= 1.0);
    let last = "fragwatch_last_failure_timestamp_seconds{cause=\"fragmentation\"} ";
    assert!(series(run, "http-metrics", last) > 1.7e9);
    let index = "fragwatch_fragmentation_index{node=\"0\",zone=\"DMA32\",order=\"6\"} ";
    assert!(series(run, "http-metrics", index) > 0.5);
    let blocks = "fragwatch_free_blocks{node=\"0\",zone=\"DMA32\",order=\"0\"} ";
    assert!(series(run, "http-metrics", blocks) > 1000.0);
}

fn nothing_is_lost(run: &Observed) {
    let lost =
        run.run.stream("http-metrics").filter(|l| l.starts_with("fragwatch_events_lost_total{"));
    let lost: Vec<&str> = lost.collect();
    assert_eq!(lost.len(), 6, "{lost:#?}");
    assert!(lost.iter().all(|line| line.ends_with(" 0")), "{lost:#?}");
}

fn it_is_healthy_and_ready(run: &Observed) {
    for path in ["/healthz", "/readyz", "/status", "/metrics", "/"] {
        let expected = format!("200 of {path}");
        assert!(run.run.stream("node").any(|line| line == expected), "{expected}");
    }
}

fn status_has_the_failure_and_the_hooks(run: &Observed) {
    let (before, after) = (json(run, "before-status"), json(run, "http-status"));
    assert_eq!(before["failed"], 0, "{before:#}");
    assert_eq!(after["state"], "watching");
    let newest = &after["failures"][0];
    assert_eq!(
        (&newest["cause"], &newest["confidence"]),
        (&"fragmentation".into(), &"high".into())
    );
    let hooks = after["doctor"]["hooks"].as_array().expect("hooks are listed");
    assert!(hooks.len() > 10 && hooks.iter().all(|hook| hook["via"].is_string()), "{hooks:#?}");
}

fn check_turns_from_ok_to_would_fail(run: &Observed) {
    assert_eq!(json(run, "before-status")["check"]["status"], "ok");
    assert_eq!(json(run, "http-status")["check"]["status"], "would-fail");
    let holds = "fragwatch_check_status{status=\"would-fail\"} ";
    assert!((series(run, "http-metrics", holds) - 1.0).abs() < 0.5);
}

fn page_shows_the_failure(run: &Observed) {
    let page: Vec<&str> = run.run.stream("http-page").collect();
    let page = page.join("\n");
    assert!(page.contains("<span class=\"failed\">fragmentation</span> (high)"), "{page}");
    assert!(page.contains("network namespace, ENOMEM"), "{page}");
    assert!(page.trim_end().ends_with("</html>"), "{page}");
}

fn failure_is_streamed(run: &Observed) {
    let events = run.run.stream("http-events").filter_map(|line| line.strip_prefix("data: "));
    let events: Vec<Value> =
        events.map(|event| serde_json::from_str(event).expect("it is JSON")).collect();
    let failed = |event: &&Value| event["type"] == "creation" && event["outcome"] == "failed";
    let failure = events.iter().find(failed).expect("the failure is among the events");
    assert_eq!(failure["verdict"]["cause"], "fragmentation", "{failure:#}");
}

fn journal_has_one_line_for_the_failure(run: &Observed) {
    let lines: Vec<&str> = run.run.stream("fragwatch-out").collect();
    assert!(lines[0].contains("watching with"), "{lines:#?}");
    let failure = lines.iter().filter(|line| line.starts_with("FAILED")).collect::<Vec<_>>();
    assert!(!failure.is_empty(), "{lines:#?}");
    assert!(failure.iter().all(|line| line.contains(": fragmentation (high")), "{lines:#?}");
}

/// Only the loop and the thread that asks for names keep any.
fn threads_keep_few_capabilities(run: &Observed) {
    let threads: Vec<&str> = run.run.stream("capabilities").collect();
    for name in ["http", "sampler", "journal"] {
        let begin = format!("Name:{name} ");
        let thread = threads.iter().find(|thread| thread.starts_with(&begin));
        let thread = thread.unwrap_or_else(|| panic!("no thread {name}: {threads:#?}"));
        assert!(thread.contains("CapEff:0000000000000000"), "{thread}");
        assert!(thread.contains("CapPrm:0000000000000000"), "{thread}");
    }
}

fn assert_node_says(run: &Observed, expected: &str) {
    let lines: Vec<&str> = run.run.stream("node").collect();
    assert!(lines.contains(&expected), "{expected}: {lines:#?}");
}

fn check_knows_what_serve_knows(run: &Observed) {
    assert_node_says(run, "check exited 2");
    let check = json(run, "check");
    let serve = &check["serve"];
    assert_eq!(serve["state"], "watching", "{check:#}");
    assert!(serve["failed_last_hour"].as_u64() >= Some(1), "{serve:#}");
    let summary = serve["last_failure"]["summary"].as_str().expect("the last failure is there");
    assert!(summary.contains("fragmentation"), "{summary}");
    let trend = serve["trend"].as_array().expect("a trend is there");
    let order6 = trend.iter().find(|one| one["resource"] == "order-6").expect("one of order 6");
    assert!(order6["left_before"].as_u64() > order6["left"].as_u64(), "{order6:#}");
}

fn node_problem_detector_gets_one_line(run: &Observed) {
    assert_node_says(run, "npd exited 1");
    let lines: Vec<&str> = run.run.stream("npd").collect();
    assert!(lines.len() == 1 && lines[0].len() <= 80, "{lines:#?}");
    assert!(lines[0].starts_with("order 6: no block of 256 KiB"), "{lines:#?}");
}

/// Before another one opens the store, and after.
fn store_survives_a_kill_with_what_led_to_the_failure(run: &Observed) {
    for stream in ["killed-replay", "replay"] {
        let lines = run.run.stream(stream);
        let lines: Vec<Value> =
            lines.map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
        let failed = |line: &&Value| line["type"] == "creation" && line["outcome"] == "failed";
        let failure = lines.iter().find(failed).expect("the failure is in the store");
        assert_eq!(failure["verdict"]["cause"], "fragmentation", "{failure:#}");
        let recording = lines.iter().find(|line| line["type"] == "recording");
        let recording = recording.expect("a recording is in the store");
        assert!(recording["samples"].as_u64() >= Some(20), "{recording:#}");
        let (from, at) = (recording["from"].as_str(), recording["time"].as_str());
        assert!(from < at && recording["until"].as_str() > at, "{recording:#}");
    }
}

/// When it is ready, and after the failure with all that was asked over HTTP.
fn resident_memory_is_small(run: &Observed) {
    for stream in ["measure", "measure-later"] {
        let usage = json(run, stream);
        let resident = usage["vm_rss_kib"].as_u64().expect("it was measured");
        assert!(resident <= 14 * 1024, "{stream}: {usage:#}");
    }
}

/// 2 s, and what an emulated machine takes more.
fn it_ends_soon_after_sigterm(run: &Observed) {
    let line =
        run.run.stream("node").find_map(|line| line.strip_prefix("the second serve exited "));
    let (code, took) = line.expect("it ended").split_once(" after ").expect("code and time");
    let took: u64 = took.trim_end_matches(" ms").parse().expect("milliseconds");
    assert_eq!(code, "0");
    assert!(took < 5_000, "{took} ms");
}

fn service_manager_is_notified(run: &Observed) {
    let lines: Vec<&str> = run.run.stream("notify").collect();
    let at = |wanted: &str| lines.iter().position(|line| *line == wanted);
    let (ready, stopping) = (at("READY=1"), at("STOPPING=1"));
    assert!(ready.is_some() && ready < stopping, "{lines:#?}");
    assert!(at("WATCHDOG=1").is_some(), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("STATUS=watching ")), "{lines:#?}");
}
