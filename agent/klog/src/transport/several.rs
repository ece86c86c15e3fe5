//! Lines that hold several messages: a page's markup with breaks between them, an API's answer as JSON.
use memchr::memmem;
use serde_json::{Value, json};

use crate::transport::json;

/// So many breaks, messages or strings at least: fewer are one message.
const FEWEST: usize = 2;
/// Marks of HTML that end a line of text.
const BREAKS: [&str; 8] = ["<br>", "<br/>", "<br />", "</p>", "</div>", "</li>", "</tr>", "</pre>"];
/// Marks that may stand before the text of a line.
const MARKS: [&str; 12] = [
    "<html>", "<body>", "<div>", "<p>", "<pre>", "<code>", "<span>", "<ul>", "<li>", "<table>",
    "<tr>", "<td>",
];

/// The messages in a line, each as a line of its own; `None` if it holds no more than one.
pub(crate) fn parts(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let lists =
        || ["[{", "[[", "[\""].iter().any(|list| memmem::find(line, list.as_bytes()).is_some());
    let parts = match line.trim_ascii_start().first()? {
        b'{' | b'[' if lists() => of_json(line)?,
        _ if memmem::find(line, b"<br").is_some() => of_html(&String::from_utf8_lossy(line)),
        _ => return None,
    };
    (parts.len() >= FEWEST).then_some(parts)
}

fn of_html(line: &str) -> Vec<Vec<u8>> {
    let mut text = line.to_owned();
    for mark in BREAKS {
        text = text.replace(mark, "\n");
    }
    let pieces = text.lines().map(|piece| {
        let mut piece = piece;
        while let Some(rest) = MARKS.iter().find_map(|mark| piece.strip_prefix(mark)) {
            piece = rest;
        }
        piece.as_bytes().to_vec()
    });
    pieces.filter(|piece| !piece.is_empty()).collect()
}

fn of_json(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let mut parts = Vec::new();
    collect(&value, &mut parts);
    Some(parts)
}

/// Adds the messages in a value, each as a line: objects that are messages, the pairs of a time and a
/// line that Loki answers with, and the strings of a list.
fn collect(value: &Value, parts: &mut Vec<Vec<u8>>) {
    match value {
        Value::Object(object) if json::is_message(object) => parts.push(value.to_string().into()),
        Value::Object(object) => object.values().for_each(|value| collect(value, parts)),
        Value::Array(values) => {
            for value in values {
                match value {
                    Value::String(line) => parts.push(line.clone().into()),
                    Value::Array(pair) => match pair.as_slice() {
                        [Value::String(time), Value::String(line), ..] => {
                            parts.push(timed(time, line).to_string().into());
                        }
                        _ => collect(value, parts),
                    },
                    _ => collect(value, parts),
                }
            }
        }
        _ => {}
    }
}

/// A line as an object with its time, which Loki states in nanoseconds since 1970.
fn timed(time: &str, line: &str) -> Value {
    const MILLIS: usize = 13;
    let nanoseconds = time.len() == MILLIS + 6 && time.bytes().all(|byte| byte.is_ascii_digit());
    let time = if nanoseconds { &time[..MILLIS] } else { time };
    json!({ "timestamp": time, "message": line })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &[&str]) {
        let parts = parts(line.as_bytes()).unwrap_or_default();
        let read = |part: &[u8]| {
            let text = String::from_utf8_lossy(part).into_owned();
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        let parts: Vec<Value> = parts.iter().map(|part| read(part)).collect();
        let expected: Vec<Value> = expected.iter().map(|part| read(part.as_bytes())).collect();
        assert_eq!(parts, expected, "{line}");
    }

    #[test]
    fn messages_of_an_answer() {
        let loki = r#"{"data":{"result":[{"stream":{"a":"b"},"values":[["1760000000000000000","x"],["1760000000001000000","y"]]}]}}"#;
        let first = r#"{"message":"x","timestamp":"1760000000000"}"#;
        check(loki, &[first, r#"{"message":"y","timestamp":"1760000000001"}"#]);
        check(
            r#"{"events":[{"message":"x"},{"message":"y"}]}"#,
            &[r#"{"message":"x"}"#, r#"{"message":"y"}"#],
        );
        check(r#"["x y","z"]"#, &["x y", "z"]);
    }

    #[test]
    fn lines_of_a_page() {
        check("<div><p>a &lt;b<br>c<br/>d</p></div>", &["a &lt;b", "c", "d"]);
    }

    #[test]
    fn one_message_stays_as_it_is() {
        for line in [r#"{"message":"x","tags":["a","b"]}"#, "a <br", "[ 12.5] x", "{", ""] {
            check(line, &[]);
        }
    }
}
