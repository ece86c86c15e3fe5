//! Virtual machines: boots a kernel and runs a scenario beside fragwatch.

pub mod accel;
mod cpio;
mod initramfs;
mod interrupt;
pub mod places;
pub mod protocol;
pub mod qemu;
mod record;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::job::Cgroups;
use crate::overhead::Effort;
use crate::{build, kernel, paths, scenario};
use protocol::Line;
use qemu::{Machine, Next};
use record::Recorder;

pub use interrupt::Interrupted;

/// One run of one scenario.
#[allow(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Request {
    /// A name of [`kernel::SERIES`].
    pub kernel: String,
    /// A name of [`scenario::SCENARIOS`].
    pub scenario: String,
    /// What the kernel's command line ends with.
    pub append: String,
    /// fragwatch's arguments.
    pub args: Vec<String>,
    /// How the node's cgroups are mounted.
    pub cgroups: Cgroups,
    /// fragwatch runs as an unprivileged user with these capabilities alone, names separated by
    /// commas; as root if not set.
    pub capabilities: Option<String>,
    /// Whether fragwatch colours its output.
    pub colour: bool,
    /// How many containers each runtime starts before memory is fragmented, in scenario `runtimes`.
    pub containers: u32,
    /// The machine is killed after this time.
    pub deadline: Duration,
    /// Whether instructions are counted instead of time; see [`accel::Accel::Counted`].
    pub counted: bool,
    /// How much scenarios `overhead` and `soak` measure.
    pub effort: Effort,
    /// The fragwatch that runs; without one it is built.
    pub program: Option<PathBuf>,
    /// Another fragwatch that scenario `overhead` compares with.
    pub before: Option<PathBuf>,
    /// The root holds process 1, fragwatch and the test modules, and not a single library.
    pub bare: bool,
    /// Whether it compares with bpftrace too.
    pub bpftrace: bool,
    /// A port of this machine's loopback interface that is forwarded to the guest's fragwatch.
    pub port: Option<u16>,
    /// The name of the directory of results, under `target/vm/<kernel>`.
    pub results: String,
}

/// What happens while a machine runs.
pub enum Event<'a> {
    /// A step of the host.
    Progress(&'a str),
    /// QEMU runs, as this process.
    Booted(u32),
    /// The guest sent a line.
    Line(&'a Line),
    /// The guest has sent nothing for this long.
    Silence(Duration),
}

/// The outcome of a run.
pub struct Run {
    /// fragwatch's exit code.
    pub exit_code: u8,
    /// All lines of the guest, in order.
    pub lines: Vec<Line>,
    /// The directory with the same in files.
    pub directory: PathBuf,
}

impl Run {
    /// The lines of one stream, in order.
    pub fn stream<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines.iter().filter(move |line| line.stream == name).map(|line| line.text.as_str())
    }
}

impl Request {
    /// A scenario with `fragwatch trace`, and with what that scenario needs; if it is not known,
    /// [`run`] fails with its name.
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
            deadline: known.map_or(scenario::DEADLINE, |scenario| scenario.deadline),
            counted: false,
            effort: Effort::default(),
            program: None,
            before: None,
            bare: false,
            bpftrace: false,
            port: None,
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

/// Shows on stderr what happens, but not fragwatch's report.
pub fn show_progress(event: &Event) {
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

/// Builds what is needed, boots, and returns when the machine is gone. Several may run side by side,
/// in one process or in many; two with the same directory of results run one after the other.
pub fn run(request: &Request, observe: &mut dyn FnMut(Event)) -> Result<Run> {
    let series = kernel::series(&request.kernel)?;
    let scenario = scenario::find(&request.scenario)?;
    let kernel = kernel::unpacked(series)?;
    let programs = build::programs(&kernel, request.program.as_deref())?;
    // From here on Ctrl-C must end QEMU too.
    interrupt::watch()?;
    let directory = paths::target().join("vm").join(series.name).join(&request.results);
    let _lock = lock(&directory, observe)?;
    // Results of another run would only mislead.
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory)
        .with_context(|| format!("can't create {}", directory.display()))?;
    let initramfs = directory.join("initramfs.cpio");
    initramfs::write(&initramfs, &kernel, &programs, request, scenario)?;
    let boot = qemu::Boot {
        image: kernel.image.clone(),
        initramfs: Some(initramfs),
        disk: scenario.disk.map(|disk| disk.made(series)).transpose()?,
        memory_mib: scenario.memory_mib,
        nodes: scenario.nodes,
        append: request.append.clone(),
        port: request.port,
        accel: if request.counted {
            accel::Accel::Counted
        } else {
            accel::choose(&kernel, observe)?
        },
        directory: directory.clone(),
    };
    observe(Event::Progress(&format!(
        "boot Linux {} with {} MiB ({})",
        kernel.release,
        scenario.memory_mib,
        boot.accel.describe()
    )));
    match follow(request, &boot, observe) {
        Err(error) if error.is::<EarlyPanic>() => {
            observe(Event::Progress("the kernel panicked before init: booting once more"));
            follow(request, &boot, observe)
        }
        result => result,
    }
}

/// Holds a directory of results until the file is dropped.
fn lock(directory: &Path, observe: &mut dyn FnMut(Event)) -> Result<File> {
    let path = directory.with_added_extension("lock");
    let cannot = || format!("can't lock {}", path.display());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(cannot)?;
    }
    let file = File::create(&path).with_context(cannot)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            observe(Event::Progress(&format!(
                "another run writes to {}: waiting for its end",
                directory.display()
            )));
            file.lock().with_context(cannot)?;
        }
        Err(TryLockError::Error(error)) => return Err(error).with_context(cannot),
    }
    Ok(file)
}

/// One boot, to its end.
fn follow(request: &Request, boot: &qemu::Boot, observe: &mut dyn FnMut(Event)) -> Result<Run> {
    let mut recorder = Recorder::new(&boot.directory)?;
    let mut lines: Vec<Line> = Vec::new();
    let mut ended = false;
    let started = Instant::now();
    let mut last_line = started;
    let mut machine = Machine::boot(boot)?;
    observe(Event::Booted(machine.pid()));
    while !ended {
        match machine.next(Duration::from_millis(100))? {
            Next::Line(text) => {
                last_line = Instant::now();
                let line = protocol::parse(&text)?;
                recorder.write(&line)?;
                observe(Event::Line(&line));
                ended = line.stream == "end";
                lines.push(line);
            }
            Next::Silence => observe(Event::Silence(last_line.elapsed())),
            // With `panic=-1` a panic ends QEMU too; it is judged below.
            Next::Ended(_) if machine.panic().is_some() => {}
            Next::Ended(how) => bail!(
                "QEMU ended ({how}) before scenario {} did; {}",
                request.scenario,
                machine.console_tail()
            ),
        }
        interrupt::check()?;
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
        .with_context(|| format!("the guest sent no exit code; {}", machine.console_tail()))?;
    Ok(Run { exit_code, lines, directory: boot.directory.clone() })
}
