//! Attaching one program to the running kernel, by each way that the kernel has for it.
use std::{any::Any, error::Error, io, path::Path};

use aya::{
    Btf, Ebpf,
    programs::{FEntry, FExit, KProbe, Program, ProgramError, TracePoint},
};
use fragwatch_core::model::hook::{AttachKind, Refusal};

use crate::{
    hook::{
        attacher::{AttachPoint, Attacher, SharedReturn},
        multi_link::{self, SharedMaps},
        tracefs,
    },
    live::PROGRAMS,
};

/// The running kernel, with the programs that were loaded into it.
pub struct RunningKernel<'a> {
    /// The programs.
    pub ebpf: &'a mut Ebpf,
    /// The kernel's BTF.
    pub btf: &'a Btf,
    /// Their maps, for a program that is loaded in another way.
    pub maps: SharedMaps,
    /// What keeps them attached.
    pub links: Links,
}

/// Links of attached programs: they keep them loaded, also when [`Ebpf`] with its copy of the instructions
/// is gone. Dropping them detaches.
#[derive(Default)]
pub struct Links(Vec<(&'static str, Box<dyn Any + Send>)>);

impl Links {
    fn add(&mut self, program: &'static str, link: impl Any + Send) {
        self.0.push((program, Box::new(link)));
    }

    fn remove(&mut self, program: &str) {
        self.0.retain(|(name, _)| *name != program);
    }
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
        let attached = loaded
            .and_then(|()| program.attach(point.target(), 0))
            .and_then(|link| program.take_link(link));
        let link = attached.map_err(|error| {
            let refusal = refused(&point, &error);
            if has_kprobes() { refusal } else { Refusal::KprobesNotBuiltIn }
        })?;
        self.links.add(name, link);
        Ok(())
    }
}

impl Attacher for RunningKernel<'_> {
    fn attach(&mut self, name: &'static str, point: AttachPoint) -> Result<(), Refusal> {
        let btf = self.btf;
        match point {
            AttachPoint::Fentry(function) => {
                let program: &mut FEntry = self.program(name)?;
                let attached = program
                    .load(function, btf)
                    .and_then(|()| program.attach())
                    .and_then(|link| program.take_link(link));
                let link = attached.map_err(|error| refused(&point, &error))?;
                self.links.add(name, link);
            }
            AttachPoint::Fexit(function) => {
                let program: &mut FExit = self.program(name)?;
                let attached = program
                    .load(function, btf)
                    .and_then(|()| program.attach())
                    .and_then(|link| program.take_link(link));
                let link = attached.map_err(|error| refused(&point, &error))?;
                self.links.add(name, link);
            }
            AttachPoint::Kprobe(_) | AttachPoint::Kretprobe(_) => self.kprobe(name, point)?,
            AttachPoint::Tracepoint { category, event } => {
                tracefs::check(&point.target())?;
                let program: &mut TracePoint = self.program(name)?;
                let attached = program
                    .load()
                    .and_then(|()| program.attach(category, event))
                    .and_then(|link| program.take_link(link));
                let link = attached.map_err(|error| refused(&point, &error))?;
                self.links.add(name, link);
            }
        }
        Ok(())
    }

    fn attach_shared(
        &mut self,
        name: &'static str,
        functions: &[SharedReturn],
    ) -> Result<(), Refusal> {
        let link = multi_link::attach(PROGRAMS, name, &self.maps, functions).map_err(|error| {
            log::debug!("{name}: {error:#}");
            let names: Vec<&str> = functions.iter().map(|f| f.function.as_str()).collect();
            let errno = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
            Refusal::Refused {
                kind: AttachKind::KretprobeMulti,
                target: names.join(", "),
                errno: errno.and_then(io::Error::raw_os_error),
                reason: error.root_cause().to_string(),
            }
        })?;
        self.links.add(name, link);
        Ok(())
    }

    fn unload(&mut self, name: &'static str) {
        self.links.remove(name);
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
