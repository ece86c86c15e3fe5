//! Attaching the hooks: each to its first candidate that this kernel takes.
use fragwatch_core::model::hook::{Attempt, HookStatus, State};

use crate::{
    hook::{
        Preference,
        attacher::{AttachError, Attacher},
        table::{Candidate, GUARDS, HOOKS, Hook},
    },
    kernel::{btf, symbols::Symbols},
};

/// What attaching needs to know of the kernel.
pub struct Target<'a> {
    /// Its symbols; empty if they are hidden.
    pub symbols: &'a Symbols,
    /// Its BTF, indexed.
    pub types: &'a btf::Btf<'a>,
    /// Tracepoints' records that the programs can't read on this kernel.
    pub unusable_records: &'a [&'static str],
    /// What the user asked for.
    pub preference: Preference,
}

/// Attaches every hook to its first candidate that works. Never fails as a whole: what is missing
/// stands in its status.
pub fn attach_all(attacher: &mut dyn Attacher, target: &Target) -> Vec<HookStatus> {
    HOOKS.iter().map(|hook| attach(attacher, target, hook)).collect()
}

fn attach(attacher: &mut dyn Attacher, target: &Target, hook: &Hook) -> HookStatus {
    let mut attempts: Vec<Attempt> = Vec::new();
    for candidate in hook.candidates {
        if !candidate.is_wanted(target.preference) {
            continue;
        }
        match try_candidate(attacher, target, candidate) {
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
    let why = if attempts.is_empty() {
        AttachError::NoTracepoint.to_string()
    } else {
        refusals(&attempts).join("; ")
    };
    HookStatus {
        hook: hook.logical,
        via: None,
        state: State::Missing,
        why: Some(why),
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
    /// Whether the user's wish leaves it.
    fn is_wanted(&self, preference: Preference) -> bool {
        match preference {
            Preference::Auto => true,
            Preference::Kprobe => !matches!(self, Self::Trampoline { .. } | Self::Exit { .. }),
            Preference::Tracepoint => matches!(self, Self::Tracepoints { .. }),
        }
    }

    /// The function that it shows itself, `None` if it shows something in its stead.
    fn function(&self) -> Option<&'static str> {
        match self {
            Self::Trampoline { function, .. }
            | Self::Exit { function, .. }
            | Self::Return { function, .. }
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
            | Self::Return { .. }
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
            Self::Return { function, .. } => format!("kretprobe:{function}"),
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
    attacher: &mut dyn Attacher,
    target: &Target,
    candidate: &Candidate,
) -> Result<String, AttachError> {
    match *candidate {
        Candidate::Trampoline { function, parameters, entry, exit } => {
            check_name(target, function)?;
            check_prototype(target, function, parameters)?;
            // The exit first: an entry whose exit is missing would begin what never ends.
            attacher.fexit(exit, function)?;
            if let Err(error) = attacher.fentry(entry, function) {
                attacher.unload(exit);
                return Err(error);
            }
            Ok(candidate.describe())
        }
        Candidate::Exit { function, parameters, program } => {
            check_name(target, function)?;
            check_prototype(target, function, parameters)?;
            attacher.fexit(program, function)?;
            Ok(candidate.describe())
        }
        Candidate::Return { function, program } => {
            let function = the_variant(target, function)?;
            attacher.kprobe(program, "a kretprobe", &function)?;
            Ok(format!("kretprobe:{function}"))
        }
        Candidate::Entry { function, program } => {
            let function = the_variant(target, function)?;
            attacher.kprobe(program, "a kprobe", &function)?;
            Ok(format!("kprobe:{function}"))
        }
        Candidate::EntryAndReturn { function, entry, exit } => {
            let function = the_variant(target, function)?;
            attacher.kprobe(exit, "a kretprobe", &function)?;
            if let Err(error) = attacher.kprobe(entry, "a kprobe", &function) {
                attacher.unload(exit);
                return Err(error);
            }
            for &(_, (program, category, event)) in GUARDS.iter().filter(|(f, _)| *f == function) {
                // Without it a missed return is noticed later, when the thread comes again.
                if let Err(error) = attacher.tracepoint(program, category, event) {
                    log::debug!("no guard over {function}'s returns: {error}");
                }
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
            attacher.breakpoint(program, &function, address)?;
            Ok(format!("breakpoint:{function}"))
        }
        Candidate::Tracepoints { points, records, .. } => {
            if let Some(&record) = records.iter().find(|r| target.unusable_records.contains(r)) {
                return Err(AttachError::NoRecord(record));
            }
            for (i, &(program, category, event)) in points.iter().enumerate() {
                if let Err(error) = attacher.tracepoint(program, category, event) {
                    points[..i].iter().for_each(|(program, ..)| attacher.unload(program));
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

/// Whether there is this function and no other of its name, as the kernel would put a trampoline at
/// the first of them.
fn check_name(target: &Target, function: &str) -> Result<(), AttachError> {
    if the_variant(target, function)? == function {
        Ok(())
    } else {
        Err(AttachError::NoFunction(function.to_owned()))
    }
}

/// The name to attach by. If no name can be read, the kernel itself has to know.
///
/// Of two functions with one name older kernels (before 6.1) silently probe either, and of a
/// function that the compiler made two of (`.constprop.0`, `.constprop.1`) either sees a part of the
/// calls: neither is taken.
fn the_variant(target: &Target, function: &str) -> Result<String, AttachError> {
    if target.symbols.is_empty() {
        return Ok(function.to_owned());
    }
    match target.symbols.variants(function).as_slice() {
        [] => Err(AttachError::NoFunction(function.to_owned())),
        [only] => Ok(only.clone()),
        _ => Err(AttachError::Ambiguous(function.to_owned())),
    }
}

#[cfg(test)]
mod tests;
