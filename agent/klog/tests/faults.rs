//! Small logs of many kinds of fault, and of what looks like one and is none, with what must be found
//! in each: `expected.tsv` in `tests/fixtures/faults` and `tests/fixtures/kinds`.
//!
//! Its columns `incidents` and `cause` (of the first incident) hold alternatives, `a|b`; `-` is no
//! incident. `must_contain` holds conditions on an incident's JSON, separated by `;`: `path=value`,
//! `path!=value`, `path~text` (the JSON there contains it), `path!~text`. They are about the first
//! incident; behind `@2:` about the second, `@-1:` the last, `*:` any.
use std::{
    fmt::Write,
    fs,
    io::Cursor,
    path::{Path, PathBuf},
    sync::Arc,
};

use fragwatch_core::report::Json;
use fragwatch_klog::explain::Explainer;
use serde_json::Value;

const CONFIDENCES: [&str; 3] = ["low", "medium", "high"];

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name)
}

/// The incidents that are reported of a log, as JSON.
fn explain(log: Vec<u8>) -> Vec<Value> {
    let mut out = Vec::new();
    let mut json = Json::new(&mut out);
    let mut explainer = Explainer::new(&mut json, Arc::default(), None, Vec::new());
    explainer.read("log", Cursor::new(log)).expect("memory can be written");
    explainer.finish().expect("memory can be written");
    let out = String::from_utf8(out).expect("JSON is UTF-8");
    let lines = out.lines().map(|line| serde_json::from_str(line).expect("a line is JSON"));
    lines.filter(|line: &Value| line["type"] == "incident").collect()
}

fn lookup<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, part| match part.parse::<usize>() {
        Ok(index) => &value[index],
        Err(_) => &value[part],
    })
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn holds(incident: &Value, path: &str, sign: &str, wanted: &str) -> bool {
    let found = plain(lookup(incident, path));
    match sign {
        "!~" => !found.contains(wanted),
        "~" => found.contains(wanted),
        "!=" => !wanted.split('|').any(|one| one == found),
        _ => wanted.split('|').any(|one| one == found),
    }
}

/// What is wrong with one condition.
fn condition(text: &str, incidents: &[Value]) -> Option<String> {
    let (place, rest) = match text.split_once(':') {
        Some((place, rest)) if place == "*" || place.starts_with('@') => (place, rest),
        _ => ("@1", text),
    };
    let signs = ["!~", "!=", "~", "="];
    let at = rest.find(['!', '~', '=']).unwrap_or_else(|| panic!("no condition: {text}"));
    let sign = signs.iter().find(|sign| rest[at..].starts_with(**sign)).expect("it was found");
    let (path, wanted) = (&rest[..at], &rest[at + sign.len()..]);
    if place == "*" {
        let any = incidents.iter().any(|incident| holds(incident, path, sign, wanted));
        return (!any).then(|| format!("no incident has {rest}"));
    }
    let number: isize = place[1..].parse().expect("a number");
    let from_end = incidents.len().checked_sub(number.unsigned_abs());
    let index = if number > 0 { Some(number.unsigned_abs() - 1) } else { from_end };
    let Some(incident) = index.and_then(|index| incidents.get(index)) else {
        return Some(format!("{text}: no such incident"));
    };
    (!holds(incident, path, sign, wanted))
        .then(|| format!("{text}: got {:.120}", plain(lookup(incident, path))))
}

fn judge(folder: &Path, row: &[&str]) -> Vec<String> {
    let [file, _kind, count, cause, most, conditions, _why] = *row else {
        panic!("not a row: {row:?}")
    };
    let log = fs::read(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let incidents = explain(log);
    let mut wrong = Vec::new();
    if !count.split('|').any(|count| count == incidents.len().to_string()) {
        wrong.push(format!("{count} incidents wanted, got {}", incidents.len()));
    }
    let verdict = incidents.first().map_or(&Value::Null, |incident| &incident["verdict"]);
    let found = verdict["cause"].as_str().unwrap_or("-");
    if !cause.split('|').any(|cause| cause == found) {
        wrong.push(format!("{cause} wanted, got {found}"));
    }
    let rank = |confidence: &str| CONFIDENCES.iter().position(|known| *known == confidence);
    if rank(verdict["confidence"].as_str().unwrap_or("-")) > rank(most) && most != "-" {
        wrong.push(format!("confidence {}, at most {most} is warranted", verdict["confidence"]));
    }
    if !incidents.is_empty() {
        let conditions = conditions.split(';').filter(|text| !text.is_empty() && *text != "-");
        wrong.extend(conditions.filter_map(|text| condition(text, &incidents)));
    }
    wrong
}

#[track_caller]
fn all_rows_hold(name: &str, rows: usize) {
    let folder = folder(name);
    let table = fs::read_to_string(folder.join("expected.tsv")).expect("the table");
    let mut failed = String::new();
    for row in table.lines().skip(1) {
        let row: Vec<&str> = row.split('\t').collect();
        let wrong = judge(&folder, &row);
        if !wrong.is_empty() {
            writeln!(failed, "{}: {}", row[0], wrong.join("; ")).expect("a string can be written");
        }
    }
    assert_eq!(table.lines().count() - 1, rows);
    let logs = fs::read_dir(&folder).expect("the logs").count() - 1;
    assert_eq!(logs, rows, "each log has a row");
    assert!(failed.is_empty(), "{} of {rows} don't hold:\n{failed}", failed.lines().count());
}

#[test]
fn faults() {
    all_rows_hold("faults", 60);
}

#[test]
fn kinds() {
    all_rows_hold("kinds", 385);
}

/// Logs that stand in one line as a whole.
#[test]
fn answers() {
    all_rows_hold("answers", 2);
}
