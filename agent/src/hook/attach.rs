//! Attaching the hooks: each to its first candidate that this kernel accepts.
use fragwatch_core::model::hook::{Attempt, HookStatus, Refusal, State, Via};
use fragwatch_ebpf::table::{
    Candidate, FAILED_STEPS, Function, HOOKS, HookInfo, Method, Tracepoint,
};

use crate::{
    hook::{
        Preference,
        attacher::{AttachPoint, Attacher, SharedReturn},
    },
    kernel::{btf, function_names::FunctionNames},
};

/// What attaching needs to know of the kernel.
pub struct Target<'a> {
    /// Names of its functions; empty if they can't be read.
    pub symbols: &'a FunctionNames,
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
    let shared = attach_shared(attacher, target);
    HOOKS.iter().map(|hook| attach(attacher, target, hook, &shared)).collect()
}

/// The functions that share a program behind their returns by now, or why none does. `None` if the kernel has no
/// way to share one, or it is not wanted.
type Shared = Option<Result<Vec<String>, Refusal>>;

fn attach_shared(attacher: &mut dyn Attacher, target: &Target) -> Shared {
    if target.preference != Preference::Auto || !target.symbols.has_fprobe() {
        return None;
    }
    let mut functions = Vec::new();
    for candidate in HOOKS.iter().flat_map(|hook| hook.candidates) {
        if let Candidate::Shared { function, step } = candidate
            && let Ok(name) = the_variant(target, function.name)
        {
            let address = target.symbols.address(&name);
            functions.push(SharedReturn { function: name, address, cookie: *step as u64 });
        }
    }
    let attached = attacher.attach_shared(FAILED_STEPS, &functions);
    Some(attached.map(|()| functions.into_iter().map(|shared| shared.function).collect()))
}

/// The functions that a trampoline may be attached to.
pub fn trampoline_functions() -> Vec<&'static str> {
    let candidates = HOOKS.iter().flat_map(|hook| hook.candidates);
    let attached = candidates.filter(|candidate| candidate.method().is_trampoline());
    attached.filter_map(|candidate| Some(candidate.function()?.name)).collect()
}

fn attach(
    attacher: &mut dyn Attacher,
    target: &Target,
    hook: &HookInfo,
    shared: &Shared,
) -> HookStatus {
    let mut attempts: Vec<Attempt> = Vec::new();
    for candidate in hook.candidates {
        if !is_wanted(candidate, target.preference, shared) {
            continue;
        }
        match try_candidate(attacher, target, candidate, hook.guards, shared) {
            Ok(via) => {
                let named = candidate.function() == Some(&hook.function);
                let state = if named { State::Attached } else { State::Fallback };
                let mut refusals = refusals(&attempts);
                if state == State::Fallback
                    && !target.symbols.is_empty()
                    && target.symbols.variants(hook.function.name).is_empty()
                {
                    refusals.push(Refusal::NoFunction(hook.function.name.to_owned()));
                }
                attempts.push(Attempt { via: via.clone(), refusal: None });
                let not_seen = candidate.lost().map(str::to_owned);
                return status(hook, Some(via), state, &refusals, not_seen, attempts);
            }
            Err(refusal) => {
                attempts.push(Attempt { via: via_of(candidate), refusal: Some(refusal) });
            }
        }
    }
    let mut refusals = refusals(&attempts);
    if attempts.is_empty() {
        refusals.push(Refusal::NoTracepoint);
    }
    let not_seen = Some(hook.lost.to_owned());
    status(hook, None, State::Missing, &refusals, not_seen, attempts)
}

fn status(
    hook: &HookInfo,
    via: Option<Via>,
    state: State,
    refusals: &[Refusal],
    not_seen: Option<String>,
    attempts: Vec<Attempt>,
) -> HookStatus {
    let mut sentences: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    sentences.dedup();
    let mut reasons = Vec::new();
    for reason in refusals.iter().map(Refusal::reason) {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    let why = (!sentences.is_empty()).then(|| sentences.join("; "));
    HookStatus { hook: hook.hook, via, state, why, reasons, not_seen, attempts }
}

/// What the kernel answered.
fn refusals(attempts: &[Attempt]) -> Vec<Refusal> {
    attempts.iter().filter_map(|attempt| attempt.refusal.clone()).collect()
}

/// Whether the user's preference allows it.
fn is_wanted(candidate: &Candidate, preference: Preference, shared: &Shared) -> bool {
    let method = candidate.method();
    if method == Method::KretprobeMulti && shared.is_none() {
        return false;
    }
    match preference {
        Preference::Auto => true,
        Preference::Kprobe => !method.is_trampoline(),
        Preference::Tracepoint => method == Method::Tracepoint,
    }
}

/// What a candidate would be attached to, if the function has no suffix.
fn via_of(candidate: &Candidate) -> Via {
    let target = match candidate {
        Candidate::Tracepoints { points, .. } => {
            let names: Vec<String> = points.iter().map(ToString::to_string).collect();
            names.join("+")
        }
        Candidate::Trampoline { function, .. }
        | Candidate::Exit { function, .. }
        | Candidate::Return { function, .. }
        | Candidate::Shared { function, .. }
        | Candidate::Entry { function, .. }
        | Candidate::EntryAndReturn { function, .. } => function.name.to_owned(),
    };
    Via { method: candidate.method(), target }
}

/// Attaches one candidate whole or not at all; returns to what.
fn try_candidate(
    attacher: &mut dyn Attacher,
    target: &Target,
    candidate: &Candidate,
    guards: &[Tracepoint],
    shared: &Shared,
) -> Result<Via, Refusal> {
    let at = |function: String| Via { method: candidate.method(), target: function };
    match candidate {
        Candidate::Trampoline { function, entry, exit } => {
            check_name(target, function.name)?;
            check_prototype(target, function)?;
            // The exit first: an entry whose exit is missing would begin what never ends.
            attacher.attach(exit, AttachPoint::Fexit(function.name))?;
            if let Err(refusal) = attacher.attach(entry, AttachPoint::Fentry(function.name)) {
                attacher.unload(exit);
                return Err(refusal);
            }
            Ok(via_of(candidate))
        }
        Candidate::Exit { function, program } => {
            check_name(target, function.name)?;
            check_prototype(target, function)?;
            attacher.attach(program, AttachPoint::Fexit(function.name))?;
            Ok(via_of(candidate))
        }
        Candidate::Return { function, program } => {
            let function = the_variant(target, function.name)?;
            attacher.attach(program, AttachPoint::Kretprobe(&function))?;
            Ok(at(function))
        }
        Candidate::Shared { function, .. } => {
            let function = the_variant(target, function.name)?;
            match shared {
                Some(Ok(functions)) if functions.contains(&function) => Ok(at(function)),
                Some(Err(refusal)) => Err(refusal.clone()),
                _ => Err(Refusal::NoFunction(function)),
            }
        }
        Candidate::Entry { function, program } => {
            let function = the_variant(target, function.name)?;
            attacher.attach(program, AttachPoint::Kprobe(&function))?;
            Ok(at(function))
        }
        Candidate::EntryAndReturn { function, entry, exit } => {
            let function = the_variant(target, function.name)?;
            attacher.attach(exit, AttachPoint::Kretprobe(&function))?;
            if let Err(refusal) = attacher.attach(entry, AttachPoint::Kprobe(&function)) {
                attacher.unload(exit);
                return Err(refusal);
            }
            for guard in guards {
                // Without it a missed return is noticed later, when the thread comes again.
                if let Err(refusal) = attacher.attach(guard.program, point_of(guard)) {
                    log::debug!("no guard for missed returns of {function}: {refusal}");
                }
            }
            Ok(at(function))
        }
        Candidate::Tracepoints { points, records, .. } => {
            if let Some(record) = records.iter().find(|r| target.unusable_records.contains(r)) {
                return Err(Refusal::NoRecord(record));
            }
            for (i, point) in points.iter().enumerate() {
                if let Err(refusal) = attacher.attach(point.program, point_of(point)) {
                    points[..i].iter().for_each(|point| attacher.unload(point.program));
                    return Err(refusal);
                }
            }
            Ok(via_of(candidate))
        }
    }
}

fn point_of(tracepoint: &Tracepoint) -> AttachPoint<'static> {
    AttachPoint::Tracepoint { category: tracepoint.category, event: tracepoint.event }
}

/// Whether a function has the parameters that the programs rely on, as far as BTF says.
fn check_prototype(target: &Target, function: &Function) -> Result<(), Refusal> {
    let none = || Refusal::NoFunction(function.name.to_owned());
    let (found, expected) =
        (target.types.parameters(function.name).ok_or_else(none)?, function.parameters);
    if found != expected {
        let function = function.name.to_owned();
        return Err(Refusal::OtherPrototype { function, found, expected });
    }
    Ok(())
}

/// Whether there is this function and no other of its name, as the kernel would attach a trampoline
/// to the first of them.
fn check_name(target: &Target, function: &str) -> Result<(), Refusal> {
    if the_variant(target, function)? == function {
        Ok(())
    } else {
        Err(Refusal::NoFunction(function.to_owned()))
    }
}

/// The name to attach by. If no name can be read, the kernel itself has to know.
///
/// Of two functions with one name older kernels (before 6.1) silently probe either, and of a
/// function that the compiler split in two (`.constprop.0`, `.constprop.1`) either sees a part of
/// the calls: neither is used.
fn the_variant(target: &Target, function: &str) -> Result<String, Refusal> {
    if target.symbols.is_empty() {
        return Ok(function.to_owned());
    }
    match target.symbols.variants(function).as_slice() {
        [] => Err(Refusal::NoFunction(function.to_owned())),
        [only] => Ok(only.clone()),
        _ => Err(Refusal::Ambiguous(function.to_owned())),
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod ubuntu_tests;
