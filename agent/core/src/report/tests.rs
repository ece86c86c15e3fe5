//! Every kind of line in every format. Sentences are pinned in the snapshots alone.
mod samples;

use jiff::tz::TimeZone;

use super::*;

fn text(line: &Line) -> String {
    let mut styled = Vec::new();
    Text::new(&mut styled, TimeZone::UTC).line(line).expect("memory takes all");
    let plain = anstream::adapter::strip_bytes(&styled).into_vec();
    String::from_utf8(plain).expect("UTF-8")
}

fn json(line: &Line) -> String {
    let mut out = Vec::new();
    Json::new(&mut out).line(line).expect("memory takes all");
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn each_line_as_text() {
    for (name, line) in samples::all() {
        insta::assert_snapshot!(format!("text-{name}"), text(&line));
    }
}

/// What was recorded can't be interrupted.
#[test]
fn a_replay_begins_with_what_was_watched() {
    let mut styled = Vec::new();
    let mut text = Text::new(&mut styled, TimeZone::UTC).replayed();
    text.line(&samples::ready(0, 0)).expect("memory takes all");
    let plain = anstream::adapter::strip_bytes(&styled).into_vec();
    let first = String::from_utf8(plain).expect("UTF-8");
    assert!(first.contains(": recorded with all ") && !first.contains("Ctrl-C"), "{first}");
}

#[test]
fn each_line_as_json() {
    for (name, line) in samples::all() {
        let line = json(&line);
        assert_eq!(line.lines().count(), 1, "{name}: one object a line");
        let value: serde_json::Value = serde_json::from_str(&line).expect("one object");
        assert!(value["type"].is_string(), "{name}: {line}");
        let pretty = serde_json::to_string_pretty(&value).expect("it was just parsed");
        insta::assert_snapshot!(format!("json-{name}"), pretty);
    }
}

/// Names of fields are in snake_case in every line.
#[test]
fn fields_are_in_snake_case() {
    fn check(value: &serde_json::Value) {
        match value {
            serde_json::Value::Object(fields) => {
                for (name, value) in fields {
                    let snake =
                        name.chars().all(|c| c.is_ascii_lowercase() || "_0123456789".contains(c));
                    assert!(snake, "{name}");
                    // Its names are those of causes.
                    if name != "causes" {
                        check(value);
                    }
                }
            }
            serde_json::Value::Array(values) => values.iter().for_each(check),
            _ => {}
        }
    }
    for (_, line) in samples::all() {
        check(&serde_json::to_value(&line).expect("a line is JSON"));
    }
}

/// Whatever names and messages hold, no format lets it reach a terminal.
#[test]
fn nothing_from_outside_drives_a_terminal() {
    for (name, line) in samples::hostile() {
        for report in [text(&line), json(&line)] {
            let odd = report.chars().find(|&c| crate::units::is_hostile(c) && c != '\n');
            assert_eq!(odd, None, "{name}: {report:?}");
            let forged = report.lines().any(|line| line.starts_with("forged"));
            assert!(!forged, "{name}: {report}");
            assert!(
                report.contains("u{1b}") || report.contains("u001b"),
                "{name}: it is not in it"
            );
        }
    }
}

/// A trace begins with six lines at most, whatever the kernel lacks.
#[test]
fn a_trace_begins_with_few_lines() {
    for not_seen in 0..20 {
        for missing in 0..4 {
            let line = samples::ready(missing, not_seen);
            let text = text(&line);
            assert!(text.lines().count() <= 6, "{text}");
        }
    }
}

/// Who, what, why and what to do come before all else, in lines that fit.
#[test]
fn a_failure_begins_with_what_counts() {
    let line = samples::all().into_iter().find(|(name, _)| *name == "creation-failed");
    let (_, line) = line.expect("there is one");
    let text = text(&line);
    let labels: Vec<&str> =
        text.lines().skip(1).filter_map(|line| line.get(2..11)).map(str::trim).collect();
    let labels: Vec<&str> = labels.into_iter().filter(|label| !label.is_empty()).collect();
    assert_eq!(labels[..3], ["why", "by", "now"], "{text}");
    let evidence = labels.iter().position(|label| *label == "evidence").expect("there is some");
    assert!(labels[..evidence].contains(&"fix") && labels[..evidence].contains(&"useless"));
    assert!(!labels[evidence..].contains(&"now"), "{text}");
}

/// Many allocations of one kind are one line.
#[test]
fn many_allocations_are_summarised() {
    let line = samples::many_allocations(14);
    let few = text(&samples::many_allocations(2)).lines().count();
    let many = text(&line);
    assert_eq!(many.lines().count(), few, "{many}");
}

#[test]
fn styles_are_for_terminals() {
    for (name, line) in samples::all() {
        let mut styled = Vec::new();
        Text::new(&mut styled, TimeZone::UTC).line(&line).expect("memory takes all");
        let mut plain = anstream::StripStream::new(Vec::new());
        Text::new(&mut plain, TimeZone::UTC).line(&line).expect("memory takes all");
        assert!(!plain.into_inner().contains(&0x1b), "{name}");
        // One without anything to stand out.
        if name != "ready" {
            assert!(styled.windows(2).any(|w| w == b"\x1b["), "{name}: no style at all");
        }
    }
}
