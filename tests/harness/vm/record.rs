//! Writes the guest's lines to files, by stream.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use super::protocol::Line;

/// File names and the streams that go into them.
const FILES: &[(&str, &[&str])] = &[
    ("fragwatch.out", &["fragwatch-out"]),
    ("fragwatch.err", &["fragwatch-err"]),
    ("scenario.log", &["node", "runc", "runtime", "journal", "error", "exit"]),
    ("dmesg.log", &["dmesg"]),
    ("measure.json", &["measure", "measure-later"]),
    ("overhead.jsonl", &["overhead"]),
    ("forecast.jsonl", &["forecast"]),
    ("truth.jsonl", &["truth", "outcome", "storm"]),
    ("package.jsonl", &["package"]),
    ("capabilities.txt", &["capabilities"]),
    ("extfrag_index.txt", &["extfrag_index"]),
    ("buddyinfo.txt", &["buddyinfo"]),
    ("zoneinfo.txt", &["zoneinfo"]),
    ("capture.jsonl", &["capture"]),
    ("metrics.txt", &["http-metrics"]),
    ("status.json", &["http-status"]),
    ("page.html", &["http-page"]),
    ("events.txt", &["http-events"]),
    ("replay.jsonl", &["replay"]),
];

/// The open files of a run.
pub(super) struct Recorder {
    files: Vec<(File, &'static [&'static str])>,
}

impl Recorder {
    /// Creates the files, empty.
    pub(super) fn new(directory: &Path) -> Result<Self> {
        let open = |(name, streams): &(&str, &'static [&'static str])| {
            let path = directory.join(name);
            let file =
                File::create(&path).with_context(|| format!("can't create {}", path.display()))?;
            Ok((file, *streams))
        };
        Ok(Self { files: FILES.iter().map(open).collect::<Result<_>>()? })
    }

    /// Appends a line to its file. Files with several streams have the time and the stream too.
    pub(super) fn write(&mut self, line: &Line) -> Result<()> {
        for (file, streams) in &mut self.files {
            if streams.contains(&line.stream.as_str()) {
                let written = if streams.len() > 1 {
                    writeln!(file, "{:>7} {} {}", line.ms, line.stream, line.text)
                } else {
                    writeln!(file, "{}", line.text)
                };
                written.context("can't write the guest's lines: is the disk full?")?;
            }
        }
        Ok(())
    }
}
