//! `cargo xtask vm`: boots a kernel in a virtual machine and runs a scenario beside fragwatch.

pub mod accel;
pub mod cpio;
pub mod initramfs;
pub mod protocol;
pub mod qemu;
pub mod record;
pub mod runtimes;
pub mod scenario;

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::setup::{disk, kernel};
use crate::{build, paths, setup};
use protocol::Line;
use qemu::{Machine, Next};
use record::Recorder;

/// What `cargo xtask vm` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Which kernel to boot
    #[arg(long, default_value = kernel::DEFAULT)]
    pub kernel: String,
    /// What happens on the node; a wrong name lists those there are
    #[arg(long)]
    pub scenario: String,
    /// Which cgroup hierarchies the node has, v2's unless the scenario needs others; v1's need a
    /// kernel before 6.12
    #[arg(long, value_enum)]
    pub cgroups: Option<Cgroups>,
    /// Run fragwatch as an unprivileged user with these capabilities alone, such as
    /// CAP_BPF,CAP_PERFMON
    #[arg(long)]
    pub capabilities: Option<String>,
    /// Seconds after which the machine is killed, 300 for most scenarios
    #[arg(long)]
    pub deadline: Option<u64>,
    /// More for the kernel's command line, such as lockdown=integrity
    #[arg(long, default_value = "")]
    pub append: String,
    /// Arguments for fragwatch; `trace` unless given
    #[arg(last = true)]
    pub args: Vec<String>,
}

/// One run of one scenario.
pub struct Request {
    /// A series of [`kernel::SERIES`].
    pub kernel: String,
    /// One of [`scenario::SCENARIOS`].
    pub scenario: String,
    /// What the kernel's command line ends with.
    pub append: String,
    /// What fragwatch is called with.
    pub args: Vec<String>,
    /// How the node's cgroups are mounted.
    pub cgroups: Cgroups,
    /// Run fragwatch as an unprivileged user with these capabilities alone, names separated by
    /// commas; as root if not set.
    pub capabilities: Option<String>,
    /// Whether fragwatch shall colour its output.
    pub colour: bool,
    /// How many containers each runtime starts before memory is fragmented, where the scenario asks.
    pub containers: u32,
    /// How long the machine may live.
    pub deadline: Duration,
    /// The name of the directory of results, under `target/vm/<kernel>`.
    pub results: String,
}

/// How a node's cgroups are mounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Cgroups {
    /// One hierarchy for everything.
    #[default]
    V2,
    /// One hierarchy per controller, and v2's without controllers beside them, as in systemd's
    /// hybrid mode.
    V1,
}

impl Cgroups {
    /// What the command line and the guest call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V1 => "v1",
        }
    }
}

/// What there is to see while it runs.
pub enum Event<'a> {
    /// Something the host does.
    Progress(&'a str),
    /// QEMU runs, as this process.
    Booted(u32),
    /// The guest said something.
    Line(&'a Line),
    /// The guest has said nothing for this long.
    Silence(Duration),
}

/// How it went.
pub struct Run {
    /// fragwatch's exit code.
    pub exit_code: u8,
    /// All that the guest said, in order.
    pub lines: Vec<Line>,
    /// Where the files are.
    pub directory: PathBuf,
}

impl Run {
    /// What was said on one stream, in order.
    pub fn stream<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines.iter().filter(move |line| line.stream == name).map(|line| line.text.as_str())
    }
}

impl Request {
    /// A scenario with `fragwatch trace`, and with what that scenario needs; if it is not known,
    /// [`run`] says so.
    #[must_use]
    pub fn new(kernel: &str, scenario: &str) -> Self {
        let known = scenario::find(scenario).ok();
        Self {
            kernel: kernel.to_owned(),
            scenario: scenario.to_owned(),
            append: known.map_or("", |scenario| scenario.append).to_owned(),
            args: vec!["trace".to_owned()],
            cgroups: known.map_or(Cgroups::V2, |scenario| scenario.cgroups),
            capabilities: None,
            colour: false,
            containers: 10,
            deadline: known.map_or(Duration::from_mins(5), |scenario| scenario.deadline),
            results: scenario.to_owned(),
        }
    }
}

/// The kernel panicked before there was a process 1; worth a second try.
#[derive(Debug, Clone, Copy)]
struct EarlyPanic;

impl std::fmt::Display for EarlyPanic {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("the guest's kernel panicked before init")
    }
}

/// Somebody wants it to end; nothing else shall be begun.
#[derive(Debug, Clone, Copy)]
pub struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("interrupted: the virtual machine was killed")
    }
}

impl std::error::Error for Interrupted {}

/// The command: fragwatch's stdout is ours, everything else goes to stderr.
pub fn command(args: &Args) -> Result<ExitCode> {
    let mut request = Request::new(&args.kernel, &args.scenario);
    if !args.args.is_empty() {
        request.args.clone_from(&args.args);
    }
    if let Some(cgroups) = args.cgroups.filter(|cgroups| *cgroups != request.cgroups) {
        request.cgroups = cgroups;
        request.results.push('-');
        request.results.push_str(cgroups.name());
    }
    request.capabilities.clone_from(&args.capabilities);
    request.append = format!("{} {}", request.append, args.append);
    request.colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if let Some(seconds) = args.deadline {
        request.deadline = Duration::from_secs(seconds);
    }
    // A wrong name is told before anything is installed or built.
    let series = kernel::series(&request.kernel)?;
    let scenario = scenario::find(&request.scenario)?;
    setup::with_kernel(series)?;
    if scenario.disk {
        disk::make(series)?;
    }
    // What is asked of this scenario is a table; its lines are in the files.
    let table = request.scenario == scenario::RUNTIMES && args.args.is_empty();
    if table {
        request.args = runtimes::ARGS.map(str::to_owned).to_vec();
    }
    let run = run(&request, &mut |event| match event {
        Event::Line(line) if table && line.stream == "fragwatch-out" => {}
        // A reader that went away doesn't end the run: its results are kept in files too.
        Event::Line(line) if line.stream == "fragwatch-out" => {
            drop(writeln!(io::stdout(), "{}", line.text));
        }
        event => show_progress(&event),
    })?;
    eprintln!("==> results are in {}", run.directory.display());
    if table && run.exit_code == 0 {
        return runtimes::report(&run);
    }
    Ok(ExitCode::from(run.exit_code))
}

/// Shows on stderr what happens, but not what fragwatch reports.
pub(crate) fn show_progress(event: &Event) {
    match event {
        Event::Progress(text) => eprintln!("==> {text}"),
        Event::Line(line) => match line.stream.as_str() {
            "fragwatch-err" => eprintln!("{}", line.text),
            "node" | "runc" | "runtime" => eprintln!("    {} │ {}", line.stream, line.text),
            _ => {}
        },
        Event::Booted(_) | Event::Silence(_) => {}
    }
}

/// Builds what is needed, boots, and stays until the machine is gone.
pub fn run(request: &Request, observe: &mut dyn FnMut(Event)) -> Result<Run> {
    let series = kernel::series(&request.kernel)?;
    let scenario = scenario::find(&request.scenario)?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let kernel = kernel::unpacked(series)?;
    build::fragwatch(true)?;
    let programs = initramfs::Programs {
        fragwatch: paths::target().join("release/fragwatch"),
        guest: build::guest()?,
        modules: build::kernel_modules(&kernel)?,
    };
    // From here on Ctrl-C must find somebody who kills QEMU.
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))
            .context("can't watch for Ctrl-C")?;
    }
    let directory = paths::target().join("vm").join(series.name).join(&request.results);
    // Results of another run would only mislead.
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory)
        .with_context(|| format!("can't create {}", directory.display()))?;
    let initramfs = directory.join("initramfs.cpio");
    initramfs::write(&initramfs, &programs, request, scenario)?;
    let boot = qemu::Boot {
        image: kernel.image.clone(),
        initramfs: Some(initramfs),
        disk: if scenario.disk { Some(disk::made(series)?) } else { None },
        memory_mib: scenario.memory_mib,
        append: request.append.clone(),
        accel: accel::choose(&kernel, observe)?,
        directory: directory.clone(),
    };
    observe(Event::Progress(&format!(
        "boot Linux {} with {} MiB ({})",
        kernel.release,
        scenario.memory_mib,
        boot.accel.describe()
    )));
    match follow(request, &boot, &interrupted, observe) {
        Err(error) if error.is::<EarlyPanic>() => {
            observe(Event::Progress("the kernel panicked before init: booting once more"));
            follow(request, &boot, &interrupted, observe)
        }
        result => result,
    }
}

/// One boot, to its end.
fn follow(
    request: &Request,
    boot: &qemu::Boot,
    interrupted: &AtomicBool,
    observe: &mut dyn FnMut(Event),
) -> Result<Run> {
    let mut recorder = Recorder::new(&boot.directory)?;
    let mut lines: Vec<Line> = Vec::new();
    let mut ended = false;
    let started = Instant::now();
    let mut heard = started;
    let mut machine = Machine::boot(boot)?;
    observe(Event::Booted(machine.pid()));
    while !ended {
        match machine.next(Duration::from_millis(100))? {
            Next::Line(text) => {
                heard = Instant::now();
                let line = protocol::parse(&text)?;
                recorder.write(&line)?;
                observe(Event::Line(&line));
                ended = line.stream == "end";
                lines.push(line);
            }
            Next::Silence => observe(Event::Silence(heard.elapsed())),
            // With `panic=-1` a panic ends QEMU too; it is judged below.
            Next::Ended(_) if machine.panic().is_some() => {}
            Next::Ended(how) => bail!(
                "QEMU ended ({how}) before scenario {} did; {}",
                request.scenario,
                machine.console_tail()
            ),
        }
        if interrupted.load(Ordering::Relaxed) {
            return Err(Interrupted.into());
        }
        if let Some(panic) = machine.panic().filter(|_| !ended) {
            let tail = machine.console_tail();
            let error = anyhow!("the guest's kernel gave up ({panic}); {tail}");
            return Err(if lines.is_empty() { error.context(EarlyPanic) } else { error });
        }
        if started.elapsed() > request.deadline {
            bail!(
                "scenario {} was still running after {} s and was killed; {}",
                request.scenario,
                request.deadline.as_secs(),
                machine.console_tail()
            );
        }
    }
    machine.wait_for_power_off();
    let find = |stream: &str| {
        lines.iter().find(|line| line.stream == stream).map(|line| line.text.as_str())
    };
    if let Some(error) = find("error") {
        bail!("scenario {} failed: {error}; see {}", request.scenario, boot.directory.display());
    }
    let exit_code = find("exit")
        .and_then(|code| code.parse().ok())
        .with_context(|| format!("the guest told no exit code; {}", machine.console_tail()))?;
    Ok(Run { exit_code, lines, directory: boot.directory.clone() })
}
