//! Whatever stands before the lines of a log, the same is found in it; and two logs that lie line by
//! line in each other, each behind a beginning of its own, give the incidents of both.
use std::{fmt::Write, fs, io::Cursor, path::Path, sync::Arc};

use fragwatch_core::report::Json;
use fragwatch_klog::explain::Explainer;
use serde_json::Value;

/// Beginnings that are made up.
const PREFIXES: usize = 200;
/// Each of them is tried on every so manieth log, unless all are.
const EACH_NTH: usize = 29;
/// Pairs of logs that are shuffled.
const PAIRS: u64 = 300;

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        // Knuth's MMIX generator.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }
}

/// One part of a beginning.
#[derive(Clone)]
enum Part {
    Fixed(String),
    Counter(u64),
    Time,
    Level,
}

/// What stands before each line of a log, and behind it.
struct Prefix {
    parts: Vec<Part>,
    /// The line is a string of JSON or CSV.
    end: &'static str,
}

const WORDS: &[&str] = &["node", "worker", "pool-a", "edge", "db", "ip-10-0-3", "kube", "rack"];

/// A beginning that names this source.
fn prefix(random: &mut Random, source: &str) -> Prefix {
    let name = format!("{}-{source}", random.pick(WORDS));
    let mut parts = Vec::new();
    let fixed = |parts: &mut Vec<Part>, text: String| parts.push(Part::Fixed(text));
    if random.below(3) == 0 {
        parts.push(Part::Counter(random.below(100_000)));
        fixed(&mut parts, random.pick(&[" ", ": ", "\t", " | ", ") "]).to_owned());
    }
    if random.below(3) == 0 {
        parts.push(Part::Time);
        fixed(&mut parts, " ".to_owned());
    }
    let mut end = "";
    match random.below(12) {
        0 => fixed(&mut parts, format!("[{name}] ")),
        1 => fixed(&mut parts, format!("{name} | ")),
        2 => fixed(&mut parts, format!("{name}/dmesg.txt: ")),
        3 => fixed(&mut parts, format!("<{name}> ")),
        4 => {
            fixed(&mut parts, format!("{{\"src\":\"{name}\",\"seq\":"));
            parts.push(Part::Counter(random.below(1000)));
            fixed(&mut parts, ",\"payload\":\"".to_owned());
            end = "\"}";
        }
        5 => {
            fixed(&mut parts, format!("src={name} prio="));
            parts.push(Part::Level);
            fixed(&mut parts, " body=\"".to_owned());
            end = "\"";
        }
        6 => {
            fixed(&mut parts, format!("\"{name}\","));
            parts.push(Part::Counter(7));
            fixed(&mut parts, ",\"".to_owned());
            end = "\"";
        }
        8 => fixed(&mut parts, format!("{name}\tkern\t")),
        9 => fixed(&mut parts, format!("{name}: ")),
        10 => {
            parts.push(Part::Counter(1_744_867_860_000));
            fixed(&mut parts, format!(" {}<{name}> ", " ".repeat(random.below(4) as usize)));
        }
        7 => fixed(&mut parts, format!("({name}) {}", " ".repeat(random.below(8) as usize))),
        _ => {
            parts.push(Part::Level);
            fixed(&mut parts, format!(" {name} >> "));
        }
    }
    Prefix { parts, end }
}

impl Prefix {
    fn add(&self, at: u64, line: &str) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Fixed(fixed) => text.push_str(fixed),
                Part::Counter(first) => text.push_str(&(first + at).to_string()),
                Part::Time => {
                    let (second, micros) = (at / 50 % 60, at * 17 % 1_000_000);
                    write!(text, "2025-04-17T05:31:{second:02}.{micros:06}Z")
                        .expect("a string can be written");
                }
                Part::Level => text.push_str(["warn", "info", "err"][at as usize % 3]),
            }
        }
        if self.end.is_empty() {
            text.push_str(line);
        } else {
            let escaped = serde_json::to_string(line).expect("text is JSON");
            text.push_str(&escaped[1..escaped.len() - 1]);
        }
        text.push_str(self.end);
        text
    }
}

/// What is reported, without when and where.
fn explain(lines: &[String]) -> Vec<Value> {
    let mut out = Vec::new();
    let mut json = Json::new(&mut out);
    let mut explainer = Explainer::new(&mut json, Arc::default(), None, Vec::new());
    let log = lines.join("\n").into_bytes();
    explainer.read("log", Cursor::new(log)).expect("memory can be written");
    explainer.finish().expect("memory can be written");
    let out = String::from_utf8(out).expect("JSON is UTF-8");
    let lines = out.lines().map(|line| serde_json::from_str(line).expect("a line is JSON"));
    let incidents = lines.filter(|line: &Value| line["type"] == "incident");
    let mut incidents: Vec<Value> = incidents.map(without_place).collect();
    incidents.sort_by_key(Value::to_string);
    incidents
}

fn without_place(mut incident: Value) -> Value {
    let object = incident.as_object_mut().expect("an object");
    for key in ["time", "host", "boot_us", "lines", "file"] {
        object.remove(key);
    }
    incident
}

/// The logs of incidents, faults and kinds.
fn logs() -> Vec<(String, Vec<String>)> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    let mut logs = Vec::new();
    for folder in ["incidents", "faults", "kinds"] {
        let folder = fixtures.join(folder);
        for file in fs::read_dir(&folder).expect("the fixtures") {
            let path = file.expect("a file").path();
            if path.extension().is_none_or(|extension| extension != "log") {
                continue;
            }
            let text = fs::read_to_string(&path).expect("text");
            let lines = text.lines().map(str::to_owned).collect();
            logs.push((path.file_name().expect("a name").to_string_lossy().into_owned(), lines));
        }
    }
    logs.sort();
    logs
}

/// Lines behind a prefix.
fn behind(prefix: &Prefix, lines: &[String]) -> Vec<String> {
    lines.iter().zip(0..).map(|(line, at)| prefix.add(at, line)).collect()
}

/// Where two reports differ first.
fn difference(expected: &[Value], found: &[Value]) -> String {
    if expected.len() != found.len() {
        return format!("{} incidents, {} expected", found.len(), expected.len());
    }
    let pairs = expected.iter().zip(found).filter(|(expected, found)| expected != found);
    let mut text = String::new();
    for (expected, found) in pairs {
        for (key, value) in expected.as_object().expect("an object") {
            if found[key] != *value {
                write!(
                    text,
                    "\n    {key}: {}\n    {:width$}  {value}",
                    found[key],
                    "",
                    width = key.len()
                )
                .expect("a string can be written");
            }
        }
    }
    text
}

/// Tries each log behind those prefixes that `takes` says.
fn prefixes_leave_the_incidents(takes: impl Fn(usize, usize) -> bool) {
    let logs: Vec<_> = logs()
        .into_iter()
        .map(|(name, lines)| {
            let alone = explain(&lines);
            (name, lines, alone)
        })
        .collect();
    let mut random = Random(1);
    let mut wrong = Vec::new();
    let mut tried = 0;
    for round in 0..PREFIXES {
        let prefix = prefix(&mut random, "1");
        for (index, (name, lines, alone)) in logs.iter().enumerate() {
            if !takes(round, index) {
                continue;
            }
            tried += 1;
            let behind = behind(&prefix, lines);
            let found = explain(&behind);
            if found != *alone {
                let first = behind.first().map_or("", String::as_str);
                wrong.push(format!("{round} {name}: {first:.150}{}", difference(alone, &found)));
            }
        }
    }
    assert!(tried > 0);
    assert!(wrong.is_empty(), "{} of {tried} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn any_prefix_leaves_the_incidents() {
    // Each log is behind several of them.
    prefixes_leave_the_incidents(|round, index| (round + index) % EACH_NTH == 0);
}

#[test]
#[ignore = "takes minutes"]
fn every_prefix_leaves_the_incidents_of_every_log() {
    prefixes_leave_the_incidents(|_, _| true);
}

#[test]
fn two_shuffled_logs_give_the_incidents_of_both() {
    let logs = logs();
    let mut random = Random(2);
    let mut wrong = Vec::new();
    for round in 0..PAIRS {
        let mut pair = Vec::new();
        let mut expected = Vec::new();
        for source in ["1", "2"] {
            let (name, lines) = &logs[random.below(logs.len() as u64) as usize];
            let prefix = prefix(&mut random, source);
            let behind = behind(&prefix, lines);
            expected.extend(explain(&behind));
            pair.push((name, behind));
        }
        expected.sort_by_key(Value::to_string);
        let mut rest: Vec<_> = pair.iter().map(|(_, lines)| lines.iter()).collect();
        let mut shuffled = Vec::new();
        while rest.iter().any(|lines| lines.len() != 0) {
            shuffled.extend(rest[random.below(2) as usize].next().cloned());
        }
        let found = explain(&shuffled);
        if found != expected {
            let first = |at: usize| pair[at].1.first().map_or("", String::as_str);
            wrong.push(format!(
                "{round} {} and {}: {:.150} | {:.150}{}",
                pair[0].0,
                pair[1].0,
                first(0),
                first(1),
                difference(&expected, &found)
            ));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
