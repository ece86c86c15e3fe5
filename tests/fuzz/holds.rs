//! What holds of `fragwatch explain` for any log. The targets here try it on what the fuzzer makes
//! up, the agent's tests on the corpus.
use std::{
    io::{self, Cursor, Read},
    iter,
    sync::Arc,
};

use fragwatch_core::{
    model::{incident::Incident, log_stats::Stats},
    report::{Format, Json, Text},
};
use fragwatch_klog::{
    assemble::Assembler,
    explain::Explainer,
    lines::Lines,
    tree::{Facts, Stream},
};
use jiff::tz::TimeZone;

/// Nothing panics, all of the report is text without control characters, and each line of JSON is
/// an object.
pub(crate) fn report(log: &[u8]) {
    let mut text = Vec::new();
    explain(log, &mut Text::new(&mut text, TimeZone::UTC));
    let text = String::from_utf8(text).expect("a report is UTF-8");
    assert_harmless(&without_styles(&text));

    let mut json = Vec::new();
    explain(log, &mut Json::new(&mut json));
    let json = String::from_utf8(json).expect("a report is UTF-8");
    assert_harmless(&json);
    for line in json.lines() {
        let object: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
        assert!(object["type"].is_string(), "{line}");
    }
}

/// The same is found in a log whether it is read as a whole or in pieces. The log's own bytes are
/// the sizes of the pieces. A byte 1 stands for a long stretch, which the fuzzer would never make.
pub(crate) fn chunks(log: &[u8]) {
    let mut whole = Vec::new();
    for byte in log {
        match byte {
            1 => whole.extend(iter::repeat_n(b'x', 30_000)),
            _ => whole.push(*byte),
        }
    }
    let sizes: Vec<usize> = log.iter().map(|&byte| 1 + usize::from(byte)).collect();
    let pieces = Pieces { log: Cursor::new(whole.clone()), sizes, at: 0 };
    let (in_pieces, at_once) = (found(pieces), found(Cursor::new(whole)));
    // Of damaged compressed data, how much comes out before the damage hangs on how it is fed in.
    if in_pieces.1.compressed_tail_lost && at_once.1.compressed_tail_lost {
        return;
    }
    assert_eq!(in_pieces, at_once);
}

/// Nothing panics whatever comes as an archive, and the report on it is one. Bytes that are no archive
/// become one: each 0xff in them begins another file, whose name ends at the first newline.
pub(crate) fn tree(bytes: &[u8]) {
    tree_report(bytes.to_vec());
    let mut archive = tar::Builder::new(Vec::new());
    for file in bytes.split(|byte| *byte == 0xff) {
        let end = file.iter().position(|byte| *byte == b'\n').unwrap_or(file.len());
        let (name, content) = file.split_at(end);
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        let kinds = [
            tar::EntryType::Regular,
            tar::EntryType::Regular,
            tar::EntryType::Regular,
            tar::EntryType::Symlink,
            tar::EntryType::Directory,
            tar::EntryType::GNUSparse,
            tar::EntryType::GNULongName,
            tar::EntryType::XHeader,
        ];
        header.set_entry_type(kinds[usize::from(name.first().copied().unwrap_or(0)) % kinds.len()]);
        let name_field = &mut header.as_old_mut().name;
        let length = name.len().min(name_field.len());
        name_field[..length].copy_from_slice(&name[..length]);
        header.set_cksum();
        archive.append(&header, content).expect("memory can be written");
    }
    tree_report(archive.into_inner().expect("memory can be written"));
}

fn tree_report(archive: Vec<u8>) {
    let Ok(Stream::Archive(tree)) = Stream::open("a.tar", Cursor::new(archive)) else { return };
    let mut json = Vec::new();
    let mut report = Json::new(&mut json);
    let mut explainer = Explainer::new(&mut report, Arc::default(), None, Vec::new());
    explainer.read_tree(tree, &Facts::default()).expect("memory can be written");
    explainer.finish().expect("memory can be written");
    let json = String::from_utf8(json).expect("a report is UTF-8");
    assert_harmless(&json);
    for line in json.lines() {
        let object: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
        assert!(object["type"].is_string(), "{line}");
    }
}

fn explain(log: &[u8], report: &mut dyn Format) {
    let mut explainer = Explainer::new(report, Arc::default(), None, Vec::new());
    // Damaged compressed data is an error of the log's, which is reported as that.
    let _ = explainer.read("log", Cursor::new(log.to_vec())).expect("memory can be written");
    explainer.finish().expect("memory can be written");
}

fn found(input: impl Read + Send + 'static) -> (Vec<Incident>, Stats) {
    let mut assembler = Assembler::new(None, Vec::new());
    let mut incidents = Vec::new();
    // Without deadlines: what is found must not hang on how busy the machine is.
    let mut lines = Lines::new(input);
    for line in lines.by_ref().map_while(Result::ok) {
        incidents.extend(assembler.push(&line));
    }
    incidents.extend(assembler.flush());
    (incidents, lines.stats().clone())
}

/// A log that comes in pieces.
struct Pieces {
    log: Cursor<Vec<u8>>,
    sizes: Vec<usize>,
    at: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(size) = self.sizes.get(self.at % self.sizes.len().max(1)) else { return Ok(0) };
        self.at += 1;
        let size = buffer.len().min(*size);
        self.log.read(&mut buffer[..size])
    }
}

fn assert_harmless(text: &str) {
    let odd = text.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(odd, None, "{text:?}");
}

/// The report's own colours, taken off.
fn without_styles(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, style)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        let after = style.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        rest = after.strip_prefix('m').expect("a style ends with m");
    }
    plain + rest
}
