//! Logs with a JSON object in each line: journalctl -o json, Docker's json-file, and what other
//! collectors make of them.
use std::time::Duration;

use fragwatch_core::model::{
    container::is_id,
    log_time::{LogTime, Wall},
};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::{
    line::Origin,
    transport::{anchor, date, prefix::Prefix},
};

/// A message that was in a JSON object: what the object says about it, and its text, which may have
/// prefixes of its own.
pub(crate) struct Message {
    pub(crate) prefix: Prefix,
    pub(crate) text: String,
    /// Whether the text may have prefixes that say more.
    pub(crate) raw: bool,
}

/// Fields that hold a message.
const MESSAGES: &[&str] = &["log", "message", "msg", "MSG", "@message"];

/// Takes a message out of a line; `None` if the line is no such object.
pub(crate) fn message(line: &str) -> Option<Message> {
    let line = line.trim().trim_end_matches(',');
    if let Some(object) = line.strip_prefix('{').and_then(|_| serde_json::from_str(line).ok()) {
        return of_object(&object);
    }
    // journalctl -o json-pretty: a field in each line.
    let field = line.strip_prefix("\"MESSAGE\"")?;
    let value = serde_json::from_str(field.trim_start().strip_prefix(':')?.trim()).ok()?;
    Some(Message { prefix: Prefix::none(), text: text(&value)?, raw: true })
}

/// Whether an object is a message: it holds one by a name of a shipper's or journald's.
pub(crate) fn is_message(object: &Map<String, Value>) -> bool {
    object.contains_key("MESSAGE")
        || MESSAGES.iter().any(|key| object.get(*key).is_some_and(Value::is_string))
}

fn of_object(object: &Map<String, Value>) -> Option<Message> {
    // A journal's record within a record of Google's logging.
    if let Some(Value::Object(record)) = object.get("jsonPayload")
        && record.contains_key("MESSAGE")
    {
        return of_object(record);
    }
    // What a shipper wrapped, with fields of its own around it, under whatever name.
    let has_message = |of: &&Map<String, Value>| {
        MESSAGES.iter().any(|key| of.get(*key).is_some_and(Value::is_string))
    };
    if !MESSAGES.iter().any(|key| object.contains_key(*key))
        && let Some(inner) = object.values().filter_map(Value::as_object).find(has_message)
    {
        let mut all = object.clone();
        all.extend(inner.clone());
        return of_object(&all);
    }
    let get = |keys: &[&str]| keys.iter().find_map(|key| text(object.get(*key)?));
    let mut prefix = Prefix::none();
    prefix.any = true;
    if let Some(message) = get(&["MESSAGE"]) {
        journal(&mut prefix, &get);
        return Some(Message { prefix, text: message, raw: false });
    }
    let mut message = get(MESSAGES)?;
    // A shipper may call the message something else.
    let is_kernels = |text: &str| anchor::of_kernel(text).is_some();
    let strings = || object.values().filter_map(Value::as_str);
    if !is_kernels(&message) && strings().any(is_kernels) {
        return None;
    }
    // Docker's, which cuts what is longer than 16 KiB.
    prefix.partial = object.contains_key("stream") && !message.ends_with('\n');
    if let Some(error) = get(&["error", "err"]) {
        message = format!("{} error={error}", message.trim_end());
    }
    message.push_str(&pod(object, &get).unwrap_or_default());
    if let Some(id) = get(&["container_id", "containerID", "containerId"]).filter(|id| is_id(id)) {
        message.push_str(" container_id=");
        message.push_str(&id);
    }
    let time = get(&[
        "time",
        "@timestamp",
        "timestamp",
        "ts",
        "lastTimestamp",
        "eventTime",
        "firstTimestamp",
    ]);
    prefix.time.wall = time.and_then(|time| wall(&time));
    prefix.host = get(&["host", "hostname", "_HOSTNAME"]);
    if let Some(name) = get(&["SYSLOG_IDENTIFIER", "ident", "program", "programname", "appname"]) {
        prefix.origin = origin(&name, get(&["pid", "procid"]));
    }
    Some(Message { prefix, text: message, raw: true })
}

/// The pod that a message is about, in the form in which kubelet's text names one: kubelet's own
/// `pod`, an event's `involvedObject`. What a shipper adds of who logged the line is none.
fn pod(object: &Map<String, Value>, get: &dyn Fn(&[&str]) -> Option<String>) -> Option<String> {
    let about = ["involvedObject", "regarding", "pod"].iter().find_map(|key| object.get(*key))?;
    let field = |key: &str| about.get(key).and_then(Value::as_str);
    if let Some(kind) = field("kind")
        && kind != "Pod"
    {
        return None;
    }
    let name = match about {
        Value::String(name) => name.clone(),
        _ => format!("{}/{}", field("namespace").unwrap_or_default(), field("name")?),
    };
    let uid = field("uid").map(str::to_owned).or_else(|| get(&["podUID"]));
    let uid = uid.map(|uid| format!(" podUID=\"{uid}\"")).unwrap_or_default();
    Some(format!(" pod=\"{name}\"{uid}"))
}

/// A date, or seconds or milliseconds since 1970.
fn wall(time: &str) -> Option<Wall> {
    if let Ok(wall) = date::iso(&mut { time }) {
        return Some(wall);
    }
    let (whole, _) = time.split_once('.').unwrap_or((time, ""));
    let number: i64 = whole.parse().ok()?;
    let millis = if whole.len() >= 13 { number } else { number.checked_mul(1000)? };
    // What is no time of this century is another number.
    let plausible = (1_000_000_000_000..4_000_000_000_000).contains(&millis);
    let stamp = plausible.then(|| Timestamp::from_millisecond(millis).ok())?;
    stamp.map(Wall::Timestamp)
}

/// The fields that journald gives a message.
pub(crate) fn journal(prefix: &mut Prefix, get: &dyn Fn(&[&str]) -> Option<String>) {
    prefix.any = true;
    let micros = |keys: &[&str]| get(keys)?.parse::<u64>().ok();
    // Not `__MONOTONIC_TIMESTAMP`, which is when it was received.
    prefix.time.boot = micros(&["_SOURCE_MONOTONIC_TIMESTAMP"]).map(Duration::from_micros);
    let wall = micros(&["_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP"]);
    let stamp = wall
        .and_then(|micros| i64::try_from(micros).ok())
        .and_then(|micros| Timestamp::from_microsecond(micros).ok());
    prefix.time = LogTime { wall: stamp.map(Wall::Timestamp), ..prefix.time };
    prefix.host = get(&["_HOSTNAME"]);
    let name = get(&["SYSLOG_IDENTIFIER", "_COMM"]);
    prefix.origin = match (get(&["_TRANSPORT"]).as_deref(), name) {
        (Some("kernel"), _) => Origin::Kernel,
        (_, Some(name)) => origin(&name, get(&["SYSLOG_PID", "_PID"])),
        (_, None) => Origin::Unknown,
    };
}

fn origin(name: &str, pid: Option<String>) -> Origin {
    match name {
        "kernel" => Origin::Kernel,
        _ => Origin::Program { name: name.to_owned(), pid: pid.and_then(|pid| pid.parse().ok()) },
    }
}

/// A value as text. journald prints what isn't UTF-8 as an array of bytes, and a field that was
/// given several times as an array of values.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(values) => {
            let byte = |value: &Value| value.as_u64().and_then(|n| u8::try_from(n).ok());
            match values.iter().map(byte).collect::<Option<Vec<u8>>>() {
                Some(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
                None => text(values.first()?),
            }
        }
        _ => None,
    }
}
