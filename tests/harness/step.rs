//! Runs programs as named steps: their output is passed on, and a line of progress appears when they
//! are silent.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::paths;

/// After so much silence a line of progress appears.
pub const SILENCE: Duration = Duration::from_secs(4);

/// Runs a program; its stdout and stderr both go to stderr.
pub fn run(name: &str, command: &mut Command) -> Result<()> {
    pass_on(name, command, false)
}

/// Runs a program whose stdout is what the user asked for.
pub fn run_to_stdout(name: &str, command: &mut Command) -> Result<()> {
    pass_on(name, command, true)
}

/// `cargo`, in the repository, in colour where stderr is a terminal.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    command.current_dir(paths::root());
    colour(&mut command);
    command
}

/// Has cargo write in colour although its output goes through us.
pub fn colour(command: &mut Command) {
    let wanted = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    command.env("CARGO_TERM_COLOR", if wanted { "always" } else { "never" });
}

/// The stdout of a short query, whatever its exit code.
pub fn output<S: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = S>) -> Result<String> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .with_context(|| format!("can't run {program}: is it installed?"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn pass_on(name: &str, command: &mut Command, to_stdout: bool) -> Result<()> {
    let started = Instant::now();
    eprintln!("==> {name}");
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{name}: can't run {program}: is it installed?"))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let last_output = AtomicU64::new(0);
    let record_output =
        || last_output.store(started.elapsed().as_millis() as u64, Ordering::Relaxed);
    let status = thread::scope(|scope| {
        if let Some(stderr) = stderr {
            scope.spawn(|| copy(stderr, false, record_output));
        }
        if let Some(stdout) = stdout {
            scope.spawn(move || copy(stdout, to_stdout, record_output));
        }
        loop {
            if let Some(status) = child.try_wait()? {
                return io::Result::Ok(status);
            }
            let last = Duration::from_millis(last_output.load(Ordering::Relaxed));
            if started.elapsed().saturating_sub(last) > SILENCE {
                eprintln!("    … {name}, {} s", started.elapsed().as_secs());
                record_output();
            }
            thread::sleep(Duration::from_millis(20));
        }
    })
    .with_context(|| format!("{name}: can't wait for {program}"))?;
    if !status.success() {
        bail!("{name} failed: {program}, {status}; its output is above");
    }
    eprintln!("    {name}: done in {:.1} s", started.elapsed().as_secs_f32());
    Ok(())
}

fn copy(pipe: impl Read, to_stdout: bool, record_output: impl Fn()) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    while matches!(pipe.read_until(b'\n', &mut line), Ok(length) if length > 0) {
        record_output();
        if to_stdout {
            // A reader that went away is no reason to stop building.
            let _ = io::stdout().lock().write_all(&line);
        } else {
            // The macro, so that a test's output is captured.
            eprint!("{}", String::from_utf8_lossy(&line));
        }
        line.clear();
    }
}
