//! Attaching the hooks: each to its first candidate that this kernel takes.
use std::error::Error;

use aya::{
    Btf, Ebpf,
    programs::{FEntry, FExit, KProbe, Program, ProgramError},
};

use super::{
    HookStatus, Preference, State,
    table::{Candidate, HOOKS, Hook},
};
use crate::kernel::{btf, symbols::Symbols};

/// Why a program could not be put in place.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttachError {
    /// The function is not there under any name.
    #[error("this kernel has no function {0}")]
    NoFunction(String),
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
    /// The kernel programs lack it: agent and programs are not of one build.
    #[error("the kernel side has no program {0}")]
    NoProgram(&'static str),
}

/// What attaching needs to know of the kernel.
pub struct Target<'a> {
    /// Its symbols; empty if they are hidden.
    pub symbols: &'a Symbols,
    /// Its BTF, indexed.
    pub types: &'a btf::Btf<'a>,
    /// The same, as aya wants it.
    pub btf: &'a Btf,
    /// What the user asked for.
    pub preference: Preference,
}

/// Attaches every hook to its first candidate that works. Never fails as a whole: what is missing
/// stands in its status.
pub fn attach_all(ebpf: &mut Ebpf, target: &Target) -> Vec<HookStatus> {
    HOOKS.iter().map(|hook| attach(ebpf, target, hook)).collect()
}

fn attach(ebpf: &mut Ebpf, target: &Target, hook: &Hook) -> HookStatus {
    let mut refusals: Vec<String> = Vec::new();
    for candidate in hook.candidates {
        let trampoline = matches!(candidate, Candidate::Trampoline { .. });
        if trampoline && target.preference == Preference::Kprobe {
            continue;
        }
        match try_candidate(ebpf, target, candidate) {
            Ok(via) => {
                let state = if candidate.function() == hook.named {
                    State::Attached
                } else {
                    if !target.symbols.is_empty() && target.symbols.variants(hook.named).is_empty()
                    {
                        refusals.push(AttachError::NoFunction(hook.named.to_owned()).to_string());
                    }
                    State::Fallback
                };
                refusals.dedup();
                let why = (!refusals.is_empty()).then(|| refusals.join("; "));
                return HookStatus { hook: hook.logical, via: Some(via), state, why };
            }
            Err(error) => refusals.push(error.to_string()),
        }
    }
    refusals.dedup();
    let why = Some(refusals.join("; "));
    HookStatus { hook: hook.logical, via: None, state: State::Missing, why }
}

impl Candidate {
    fn function(&self) -> &'static str {
        match self {
            Self::Trampoline { function, .. }
            | Self::Entry { function, .. }
            | Self::EntryAndReturn { function, .. } => function,
        }
    }
}

/// Attaches one candidate whole or not at all; returns how.
fn try_candidate(
    ebpf: &mut Ebpf,
    target: &Target,
    candidate: &Candidate,
) -> Result<String, AttachError> {
    match *candidate {
        Candidate::Trampoline { function, parameters, entry, exit } => {
            let found = target
                .types
                .parameters(function)
                .ok_or_else(|| AttachError::NoFunction(function.to_owned()))?;
            if found != parameters {
                let function = function.to_owned();
                return Err(AttachError::OtherPrototype { function, found, expected: parameters });
            }
            // The exit first: an entry whose exit is missing would begin what never ends.
            fexit(ebpf, exit, function, target.btf)?;
            if let Err(error) = fentry(ebpf, entry, function, target.btf) {
                unload(ebpf, exit);
                return Err(error);
            }
            Ok(format!("fentry+fexit:{function}"))
        }
        Candidate::Entry { function, program } => {
            let function = first_variant(target, function)?;
            kprobe(ebpf, program, "a kprobe", &function)?;
            Ok(format!("kprobe:{function}"))
        }
        Candidate::EntryAndReturn { function, entry, exit } => {
            let function = first_variant(target, function)?;
            kprobe(ebpf, exit, "a kretprobe", &function)?;
            if let Err(error) = kprobe(ebpf, entry, "a kprobe", &function) {
                unload(ebpf, exit);
                return Err(error);
            }
            Ok(format!("kprobe+kretprobe:{function}"))
        }
    }
}

/// The name to attach by. With hidden symbols the kernel itself has to know.
fn first_variant(target: &Target, function: &str) -> Result<String, AttachError> {
    if target.symbols.is_empty() {
        return Ok(function.to_owned());
    }
    let variants = target.symbols.variants(function);
    variants.into_iter().next().ok_or_else(|| AttachError::NoFunction(function.to_owned()))
}

fn program<'a, T>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut T, AttachError>
where
    &'a mut T: TryFrom<&'a mut Program, Error = ProgramError>,
{
    ebpf.program_mut(name)
        .and_then(|program| program.try_into().ok())
        .ok_or(AttachError::NoProgram(name))
}

fn fentry(
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

fn fexit(
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

fn kprobe(
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

/// Takes back a program that has no use without its partner.
fn unload(ebpf: &mut Ebpf, name: &str) {
    let unloaded = match ebpf.program_mut(name) {
        Some(Program::FExit(program)) => program.unload(),
        Some(Program::KProbe(program)) => program.unload(),
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
