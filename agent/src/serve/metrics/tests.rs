use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use fragwatch_core::{
    correlate::Correlated,
    fixtures,
    model::{
        hook::HookStatus,
        node::{MemoryCgroups, NodeZone},
    },
};

use super::*;
use crate::serve::trend::Outlook;

/// All metrics of a machine with eight zones and six needed orders.
fn large() -> Metrics {
    let metrics = Metrics::new();
    let zone = |at: u32| NodeZone {
        node: at / 2,
        name: ["DMA32", "Normal"][at as usize % 2].to_owned(),
        blocks: vec![7; 11],
        ..NodeZone::default()
    };
    let zones: Vec<NodeZone> = (0..10).map(zone).collect();
    metrics.set_zones(&zones, &[1, 2, 3, 4, 5, 6, 7, 8]);
    metrics.set_memory_cgroups(MemoryCgroups { count: 40, dying: Some(3), at_most: false });
    let outlook = |resource: String| Outlook { resource, seconds_to_failure: None };
    let outlooks: Vec<Outlook> = (1..=8).map(|order| outlook(format!("order-{order}"))).collect();
    metrics.set_forecast(&outlooks);
    metrics.set_hooks(&hooks());
    metrics
}

fn hooks() -> Vec<HookStatus> {
    let known = [
        r#"{"hook":"allocation_failed","via":"kprobe:warn_alloc","state":"attached"}"#,
        r#"{"hook":"slow_path_entered","via":"kprobe:a_function","state":"fallback"}"#,
        r#"{"hook":"oom_kill","state":"missing"}"#,
    ];
    known.map(|hook| serde_json::from_str(hook).expect("a hook")).to_vec()
}

fn series(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with('#'))
}

#[test]
fn there_are_few_series_however_many_containers_fail() {
    let metrics = large();
    let count =
        |metrics: &Metrics| series(&metrics.text(Exposition::OpenMetrics).expect("text")).count();
    let before = count(&metrics);
    // With all 23 hooks.
    assert!(before + 20 <= 600, "{before}");
    for id in 0..1000 {
        let mut step = fixtures::failed_creation();
        step.id = id;
        step.task.comm = format!("hostile\"}} {id}");
        metrics.count(&[Correlated::CreationStep(Box::new(step))]);
    }
    assert_eq!(count(&metrics), before);
    let text = metrics.text(Exposition::OpenMetrics).expect("text");
    assert!(!text.contains("hostile"));
    assert!(
        text.contains("fragwatch_creations_total{step=\"namespaces\",outcome=\"failed\"} 1000\n"),
        "{text}"
    );
}

#[test]
fn both_forms_have_the_same_series() {
    let metrics = large();
    let of = |exposition| {
        let text = metrics.text(exposition).expect("text");
        series(&text).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    assert_eq!(of(Exposition::OpenMetrics), of(Exposition::Prometheus));
    let text = metrics.text(Exposition::OpenMetrics).expect("text");
    assert!(text.ends_with("# EOF\n"));
    // Each series has a help text above it, and no label lacks a value.
    for line in series(&text) {
        assert!(!line.contains("=\"\""), "{line}");
    }
}

/// The page, from what is registered. With `UPDATE_DOCS=1` it is written.
#[test]
fn the_documented_metrics_are_those_that_are_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = page(&large().text(Exposition::Prometheus).expect("text"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).expect("docs can be written");
    }
    let documented = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        documented == page,
        "docs/metrics.md is not about the metrics that are served: UPDATE_DOCS=1 cargo test -p \
         fragwatch --lib metrics"
    );
}

/// Values of these labels depend on the machine.
const OPEN: [&str; 6] = ["node", "zone", "hook", "via", "version", "le"];

/// Labels of a metric whose values depend on the orders that creations need.
fn open_of(name: &str) -> &'static [&'static str] {
    match name {
        "fragwatch_fragmentation_index" => &["order"],
        "fragwatch_forecast_seconds_to_failure" => &["resource"],
        _ => &[],
    }
}

fn page(text: &str) -> String {
    let mut page = "# Metrics\nWhat `fragwatch serve` has under `/metrics`. Generated from the code's \
                    table: `UPDATE_DOCS=1 cargo test -p fragwatch --lib metrics`.\n\nNo label holds the \
                    name of a pod, a container, a cgroup or a process. Series whose labels are known \
                    beforehand are there from the start.\n\n| metric | type | labels | meaning |\n\
                    |---|---|---|---|\n"
        .to_owned();
    let mut help = "";
    for (at, line) in text.lines().enumerate() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').expect("a name and a text").1;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            let own = text.lines().skip(at + 1).take_while(|line| !line.starts_with('#'));
            let labels = labels_of(own, open_of(name));
            writeln!(page, "| `{name}` | {kind} | {labels} | {help} |").expect("memory");
        }
    }
    page
}

/// The labels of a metric's series, with their values where these are fixed. The values of `open`, too,
/// depend on the machine.
fn labels_of<'a>(series: impl Iterator<Item = &'a str>, open: &[&str]) -> String {
    let mut labels: Vec<(String, BTreeSet<String>)> = Vec::new();
    for line in series {
        let Some((_, rest)) = line.split_once('{') else { continue };
        let Some((pairs, _)) = rest.split_once('}') else { continue };
        for pair in pairs.split(',') {
            let (name, value) = pair.split_once('=').expect("a label");
            let value = value.trim_matches('"').to_owned();
            match labels.iter_mut().find(|(known, _)| known == name) {
                Some((_, values)) => drop(values.insert(value)),
                None => labels.push((name.to_owned(), [value].into())),
            }
        }
    }
    let label = |(name, values): (String, BTreeSet<String>)| {
        if OPEN.iter().chain(open).any(|open| *open == name) {
            return format!("`{name}`");
        }
        let mut values: Vec<String> = values.into_iter().collect();
        values.sort_by_key(|value| (value.parse::<u32>().unwrap_or(u32::MAX), value.clone()));
        format!("`{name}`: {}", values.join(", "))
    };
    labels.into_iter().map(label).collect::<Vec<_>>().join("; ")
}
