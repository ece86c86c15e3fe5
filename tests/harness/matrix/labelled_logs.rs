//! Labelled logs: the causes that `fragwatch explain` reports and those of the labels.
//!
//! The folder has the logs and an `index.tsv`, whose first line names the columns: `file`, `kernel`,
//! `order`, `gfp_hex`, `comm`, `label` (the cause), `reason`, `confidence`. The figures are those of
//! the first failure in the file; `-` and `unknown` mean that the log has none. In `reason`,
//! "<cause> acceptable" (or "acceptable" after it) names a second cause that would do.
use std::{collections::HashMap, fs, path::Path, process::Command};

use anyhow::{Context as _, Result, bail};
use comfy_table::{ContentArrangement, presets};
use serde_json::Value;

use crate::build;

/// The share of the labels with confidence high that must be right.
const WANTED: f64 = 0.95;

const HEAD: [&str; 7] = ["file", "expected", "given", "order", "gfp", "comm", "kernel"];

/// Causes that are no lack of memory, which a label calls by one name.
const NOT_MEMORY: &[&str] = &["not-memory", "namespace-limit", "pids-limit"];

/// All causes, as labels name them.
pub(super) const CAUSES: &[&str] = &[
    "fragmentation",
    "exhaustion",
    "oom-fragmentation",
    "memcg-limit",
    "memcg-ids",
    "kmem-leak",
    "vmalloc-exhaustion",
    "atomic-pressure",
    "namespace-limit",
    "pids-limit",
    "not-memory",
    "undetermined",
];

/// A line of the index.
struct Label {
    file: String,
    cause: String,
    /// Causes that would do as well.
    acceptable: Vec<&'static str>,
    confidence: String,
    /// Column and value, of those that the log prints.
    fields: Vec<(&'static str, String)>,
}

/// What fragwatch reported of a log.
#[derive(Default)]
struct Given {
    cause: String,
    confidence: String,
    fields: HashMap<&'static str, String>,
}

/// A reported cause compared with its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    Right,
    /// Another one that its reason accepts.
    Acceptable,
    Wrong,
}

/// Runs the program on the logs in a folder, prints a table, and fails if the aims are missed. Without
/// a program the release build is made.
pub fn run(logs: &Path, fragwatch: Option<&Path>) -> Result<()> {
    let index = logs.join("index.tsv");
    let text =
        fs::read_to_string(&index).with_context(|| format!("can't read {}", index.display()))?;
    let labels =
        parse(&text).with_context(|| format!("{} is not an index of logs", index.display()))?;
    let fragwatch = if let Some(path) = fragwatch {
        path.to_path_buf()
    } else {
        build::fragwatch(true)?;
        build::fragwatch_path()
    };
    let mut table = Table::default();
    for mut label in labels {
        let log = logs.join(&label.file);
        let text = fs::read(&log).with_context(|| format!("can't read {}", log.display()))?;
        let text = String::from_utf8_lossy(&text);
        // An index may know the kernel from elsewhere.
        label.fields.retain(|(name, value)| *name != "kernel" || text.contains(value.as_str()));
        let given = explain(&fragwatch, &log)?;
        table.add(&label, &given);
    }
    table.print();
    table.judge()
}

fn parse(text: &str) -> Result<Vec<Label>> {
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().context("it is empty")?.split('\t').collect();
    let column = |name: &str| {
        head.iter()
            .position(|have| *have == name)
            .with_context(|| format!("it has no column {name}"))
    };
    let (file, cause, confidence, reason) =
        (column("file")?, column("label")?, column("confidence")?, column("reason")?);
    let fields = [
        ("order", column("order")?),
        ("gfp", column("gfp_hex")?),
        ("comm", column("comm")?),
        ("kernel", column("kernel")?),
    ];
    lines
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let values: Vec<&str> = line.split('\t').collect();
            let value = |at: usize| values.get(at).copied().unwrap_or_default().trim();
            let printed =
                fields.iter().filter(|(_, at)| !matches!(value(*at), "" | "-" | "unknown"));
            Ok(Label {
                file: value(file).to_owned(),
                cause: value(cause).to_owned(),
                acceptable: acceptable(value(reason)),
                confidence: value(confidence).to_owned(),
                fields: printed.map(|&(name, at)| (name, value(at).to_owned())).collect(),
            })
        })
        .collect()
}

/// The causes that a reason names close before "acceptable" or "possible".
fn acceptable(reason: &str) -> Vec<&'static str> {
    let parts = reason.split([';', ',', '(', ')', '.', ':']);
    let accepting = parts.filter(|part| part.contains("acceptable") || part.contains("possible"));
    let named = |part: &str| {
        CAUSES.iter().copied().filter(|cause| part.contains(cause)).collect::<Vec<_>>()
    };
    accepting.flat_map(named).collect()
}

/// Runs fragwatch on a log and takes the first incident, or that nothing was found. The tail of a
/// report whose heading is not in the log comes after those that have one.
fn explain(fragwatch: &Path, log: &Path) -> Result<Given> {
    let output = Command::new(fragwatch)
        .args(["explain", "--format", "json"])
        .arg(log)
        .output()
        .with_context(|| format!("can't run {}", fragwatch.display()))?;
    if !output.status.success() {
        bail!("{} on {} ended with {}", fragwatch.display(), log.display(), output.status);
    }
    let stdout = String::from_utf8(output.stdout).context("fragwatch printed no UTF-8")?;
    let objects: Vec<Value> = stdout
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .context("fragwatch printed no JSON")?;
    let incidents = objects.iter().filter(|object| object["type"] == "incident");
    let tail = |i: &Value| i["oom_kills"][0].is_object() && i["oom_kills"][0]["order"].is_null();
    let first = incidents.min_by_key(|i| (tail(i), i["lines"][0].as_u64()));
    Ok(first.map(given).unwrap_or_default())
}

fn given(incident: &Value) -> Given {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let first = |paths: &[&str]| paths.iter().find_map(|path| text(incident.pointer(path)?));
    let mut fields = HashMap::new();
    let mut set = |name, value: Option<String>| {
        if let Some(value) = value {
            fields.insert(name, value);
        }
    };
    set("order", first(&["/allocations/0/order", "/oom_kills/0/order"]));
    set("gfp", first(&["/allocations/0/gfp/raw", "/vmalloc/0/gfp/raw", "/oom_kills/0/gfp/raw"]));
    // Where the log does not say which task asked for memory, the label names the one that was killed.
    set("comm", first(&["/comm", "/oom_kills/0/comm"]));
    set("kernel", first(&["/kernel"]));
    let verdict = |name: &str| text(&incident["verdict"][name]).unwrap_or_default();
    Given { cause: verdict("cause"), confidence: verdict("confidence"), fields }
}

fn judge(label: &Label, cause: &str) -> Judgement {
    let same = |expected: &str| {
        expected == cause || expected == "not-memory" && NOT_MEMORY.contains(&cause)
    };
    if same(&label.cause) || cause.is_empty() && label.cause == "not-memory" {
        Judgement::Right
    } else if label.acceptable.iter().any(|other| same(other)) {
        Judgement::Acceptable
    } else {
        Judgement::Wrong
    }
}

#[derive(Default)]
struct Table {
    rows: Vec<[String; 7]>,
    /// Per label confidence: right, acceptable, all.
    causes: HashMap<String, [u32; 3]>,
    /// Per column: right, all.
    fields: HashMap<&'static str, [u32; 2]>,
    /// Labels of confidence high that are contradicted with confidence high.
    contradicted: Vec<String>,
}

impl Table {
    fn add(&mut self, label: &Label, given: &Given) {
        let judgement = judge(label, &given.cause);
        let counts = self.causes.entry(label.confidence.clone()).or_default();
        counts[0] += u32::from(judgement == Judgement::Right);
        counts[1] += u32::from(judgement == Judgement::Acceptable);
        counts[2] += 1;
        if judgement == Judgement::Wrong && label.confidence == "high" && given.confidence == "high"
        {
            self.contradicted.push(label.file.clone());
        }
        let mark = match judgement {
            Judgement::Right => "",
            Judgement::Acceptable => "(acceptable) ",
            Judgement::Wrong => "WRONG ",
        };
        let cause = if given.cause.is_empty() { "nothing found" } else { &given.cause };
        let mut row = vec![
            label.file.clone(),
            format!("{} ({})", label.cause, label.confidence),
            format!("{mark}{cause} ({})", given.confidence),
        ];
        for name in ["order", "gfp", "comm", "kernel"] {
            let expected =
                label.fields.iter().find(|(have, _)| *have == name).map(|(_, value)| value);
            let value = given.fields.get(name);
            row.push(match expected {
                None => "-".to_owned(),
                Some(expected) => {
                    let counts = self.fields.entry(name).or_default();
                    let right = value == Some(expected);
                    counts[0] += u32::from(right);
                    counts[1] += 1;
                    let value = value.map_or("none", String::as_str);
                    if right { expected.clone() } else { format!("WRONG {value}, not {expected}") }
                }
            });
        }
        let row: [String; 7] = row.try_into().unwrap_or_default();
        self.rows.push(row);
    }

    fn print(&self) {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(HEAD).add_rows(&self.rows);
        println!("{table}");
        println!();
        for confidence in ["high", "medium", "low"] {
            if let Some([right, acceptable, all]) = self.causes.get(confidence) {
                println!(
                    "labels of confidence {confidence}: {right} of {all} right, {acceptable} more acceptable"
                );
            }
        }
        for name in ["order", "gfp", "comm", "kernel"] {
            if let Some([right, all]) = self.fields.get(name) {
                println!("{name}: {right} of {all} right");
            }
        }
    }

    fn judge(&self) -> Result<()> {
        if !self.contradicted.is_empty() {
            bail!(
                "wrong with confidence high where the label is of confidence high: {}",
                self.contradicted.join(", ")
            );
        }
        if let Some(&[right, acceptable, all]) = self.causes.get("high") {
            let share = f64::from(right + acceptable) / f64::from(all);
            if share < WANTED {
                bail!(
                    "{:.0} % of the labels of confidence high are right; at least {:.0} % must be",
                    share * 100.0,
                    WANTED * 100.0
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "file\tsource\tkernel\torder\tgfp_hex\tgfp_decoded_in_log\tcomm\tlabel\treason\tbuddy_facts\tconfidence\n\
        a.log\tx\t6.1.0\t6\t0x40dc0\t-\trunc\tfragmentation\twhy; atomic-pressure acceptable\t-\thigh\n\
        b.log\tx\tunknown\t-\t-\t-\t-\tnot-memory\tpids\t-\tmedium\n";

    #[test]
    fn index_is_parsed() {
        let labels = parse(INDEX).expect("an index");
        assert_eq!(labels[0].fields.len(), 4);
        assert_eq!(labels[0].acceptable, ["atomic-pressure"]);
        assert_eq!(labels[1].fields, []);
        assert!(parse("file\tlabel\n").is_err());
    }

    #[test]
    fn causes_are_compared_with_labels() {
        let labels = parse(INDEX).expect("an index");
        assert_eq!(judge(&labels[0], "fragmentation"), Judgement::Right);
        assert_eq!(judge(&labels[0], "atomic-pressure"), Judgement::Acceptable);
        assert_eq!(judge(&labels[0], "exhaustion"), Judgement::Wrong);
        assert_eq!(judge(&labels[0], ""), Judgement::Wrong);
        assert_eq!(judge(&labels[1], "pids-limit"), Judgement::Right);
        assert_eq!(judge(&labels[1], ""), Judgement::Right);
    }

    #[test]
    fn contradiction_with_confidence_high_fails() {
        let labels = parse(INDEX).expect("an index");
        let given = |cause: &str, confidence: &str| Given {
            cause: cause.to_owned(),
            confidence: confidence.to_owned(),
            fields: HashMap::new(),
        };
        let mut table = Table::default();
        table.add(&labels[0], &given("exhaustion", "high"));
        assert!(table.judge().is_err_and(|error| error.to_string().contains("a.log")));
        let mut table = Table::default();
        table.add(&labels[0], &given("fragmentation", "medium"));
        assert!(table.judge().is_ok());
        table.add(&labels[0], &given("undetermined", "low"));
        assert!(table.judge().is_err());
    }
}
