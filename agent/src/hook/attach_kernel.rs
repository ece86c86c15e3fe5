//! Attaching one program to the running kernel, by each way that the kernel has for it.
use std::{error::Error, fs, io, path::Path};

use aya::{
    Btf, Ebpf,
    programs::{FEntry, FExit, KProbe, Program, ProgramError, TracePoint},
};
use fragwatch_core::model::hook::Refusal;
use nix::sys::statfs::{TRACEFS_MAGIC, statfs};

use crate::hook::attacher::{AttachPoint, Attacher};

/// The running kernel, with the programs that were loaded into it.
pub struct RunningKernel<'a> {
    /// The programs.
    pub ebpf: &'a mut Ebpf,
    /// The kernel's BTF.
    pub btf: &'a Btf,
}

impl RunningKernel<'_> {
    fn program<'a, T>(&'a mut self, name: &'static str) -> Result<&'a mut T, Refusal>
    where
        &'a mut T: TryFrom<&'a mut Program, Error = ProgramError>,
    {
        self.ebpf
            .program_mut(name)
            .and_then(|program| program.try_into().ok())
            .ok_or(Refusal::NoProgram(name))
    }

    fn kprobe(&mut self, name: &'static str, point: AttachPoint) -> Result<(), Refusal> {
        let program: &mut KProbe = self.program(name)?;
        let loaded = match program.load() {
            // Loaded for an earlier candidate, which then could not be attached.
            Err(ProgramError::AlreadyLoaded) => Ok(()),
            other => other,
        };
        let attached = loaded.and_then(|()| program.attach(point.target(), 0).map(drop));
        attached.map_err(|error| {
            let refusal = refused(&point, &error);
            if has_kprobes() { refusal } else { Refusal::KprobesNotBuiltIn }
        })
    }
}

impl Attacher for RunningKernel<'_> {
    fn attach(&mut self, name: &'static str, point: AttachPoint) -> Result<(), Refusal> {
        let btf = self.btf;
        let attached = match point {
            AttachPoint::Fentry(function) => {
                let program: &mut FEntry = self.program(name)?;
                program.load(function, btf).and_then(|()| program.attach()).map(drop)
            }
            AttachPoint::Fexit(function) => {
                let program: &mut FExit = self.program(name)?;
                program.load(function, btf).and_then(|()| program.attach()).map(drop)
            }
            AttachPoint::Kprobe(_) | AttachPoint::Kretprobe(_) => return self.kprobe(name, point),
            AttachPoint::Tracepoint { category, event } => {
                check_tracefs(&point.target())?;
                let program: &mut TracePoint = self.program(name)?;
                program.load().and_then(|()| program.attach(category, event)).map(drop)
            }
        };
        attached.map_err(|error| refused(&point, &error))
    }

    fn unload(&mut self, name: &'static str) {
        let unloaded = match self.ebpf.program_mut(name) {
            Some(Program::FExit(program)) => program.unload(),
            Some(Program::KProbe(program)) => program.unload(),
            Some(Program::TracePoint(program)) => program.unload(),
            _ => return,
        };
        if let Err(error) = unloaded {
            log::debug!("{name} was not loaded: {error}");
        }
    }
}

/// Whether the kernel was built with kprobes: then it has them as a source of perf events.
fn has_kprobes() -> bool {
    Path::new("/sys/bus/event_source/devices/kprobe").exists()
}

/// Where aya looks for tracefs.
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Why a tracepoint can't be found, where that is not about this tracepoint.
fn check_tracefs(tracepoint: &str) -> Result<(), Refusal> {
    let tracepoint = tracepoint.to_owned();
    let looked = TRACEFS.map(|directory| fs::exists(Path::new(directory).join("events")));
    match looked {
        [Ok(true), _] | [_, Ok(true)] => Ok(()),
        [Err(error), _] => Err(Refusal::ClosedTracefs { tracepoint, reason: error.to_string() }),
        // debugfs is root's alone, whether there is a tracefs in it or not.
        [Ok(false), _] if TRACEFS.iter().any(|directory| is_tracefs(directory)) => {
            Err(Refusal::EmptyTracefs(tracepoint))
        }
        [Ok(false), _] => Err(Refusal::NoTracefs(tracepoint)),
    }
}

fn is_tracefs(directory: &str) -> bool {
    statfs(directory).is_ok_and(|found| found.filesystem_type() == TRACEFS_MAGIC)
}

/// The kernel's answer without the verifier's log, which goes to the debug log.
fn refused(point: &AttachPoint, error: &ProgramError) -> Refusal {
    log::debug!("{} on {}: {error:?}", point.kind(), point.target());
    let mut innermost: &(dyn Error + 'static) = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let errno = innermost.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
    let reason = innermost.to_string().lines().next().unwrap_or_default().to_owned();
    point.refused(errno, reason)
}
