//! Putting one program in its place, by each way that the kernel has for it.
use std::{error::Error, fs, path::Path};

use aya::{
    Btf, Ebpf,
    programs::{
        FEntry, FExit, KProbe, PerfEvent, Program, ProgramError, TracePoint,
        perf_event::{BreakpointConfig, PerfEventConfig, PerfEventScope, SamplePolicy},
    },
    util::online_cpus,
};
use nix::sys::statfs::{TRACEFS_MAGIC, statfs};

use crate::hook::attacher::{AttachError, Attacher};

/// The running kernel, with the programs that it was given.
pub struct Running<'a> {
    /// The programs.
    pub ebpf: &'a mut Ebpf,
    /// The kernel's BTF.
    pub btf: &'a Btf,
}

impl Running<'_> {
    fn program<'a, T>(&'a mut self, name: &'static str) -> Result<&'a mut T, AttachError>
    where
        &'a mut T: TryFrom<&'a mut Program, Error = ProgramError>,
    {
        self.ebpf
            .program_mut(name)
            .and_then(|program| program.try_into().ok())
            .ok_or(AttachError::NoProgram(name))
    }
}

impl Attacher for Running<'_> {
    fn fentry(&mut self, program: &'static str, function: &str) -> Result<(), AttachError> {
        let btf = self.btf;
        let program: &mut FEntry = self.program(program)?;
        program
            .load(function, btf)
            .and_then(|()| program.attach())
            .map(drop)
            .map_err(|error| refused("fentry", function, &error))
    }

    fn fexit(&mut self, program: &'static str, function: &str) -> Result<(), AttachError> {
        let btf = self.btf;
        let program: &mut FExit = self.program(program)?;
        program
            .load(function, btf)
            .and_then(|()| program.attach())
            .map(drop)
            .map_err(|error| refused("fexit", function, &error))
    }

    fn kprobe(
        &mut self,
        program: &'static str,
        what: &'static str,
        function: &str,
    ) -> Result<(), AttachError> {
        let program: &mut KProbe = self.program(program)?;
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

    fn breakpoint(
        &mut self,
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
        let program: &mut PerfEvent = self.program(name)?;
        let attached = program.load().and_then(|()| {
            cpus.into_iter().try_for_each(|cpu| {
                let config = PerfEventConfig::Breakpoint(BreakpointConfig::Instruction { address });
                let scope = PerfEventScope::AllProcessesOneCpu { cpu };
                program.attach(config, scope, SamplePolicy::Period(1), false).map(drop)
            })
        });
        attached.map_err(|error| {
            let error = refused(what, function, &error);
            self.unload(name);
            error
        })
    }

    fn tracepoint(
        &mut self,
        program: &'static str,
        category: &str,
        event: &str,
    ) -> Result<(), AttachError> {
        let function = format!("{category}:{event}");
        check_tracefs(&function)?;
        let program: &mut TracePoint = self.program(program)?;
        program
            .load()
            .and_then(|()| program.attach(category, event))
            .map(drop)
            .map_err(|error| refused("a tracepoint", &function, &error))
    }

    fn unload(&mut self, name: &'static str) {
        let unloaded = match self.ebpf.program_mut(name) {
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
