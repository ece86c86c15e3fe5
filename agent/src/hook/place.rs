//! Putting one program in its place, by each way that the kernel has for it.
use std::{error::Error, fs, io, path::Path};

use aya::{
    Btf, Ebpf,
    programs::{
        FEntry, FExit, KProbe, PerfEvent, Program, ProgramError, TracePoint,
        perf_event::{BreakpointConfig, PerfEventConfig, PerfEventScope, SamplePolicy},
    },
    util::online_cpus,
};
use nix::sys::statfs::{TRACEFS_MAGIC, statfs};

/// Why a program could not be put in place.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttachError {
    /// The function is not there under any name.
    #[error("this kernel has no function {0}")]
    NoFunction(String),
    /// There are two of that name.
    #[error("this kernel has more than one function {0}")]
    Ambiguous(String),
    /// Its address is hidden.
    #[error("the address of {0} is not known: /proc/kallsyms hides it")]
    NoAddress(String),
    /// The function takes other arguments.
    #[error("{function} takes {found} arguments on this kernel, not {expected}")]
    OtherPrototype {
        /// Which function.
        function: String,
        /// How many arguments it takes.
        found: u32,
        /// How many the programs rely on.
        expected: u32,
    },
    /// The kernel said no.
    #[error("the kernel refused {what} on {function}: {reason}")]
    Refused {
        /// `fentry`, `kprobe`, …
        what: &'static str,
        /// Which function.
        function: String,
        /// What it answered.
        reason: String,
    },
    /// tracefs is not there.
    #[error(
        "tracefs, which {0} is to be found in, is not mounted: mount -t tracefs tracefs \
         /sys/kernel/tracing"
    )]
    NoTracefs(String),
    /// tracefs is root's alone.
    #[error(
        "could not look for {function} in /sys/kernel/tracing: {reason}; only root \
         may, and who has CAP_DAC_READ_SEARCH"
    )]
    ClosedTracefs {
        /// Which tracepoint.
        function: String,
        /// What the kernel answered.
        reason: io::Error,
    },
    /// tracefs is there with nothing in it.
    #[error("tracefs is empty, as lockdown=confidentiality leaves it, and has no {0}")]
    EmptyTracefs(String),
    /// A tracepoint's record is not described as the programs read it.
    #[error("this kernel's BTF has no {0} as it is known")]
    NoRecord(&'static str),
    /// No tracepoint shows it, and nothing else was asked for.
    #[error("no tracepoint shows it")]
    NoTracepoint,
    /// The kernel programs lack it: agent and programs are not of one build.
    #[error("the kernel side has no program {0}")]
    NoProgram(&'static str),
}

fn program<'a, T>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut T, AttachError>
where
    &'a mut T: TryFrom<&'a mut Program, Error = ProgramError>,
{
    ebpf.program_mut(name)
        .and_then(|program| program.try_into().ok())
        .ok_or(AttachError::NoProgram(name))
}

pub(super) fn fentry(
    ebpf: &mut Ebpf,
    name: &'static str,
    function: &str,
    btf: &Btf,
) -> Result<(), AttachError> {
    let program: &mut FEntry = program(ebpf, name)?;
    program
        .load(function, btf)
        .and_then(|()| program.attach())
        .map(drop)
        .map_err(|error| refused("fentry", function, &error))
}

pub(super) fn fexit(
    ebpf: &mut Ebpf,
    name: &'static str,
    function: &str,
    btf: &Btf,
) -> Result<(), AttachError> {
    let program: &mut FExit = program(ebpf, name)?;
    program
        .load(function, btf)
        .and_then(|()| program.attach())
        .map(drop)
        .map_err(|error| refused("fexit", function, &error))
}

pub(super) fn kprobe(
    ebpf: &mut Ebpf,
    name: &'static str,
    what: &'static str,
    function: &str,
) -> Result<(), AttachError> {
    let program: &mut KProbe = program(ebpf, name)?;
    let loaded = match program.load() {
        // Loaded for an earlier candidate, which then could not be attached.
        Err(ProgramError::AlreadyLoaded) => Ok(()),
        other => other,
    };
    loaded
        .and_then(|()| program.attach(function, 0))
        .map(drop)
        .map_err(|error| refused(what, function, &error))
}

/// Breaks at an address on every CPU that is online now, or on none.
pub(super) fn breakpoint(
    ebpf: &mut Ebpf,
    name: &'static str,
    function: &str,
    address: u64,
) -> Result<(), AttachError> {
    let what = "an execution breakpoint";
    let cpus = online_cpus().map_err(|(path, error)| AttachError::Refused {
        what,
        function: function.to_owned(),
        reason: format!("could not read {path}: {error}"),
    })?;
    let program: &mut PerfEvent = program(ebpf, name)?;
    let attached = program.load().and_then(|()| {
        cpus.into_iter().try_for_each(|cpu| {
            let config = PerfEventConfig::Breakpoint(BreakpointConfig::Instruction { address });
            let scope = PerfEventScope::AllProcessesOneCpu { cpu };
            program.attach(config, scope, SamplePolicy::Period(1), false).map(drop)
        })
    });
    attached.map_err(|error| {
        let error = refused(what, function, &error);
        unload(ebpf, name);
        error
    })
}

pub(super) fn tracepoint(
    ebpf: &mut Ebpf,
    name: &'static str,
    category: &str,
    event: &str,
) -> Result<(), AttachError> {
    let function = format!("{category}:{event}");
    check_tracefs(&function)?;
    let program: &mut TracePoint = program(ebpf, name)?;
    program
        .load()
        .and_then(|()| program.attach(category, event))
        .map(drop)
        .map_err(|error| refused("a tracepoint", &function, &error))
}

/// Where aya looks for tracefs.
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Says why a tracepoint can't be found, where that is not about this one.
fn check_tracefs(function: &str) -> Result<(), AttachError> {
    let function = function.to_owned();
    let looked = TRACEFS.map(|directory| fs::exists(Path::new(directory).join("events")));
    match looked {
        [Ok(true), _] | [_, Ok(true)] => Ok(()),
        [Err(reason), _] => Err(AttachError::ClosedTracefs { function, reason }),
        // Only root may look into debugfs, be there a tracefs in it or not.
        [Ok(false), _] if TRACEFS.iter().any(|directory| is_tracefs(directory)) => {
            Err(AttachError::EmptyTracefs(function))
        }
        [Ok(false), _] => Err(AttachError::NoTracefs(function)),
    }
}

fn is_tracefs(directory: &str) -> bool {
    statfs(directory).is_ok_and(|found| found.filesystem_type() == TRACEFS_MAGIC)
}

/// Takes back a program that has no use without its partner.
pub(super) fn unload(ebpf: &mut Ebpf, name: &str) {
    let unloaded = match ebpf.program_mut(name) {
        Some(Program::FExit(program)) => program.unload(),
        Some(Program::KProbe(program)) => program.unload(),
        Some(Program::TracePoint(program)) => program.unload(),
        Some(Program::PerfEvent(program)) => program.unload(),
        _ => return,
    };
    if let Err(error) = unloaded {
        log::debug!("{name} was not loaded: {error}");
    }
}

/// The kernel's answer without the verifier's log, which goes to the debug log.
fn refused(what: &'static str, function: &str, error: &ProgramError) -> AttachError {
    log::debug!("{what} on {function}: {error:?}");
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        reason = inner.to_string();
        source = inner.source();
    }
    let reason = reason.lines().next().unwrap_or_default().to_owned();
    AttachError::Refused { what, function: function.to_owned(), reason }
}
