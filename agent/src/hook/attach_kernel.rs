//! Attaching one program to the running kernel, by each way that the kernel has for it.
use std::{
    any::Any,
    error::Error,
    ffi::CString,
    io,
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
    time::Instant,
};

use aya::{
    Ebpf,
    programs::{KProbe, Program, ProgramError, RawTracePoint, TracePoint},
};
use fragwatch_core::model::hook::Refusal;

use crate::{
    hook::{
        attacher::{AttachPoint, Attacher},
        tracefs,
    },
    kernel::{
        bpf::{self, Purpose},
        btf::Prototypes,
    },
    live::Instructions,
};

/// What kprobes are attached by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KprobesBy {
    /// Perf events, which every kernel has, but may deny.
    PerfEvents,
    /// Links without perf events (5.18 and later). Their stacks are not reliable on every kernel.
    Links,
}

/// The running kernel, with the programs that were loaded into it.
pub struct RunningKernel<'a> {
    /// The programs that aya loads.
    pub ebpf: &'a mut Ebpf,
    /// The same for what it can't load.
    pub instructions: &'a Instructions,
    /// The functions that trampolines may be attached to.
    pub prototypes: &'a Prototypes,
    /// What kprobes are attached by.
    pub kprobes: KprobesBy,
    /// What keeps them attached.
    pub links: Links,
    /// Programs that were loaded without aya.
    pub loaded: Vec<OwnedFd>,
}

/// Links of attached programs: they keep them loaded, also when [`Ebpf`] with its copy of the instructions
/// is gone. Dropping them detaches.
#[derive(Default)]
pub struct Links(Vec<(&'static str, Box<dyn Any + Send>)>);

impl Links {
    fn add(&mut self, program: &'static str, link: impl Any + Send) {
        self.0.push((program, Box::new(link)));
    }

    /// Detaches a program.
    pub fn remove(&mut self, program: &str) {
        self.0.retain(|(name, _)| *name != program);
    }

    /// Detaches all, one by one. With several threads it would take as long, since the kernel takes trampolines away
    /// one after the other; and a new thread takes a block of order 2 for its `task_struct`, for which a fragmented
    /// node may kill a container.
    pub fn clear(&mut self) {
        for (program, link) in self.0.drain(..) {
            let began = Instant::now();
            drop(link);
            log::info!("{program} is detached after {} ms", began.elapsed().as_millis());
        }
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

    /// Keeps a program and its link.
    fn keep(&mut self, name: &'static str, attached: (OwnedFd, OwnedFd)) {
        let (program, link) = attached;
        self.links.add(name, link);
        self.loaded.push(program);
    }

    /// By a trampoline.
    fn trampoline(&mut self, name: &'static str, point: AttachPoint) -> Result<(), Refusal> {
        let no_function = || Refusal::NoFunction(point.target());
        let id = self.prototypes.get(&point.target()).ok_or_else(no_function)?.id;
        let purpose = match point {
            AttachPoint::Fentry(_) => Purpose::Fentry(id),
            _ => Purpose::Fexit(id),
        };
        let attached = self.instructions.load(name, purpose).and_then(|program| {
            let link = bpf::attach_trampoline(program.as_fd())?;
            Ok((program, link))
        });
        self.keep(name, attached.map_err(|error| refused(&point, &error))?);
        Ok(())
    }

    fn kprobe(&mut self, name: &'static str, point: AttachPoint) -> Result<(), Refusal> {
        if self.kprobes == KprobesBy::Links {
            let at_return = matches!(point, AttachPoint::Kretprobe(_));
            let attached = attach_by_link(self.instructions, name, &point.target(), at_return);
            self.keep(name, attached.map_err(|error| refused(&point, &error))?);
            return Ok(());
        }
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
        match point {
            AttachPoint::Fentry(_) | AttachPoint::Fexit(_) => self.trampoline(name, point)?,
            AttachPoint::Kprobe(_) | AttachPoint::Kretprobe(_) => self.kprobe(name, point)?,
            AttachPoint::RawTracepoint(event) => {
                let program: &mut RawTracePoint = self.program(name)?;
                let attached = program
                    .load()
                    .and_then(|()| program.attach(event))
                    .and_then(|link| program.take_link(link));
                let link = attached.map_err(|error| refused(&point, &error))?;
                self.links.add(name, link);
            }
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

    fn unload(&mut self, name: &'static str) {
        self.links.remove(name);
        let unloaded = match self.ebpf.program_mut(name) {
            Some(Program::KProbe(program)) => program.unload(),
            Some(Program::RawTracePoint(program)) => program.unload(),
            Some(Program::TracePoint(program)) => program.unload(),
            _ => return,
        };
        if let Err(error) = unloaded {
            log::debug!("{name} was not loaded: {error}");
        }
    }
}

/// Attaches a program to a function's entry, or to its return, without perf events. Returns program and link.
pub fn attach_by_link(
    instructions: &Instructions,
    name: &str,
    function: &str,
    at_return: bool,
) -> io::Result<(OwnedFd, OwnedFd)> {
    let function = CString::new(function)?;
    let program = instructions.load(name, Purpose::KprobeMulti)?;
    let link = bpf::attach_kprobe(program.as_fd(), &function, at_return)?;
    Ok((program, link))
}

/// Whether the kernel was built with kprobes: then it has them as a source of perf events.
fn has_kprobes() -> bool {
    Path::new("/sys/bus/event_source/devices/kprobe").exists()
}

/// The kernel's answer without the verifier's log, which goes to the debug log.
fn refused(point: &AttachPoint, error: &(dyn Error + 'static)) -> Refusal {
    log::debug!("{} on {}: {error:?}", point.kind(), point.target());
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let errno = innermost.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
    let reason = innermost.to_string().lines().next().unwrap_or_default().to_owned();
    point.refused(errno, reason)
}
