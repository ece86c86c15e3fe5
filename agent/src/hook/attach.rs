//! Attaching the hooks: each to its first candidate that this kernel takes.
use aya::{Btf, Ebpf};

use super::{
    Attempt, HookStatus, Preference, State,
    place::{AttachError, breakpoint, fentry, fexit, kprobe, tracepoint, unload},
    table::{Candidate, HOOKS, Hook},
};
use crate::kernel::{btf, symbols::Symbols};

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
    let mut attempts: Vec<Attempt> = Vec::new();
    for candidate in hook.candidates {
        let trampoline = matches!(candidate, Candidate::Trampoline { .. } | Candidate::Exit { .. });
        if trampoline && target.preference == Preference::Kprobe {
            continue;
        }
        match try_candidate(ebpf, target, candidate) {
            Ok(via) => {
                let state = if candidate.function() == Some(hook.named) {
                    State::Attached
                } else {
                    State::Fallback
                };
                let mut refusals = refusals(&attempts);
                let known = !target.symbols.is_empty();
                if state == State::Fallback
                    && known
                    && target.symbols.variants(hook.named).is_empty()
                {
                    refusals.push(AttachError::NoFunction(hook.named.to_owned()).to_string());
                    refusals.dedup();
                }
                let why = (!refusals.is_empty()).then(|| refusals.join("; "));
                attempts.push(Attempt { via: via.clone(), refusal: None });
                let not_seen = candidate.lost().map(str::to_owned);
                return HookStatus {
                    hook: hook.logical,
                    via: Some(via),
                    state,
                    why,
                    not_seen,
                    attempts,
                };
            }
            Err(error) => {
                attempts
                    .push(Attempt { via: candidate.describe(), refusal: Some(error.to_string()) });
            }
        }
    }
    HookStatus {
        hook: hook.logical,
        via: None,
        state: State::Missing,
        why: Some(refusals(&attempts).join("; ")),
        not_seen: Some(hook.logical.lost_without().to_owned()),
        attempts,
    }
}

/// What the kernel answered, each answer once.
fn refusals(attempts: &[Attempt]) -> Vec<String> {
    let mut refusals: Vec<String> = attempts.iter().filter_map(|a| a.refusal.clone()).collect();
    refusals.dedup();
    refusals
}

impl Candidate {
    /// The function that it shows itself, `None` if it shows something in its stead.
    fn function(&self) -> Option<&'static str> {
        match self {
            Self::Trampoline { function, .. }
            | Self::Exit { function, .. }
            | Self::Entry { function, .. }
            | Self::EntryAndReturn { function, .. }
            | Self::Breakpoint { function, .. } => Some(function),
            Self::Tracepoints { .. } => None,
        }
    }

    /// What it doesn't show of what the hook is for.
    fn lost(&self) -> Option<&'static str> {
        match self {
            Self::Tracepoints { lost, .. } => *lost,
            Self::Trampoline { .. }
            | Self::Exit { .. }
            | Self::Entry { .. }
            | Self::EntryAndReturn { .. }
            | Self::Breakpoint { .. } => None,
        }
    }

    /// How it attaches, in a word or two.
    fn describe(&self) -> String {
        match self {
            Self::Trampoline { function, .. } => format!("fentry+fexit:{function}"),
            Self::Exit { function, .. } => format!("fexit:{function}"),
            Self::Entry { function, .. } => format!("kprobe:{function}"),
            Self::EntryAndReturn { function, .. } => format!("kprobe+kretprobe:{function}"),
            Self::Breakpoint { function, .. } => format!("breakpoint:{function}"),
            Self::Tracepoints { points, .. } => {
                let names: Vec<String> = points
                    .iter()
                    .map(|(_, category, event)| format!("{category}:{event}"))
                    .collect();
                format!("tracepoint:{}", names.join("+"))
            }
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
            check_prototype(target, function, parameters)?;
            // The exit first: an entry whose exit is missing would begin what never ends.
            fexit(ebpf, exit, function, target.btf)?;
            if let Err(error) = fentry(ebpf, entry, function, target.btf) {
                unload(ebpf, exit);
                return Err(error);
            }
            Ok(candidate.describe())
        }
        Candidate::Exit { function, parameters, program } => {
            check_prototype(target, function, parameters)?;
            fexit(ebpf, program, function, target.btf)?;
            Ok(candidate.describe())
        }
        Candidate::Entry { function, program } => {
            let function = the_variant(target, function)?;
            kprobe(ebpf, program, "a kprobe", &function)?;
            Ok(format!("kprobe:{function}"))
        }
        Candidate::EntryAndReturn { function, entry, exit } => {
            let function = the_variant(target, function)?;
            kprobe(ebpf, exit, "a kretprobe", &function)?;
            if let Err(error) = kprobe(ebpf, entry, "a kprobe", &function) {
                unload(ebpf, exit);
                return Err(error);
            }
            Ok(format!("kprobe+kretprobe:{function}"))
        }
        Candidate::Breakpoint { function, program } => {
            let function = the_variant(target, function)?;
            // Hidden symbols have no address to break at.
            let address = target
                .symbols
                .address(&function)
                .ok_or_else(|| AttachError::NoAddress(function.clone()))?;
            breakpoint(ebpf, program, &function, address)?;
            Ok(format!("breakpoint:{function}"))
        }
        Candidate::Tracepoints { points, .. } => {
            for (i, &(program, category, event)) in points.iter().enumerate() {
                if let Err(error) = tracepoint(ebpf, program, category, event) {
                    points[..i].iter().for_each(|(program, ..)| unload(ebpf, program));
                    return Err(error);
                }
            }
            Ok(candidate.describe())
        }
    }
}

/// Whether a function takes the arguments that the programs rely on, as far as BTF says.
fn check_prototype(target: &Target, function: &str, expected: u32) -> Result<(), AttachError> {
    let none = || AttachError::NoFunction(function.to_owned());
    let found = target.types.parameters(function).ok_or_else(none)?;
    if found != expected {
        return Err(AttachError::OtherPrototype { function: function.to_owned(), found, expected });
    }
    Ok(())
}

/// The name to attach by. With hidden symbols the kernel itself has to know.
///
/// Of two functions with one name older kernels (before 6.1) silently probe either, so neither is
/// taken.
fn the_variant(target: &Target, function: &str) -> Result<String, AttachError> {
    if target.symbols.is_empty() {
        return Ok(function.to_owned());
    }
    let variants = target.symbols.variants(function);
    let Some(first) = variants.first() else {
        return Err(AttachError::NoFunction(function.to_owned()));
    };
    if variants.get(1) == Some(first) {
        return Err(AttachError::Ambiguous(first.clone()));
    }
    Ok(first.clone())
}
