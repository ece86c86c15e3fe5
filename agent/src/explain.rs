//! `fragwatch explain`: a report from kernel and runtime logs. Needs no privileges.
use std::{
    fmt::Display,
    fs::{self, File},
    io,
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
    tree::{self, Facts, Stream, Tree},
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

/// What an argument names.
enum Input<'a> {
    Log(&'a str),
    /// The logs in it, and what the rest of it says of its machines.
    Tree(Tree, Facts),
    Unreadable(&'a str, io::Error),
}

/// Returns how many logs could not be read to their end.
fn explain(args: &ExplainArgs, report: &mut dyn Format, stop: &Arc<AtomicBool>) -> io::Result<u64> {
    // Copies of /proc/buddyinfo are read first, because all incidents refer to them.
    let mut buddyinfo = Vec::new();
    let mut inputs = Vec::new();
    for file in &args.files {
        match read_buddyinfo(file) {
            Some(zones) => buddyinfo.extend(zones),
            None => inputs.push(input(file, stop)),
        }
    }
    if args.files.is_empty() {
        inputs.push(Input::Log("-"));
    }
    let others = if inputs.len() > 1 { "; the other logs are read" } else { "" };
    let not_read = |file: &str, why: &dyn Display| {
        let name = if file == "-" { "standard input" } else { file };
        anstream::eprintln!("fragwatch: could not read {name}: {why}{others}");
    };
    let mut explainer = Explainer::new(report, Arc::clone(stop), args.kernel.clone(), buddyinfo);
    if inputs.len() > 1 {
        explainer.gather();
    }
    for input in inputs {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let (file, opened) = match input {
            Input::Tree(tree, facts) => {
                explainer.read_tree(tree, &facts)?;
                continue;
            }
            Input::Log(file) => (file, open(file)),
            Input::Unreadable(file, error) => (file, Err(error)),
        };
        match opened {
            // It can't be walked twice: what it says of its machines stays unknown.
            Ok(Stream::Archive(tree)) => explainer.read_tree(tree, &Facts::default())?,
            Ok(Stream::Log(input)) => {
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

fn input<'a>(file: &'a str, stop: &AtomicBool) -> Input<'a> {
    if file == "-" {
        return Input::Log(file);
    }
    // It is walked twice: what says which kernel it was may come behind the logs.
    let opened = Tree::open(file).and_then(|tree| {
        let Some(tree) = tree else { return Ok(None) };
        let facts = tree.facts(stop);
        Ok(Tree::open(file)?.map(|tree| (tree, facts)))
    });
    match opened {
        Ok(Some((tree, facts))) => Input::Tree(tree, facts),
        Ok(None) => Input::Log(file),
        Err(error) => Input::Unreadable(file, error),
    }
}

fn open(file: &str) -> io::Result<Stream> {
    if file == "-" {
        return Stream::open(file, io::stdin());
    }
    Ok(Stream::Log(Box::new(File::open(file)?)))
}

/// The zones in a copy of /proc/buddyinfo; `None` if the file's first line is not a zone.
fn read_buddyinfo(file: &str) -> Option<Vec<Buddyinfo>> {
    let metadata = Path::new(file).metadata().ok()?;
    let small = file != "-" && metadata.is_file() && metadata.len() <= BUDDYINFO_MAX;
    let text = small.then(|| fs::read(file).ok()).flatten()?;
    tree::buddyinfo(&String::from_utf8_lossy(&text))
}
