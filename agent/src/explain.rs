//! `fragwatch explain`: a report from kernel and runtime logs. Needs no privileges.
use std::{
    fmt::Display,
    fs::File,
    io::{self, BufRead as _, BufReader, Read},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context as _;
use fragwatch_core::{model::node::Buddyinfo, report::Format};
use fragwatch_klog::{
    explain::Explainer,
    parse::{self, Message},
};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::{cli::ExplainArgs, output};

/// Largest file that is taken for a copy of /proc/buddyinfo, in bytes; a larger one is a log.
const BUDDYINFO_MAX: u64 = 1 << 20;

/// Whether all inputs were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExplainResult {
    /// All of them to their end, or until stdout was closed.
    Complete,
    /// Some could not be read, or not to their end.
    Partial,
}

/// Reads the logs and writes the report to standard output; errors about single logs go to standard
/// error.
///
/// # Errors
/// If the report can't be written or signal handlers can't be installed.
pub fn run(args: &ExplainArgs) -> anyhow::Result<ExplainResult> {
    let mut report = output::to_stdout(args.format);
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))
            .context("could not wait for signals")?;
    }
    match explain(args, report.as_mut(), &stop) {
        Ok(unread) if unread != 0 => Ok(ExplainResult::Partial),
        Ok(_) => Ok(ExplainResult::Complete),
        // stdout was closed.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExplainResult::Complete),
        Err(error) => Err(error).context("could not write the report to standard output"),
    }
}

/// Returns how many logs could not be read to their end.
fn explain(args: &ExplainArgs, report: &mut dyn Format, stop: &Arc<AtomicBool>) -> io::Result<u64> {
    // Copies of /proc/buddyinfo are read first, because all incidents refer to them.
    let mut buddyinfo = Vec::new();
    let mut logs: Vec<&str> = Vec::new();
    for file in &args.files {
        match read_buddyinfo(file) {
            Some(zones) => buddyinfo.extend(zones),
            None => logs.push(file),
        }
    }
    if args.files.is_empty() {
        logs.push("-");
    }
    let others = if logs.len() > 1 { "; the other logs are read" } else { "" };
    let not_read = |file: &str, why: &dyn Display| {
        let name = if file == "-" { "standard input" } else { file };
        anstream::eprintln!("fragwatch: could not read {name}: {why}{others}");
    };
    let mut explainer = Explainer::new(report, Arc::clone(stop), args.kernel.clone(), buddyinfo);
    for file in logs {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        match open(file) {
            Ok(input) => {
                if let Some(error) = explainer.read(file, input)? {
                    not_read(file, &error);
                }
            }
            Err(error) => {
                explainer.not_read();
                not_read(file, &error);
            }
        }
    }
    explainer.finish()
}

fn open(file: &str) -> io::Result<Box<dyn Read + Send>> {
    if file == "-" {
        return Ok(Box::new(io::stdin()));
    }
    let opened = File::open(file)?;
    if opened.metadata()?.is_dir() {
        return Err(io::Error::other("it is a directory: name the logs in it"));
    }
    Ok(Box::new(opened))
}

/// The zones in a copy of /proc/buddyinfo; `None` if the file's first line is not a zone.
fn read_buddyinfo(file: &str) -> Option<Vec<Buddyinfo>> {
    let small =
        |path: &Path| path.metadata().is_ok_and(|m| m.is_file() && m.len() <= BUDDYINFO_MAX);
    if file == "-" || !small(Path::new(file)) {
        return None;
    }
    let lines = BufReader::new(File::open(file).ok()?).lines().map_while(Result::ok);
    let mut zones = Vec::new();
    for line in lines.filter(|line| !line.trim().is_empty()) {
        match parse::parse_kernel(&line) {
            Some(Message::Buddyinfo(zone, blocks)) => {
                zones.push(Buddyinfo { node: zone.node, name: zone.name, blocks });
            }
            _ if zones.is_empty() => return None,
            _ => {}
        }
    }
    (!zones.is_empty()).then_some(zones)
}
