//! `fragwatch doctor`: tries to load and attach every hook, and reports what this kernel supports and
//! what `trace` can't observe on it.
mod advice;
mod view;

use std::{fs, io, path::Path};

use anyhow::Context as _;
use fragwatch_core::{
    model::{
        hook::{HookStatus, Refusal},
        status::DoctorStatus,
    },
    report::line::doctor as line,
};

use crate::{
    cli::DoctorArgs,
    hook::{self, Preference, Target},
    host::{oom_protection, privileges},
    kernel::{
        self,
        btf::Btf,
        environment::Environment,
        function_names::{FunctionNames, own_text},
        kallsyms::SymbolError,
        offsets,
    },
    live::{BTF_PATH, Live, Options, StartError},
    output,
};

/// The result of all checks.
#[derive(Clone, Debug)]
pub struct Checkup {
    /// The kernel's release.
    pub kernel: String,
    /// The kernel's BTF, or a sentence that says why it can't be used.
    pub btf: Result<BtfFound, String>,
    /// What this process may read in `/proc/kallsyms`.
    pub kallsyms: Kallsyms,
    /// The kernel's settings.
    pub environment: Environment,
    /// Each capability that fragwatch uses, and whether it is effective.
    pub capabilities: Vec<(privileges::Use, bool)>,
    /// Every hook; empty if the kernel's BTF could not be read.
    pub hooks: Vec<HookStatus>,
    /// What can't be observed for other reasons than a missing hook, in sentences.
    pub not_seen: Vec<String>,
    /// Why tracing can't start, in a sentence; `None` if it did.
    pub obstacle: Option<String>,
}

/// The kernel's BTF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BtfFound {
    /// Size of the BTF file in bytes.
    pub size: u64,
    /// Fields that the programs read and BTF does not describe, by the names of their globals.
    pub missing: Vec<&'static str>,
}

/// What this process may read in `/proc/kallsyms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kallsyms {
    /// Names and addresses.
    Complete,
    /// Names; every address reads as zero.
    NamesOnly,
    /// Nothing; the sentence says why.
    Unreadable(String),
}

impl BtfFound {
    fn of(types: &Btf, size: u64) -> Self {
        Self { size, missing: offsets::resolve(types).missing }
    }
}

impl Checkup {
    /// The overall status.
    pub fn status(&self) -> DoctorStatus {
        if self.obstacle.is_some() {
            DoctorStatus::CannotRun
        } else if self.lost().is_empty() {
            DoctorStatus::Full
        } else {
            DoctorStatus::Degraded
        }
    }

    /// Everything that can't be observed, in sentences.
    pub fn lost(&self) -> Vec<&str> {
        let tried = self.hooks.iter().filter(|hook| was_tried(hook));
        let hooks = tried.filter_map(|hook| hook.not_seen.as_deref());
        hooks.chain(self.not_seen.iter().map(String::as_str)).collect()
    }
}

/// Whether attaching was attempted, or no candidate was left to attempt.
fn was_tried(hook: &HookStatus) -> bool {
    hook.attempts.iter().all(|attempt| attempt.refusal != Some(Refusal::NotTried))
}

/// Runs all checks and writes the report to standard output.
///
/// # Errors
/// If the kernel's release can't be read or the report can't be written.
pub fn run(args: &DoctorArgs) -> anyhow::Result<DoctorStatus> {
    let checkup = examine(args.attach)?;
    let written = output::to_stdout(args.format).line(&view::line(&checkup));
    match written {
        // stdout was closed; the exit code still holds the result.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        other => other.context("could not write the report to standard output")?,
    }
    Ok(checkup.status())
}

fn examine(preference: Preference) -> anyhow::Result<Checkup> {
    let symbols = FunctionNames::load(own_text);
    let kallsyms = match symbols.as_ref().map(FunctionNames::check_addresses) {
        Ok(Ok(())) => Kallsyms::Complete,
        Ok(Err(SymbolError::Hidden)) if !symbols.as_ref().is_ok_and(FunctionNames::is_empty) => {
            Kallsyms::NamesOnly
        }
        Ok(Err(error)) => Kallsyms::Unreadable(error.to_string()),
        Err(error) => Kallsyms::Unreadable(error.to_string()),
    };
    let bytes = fs::read(BTF_PATH).map_err(StartError::NoBtf);
    let types = bytes
        .as_ref()
        .map_err(ToString::to_string)
        .and_then(|bytes| Btf::index(bytes).map_err(|error| StartError::BadBtf(error).to_string()));
    let size = bytes.as_ref().map_or(0, Vec::len) as u64;
    let btf = types.as_ref().map_err(Clone::clone).map(|types| BtfFound::of(types, size));
    let trial = try_hooks(preference);
    let hooks = trial.hooks.unwrap_or_else(|| {
        let symbols = symbols.unwrap_or_default();
        types.as_ref().map_or_else(
            |_| Vec::new(),
            |types| {
                let unusable_records = &offsets::resolve(types).unusable_records;
                hook::dry_run(&Target { symbols: &symbols, types, unusable_records, preference })
            },
        )
    });
    Ok(Checkup {
        kernel: kernel::release()?,
        btf,
        kallsyms,
        environment: Environment::read(Path::new("/")),
        capabilities: capabilities(),
        hooks,
        not_seen: trial.not_seen,
        obstacle: trial.obstacle,
    })
}

/// What `doctor` finds beside programs that are attached already.
pub(crate) struct Attached {
    btf: Result<BtfFound, String>,
    environment: Environment,
    capabilities: Vec<(privileges::Use, bool)>,
}

impl Attached {
    /// Reads what does not depend on them. The kernel's BTF takes some MiB meanwhile.
    pub(crate) fn read() -> Self {
        let bytes = fs::read(BTF_PATH).map_err(|error| StartError::NoBtf(error).to_string());
        let btf = bytes.and_then(|bytes| {
            let types =
                Btf::index(&bytes).map_err(|error| StartError::BadBtf(error).to_string())?;
            Ok(BtfFound::of(&types, bytes.len() as u64))
        });
        Self { btf, environment: Environment::read(Path::new("/")), capabilities: capabilities() }
    }

    /// The result with these programs, as it is printed.
    pub(crate) fn report(self, kernel: String, live: &Live) -> line::Doctor {
        view::doctor(&Checkup {
            kernel,
            btf: self.btf,
            kallsyms: if live.knows_names() { Kallsyms::Complete } else { Kallsyms::NamesOnly },
            environment: self.environment,
            capabilities: self.capabilities,
            hooks: live.hooks.clone(),
            not_seen: live.not_seen.clone(),
            obstacle: None,
        })
    }
}

fn capabilities() -> Vec<(privileges::Use, bool)> {
    privileges::USES.map(|u| (u, privileges::held(u.capability))).to_vec()
}

/// The result of loading and attaching once.
struct Trial {
    /// Every hook; `None` if the programs could not be loaded.
    hooks: Option<Vec<HookStatus>>,
    not_seen: Vec<String>,
    obstacle: Option<String>,
}

/// Loads and attaches every program as `trace` does, and detaches again.
fn try_hooks(preference: Preference) -> Trial {
    if let Err(error) = privileges::check() {
        return Trial { hooks: None, not_seen: Vec::new(), obstacle: Some(error.to_string()) };
    }
    let _victim = oom_protection::be_first_victim();
    match Live::start(Options {
        all: false,
        untroubled: false,
        fallbacks: false,
        preference,
        hierarchy: 0,
    }) {
        Ok(live) => Trial {
            hooks: Some(live.hooks.clone()),
            not_seen: live.not_seen.clone(),
            obstacle: None,
        },
        Err(error) => {
            let obstacle = Some(error.to_string());
            let hooks = if let StartError::NoHook(hooks) = error { Some(hooks) } else { None };
            Trial { hooks, not_seen: Vec::new(), obstacle }
        }
    }
}

#[cfg(test)]
mod tests;
