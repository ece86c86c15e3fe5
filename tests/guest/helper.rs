//! Children of process 1 that take something and hold it until the machine ends.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

/// The line of a helper that holds all it should take.
const DONE: &str = "done";

/// Starts this program again, with other arguments, and waits until it holds what it should.
pub(crate) fn start(args: &[&str]) -> Result<()> {
    let mut child = Command::new("/proc/self/exe")
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("can't start the helper {args:?}"))?;
    let stdout = child.stdout.take().context("the helper has no stdout")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).context("can't read from the helper")?;
    if line.trim() != DONE {
        bail!("the helper {args:?} ended early, {}; its error is on the console", child.wait()?);
    }
    Ok(())
}

/// The end of each helper: prints [`DONE`], and holds what it took.
pub(crate) fn stay() -> Result<()> {
    println!("{DONE}");
    std::io::stdout().flush().context("can't print that all is done")?;
    loop {
        thread::park();
    }
}
