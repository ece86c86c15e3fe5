//! `fragwatch doctor`: what this kernel lets fragwatch see, found out by trying, and what is lost
//! without the rest.
mod advice;
mod json;
mod text;

use std::{fs, io, path::Path};

use anyhow::Context as _;
use fragwatch_core::model::hook::{HookStatus, Refusal};

use crate::{
    cli::{DoctorArgs, Format},
    hook::{self, Preference, Target},
    host::privileges,
    kernel::{
        self,
        btf::Btf,
        environment::Environment,
        offsets,
        symbols::{SymbolError, Symbols},
    },
    live::{BTF_PATH, Live, Options, StartError},
};

/// All that was found.
#[derive(Clone, Debug)]
pub struct Checkup {
    /// The kernel's release.
    pub kernel: String,
    /// What it describes of itself, or why it can't be used, in a sentence.
    pub btf: Result<BtfFound, String>,
    /// Whose names and addresses `/proc/kallsyms` shows.
    pub kallsyms: Kallsyms,
    /// The kernel's settings.
    pub environment: Environment,
    /// Each capability that fragwatch has a use for, and whether it is in force.
    pub capabilities: Vec<(privileges::Use, bool)>,
    /// Every hook; none if the kernel could not be asked about them.
    pub hooks: Vec<HookStatus>,
    /// What else is not seen, in sentences.
    pub not_seen: Vec<String>,
    /// Why tracing can't begin, in a sentence; `None` if it did.
    pub obstacle: Option<String>,
}

/// The kernel's type information.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BtfFound {
    /// In bytes.
    pub size: u64,
    /// What the programs read and it does not describe, by the names of their globals.
    pub missing: Vec<&'static str>,
}

/// What `/proc/kallsyms` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kallsyms {
    /// Attributions and addresses.
    Whole,
    /// Attributions; every address reads as zero.
    Attributions,
    /// Nothing; why, in a sentence.
    Nothing(String),
}

/// How much `fragwatch trace` sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// All that it looks for.
    Full,
    /// It runs, and does not see all of it.
    Degraded,
    /// It can't run.
    CannotRun,
}

impl Standing {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Degraded => "degraded",
            Self::CannotRun => "cannot-run",
        }
    }

    /// What the process answers.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Full => 0,
            Self::Degraded => 1,
            Self::CannotRun => 2,
        }
    }
}

impl Checkup {
    /// The sum of it.
    pub fn standing(&self) -> Standing {
        if self.obstacle.is_some() {
            Standing::CannotRun
        } else if self.lost().is_empty() {
            Standing::Full
        } else {
            Standing::Degraded
        }
    }

    /// All that is known not to be seen, in words.
    pub fn lost(&self) -> Vec<&str> {
        let tried = self.hooks.iter().filter(|hook| was_tried(hook));
        let hooks = tried.filter_map(|hook| hook.not_seen.as_deref());
        hooks.chain(self.not_seen.iter().map(String::as_str)).collect()
    }
}

/// Whether the kernel was asked about it, or no candidate was left to ask about.
fn was_tried(hook: &HookStatus) -> bool {
    hook.attempts.iter().all(|attempt| attempt.refusal != Some(Refusal::NotTried))
}

/// Looks, tries, and tells.
pub fn run(args: &DoctorArgs) -> anyhow::Result<Standing> {
    let checkup = examine(args.attach)?;
    let told = match args.format {
        Format::Text => text::write(&checkup, &mut anstream::stdout()),
        Format::Json => json::write(&checkup, &mut io::stdout()),
    };
    match told {
        // Nobody reads it: the exit code says the same.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        other => other.context("could not write the report to standard output")?,
    }
    Ok(checkup.standing())
}

fn examine(preference: Preference) -> anyhow::Result<Checkup> {
    let symbols = Symbols::load();
    let kallsyms = match symbols.as_ref().map(Symbols::check_addresses) {
        Ok(Ok(())) => Kallsyms::Whole,
        Ok(Err(SymbolError::Hidden)) if !symbols.as_ref().is_ok_and(Symbols::is_empty) => {
            Kallsyms::Attributions
        }
        Ok(Err(error)) => Kallsyms::Nothing(error.to_string()),
        Err(error) => Kallsyms::Nothing(error.to_string()),
    };
    let bytes = fs::read(BTF_PATH).map_err(StartError::NoBtf);
    let types = bytes
        .as_ref()
        .map_err(ToString::to_string)
        .and_then(|bytes| Btf::index(bytes).map_err(|error| StartError::BadBtf(error).to_string()));
    let btf = types.as_ref().map_err(Clone::clone).map(|types| BtfFound {
        size: bytes.as_ref().map_or(0, Vec::len) as u64,
        missing: offsets::resolve(types).missing,
    });
    let tried = try_hooks(preference);
    let hooks = tried.hooks.unwrap_or_else(|| {
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
        capabilities: privileges::USES.map(|u| (u, privileges::held(u.capability))).to_vec(),
        hooks,
        not_seen: tried.not_seen,
        obstacle: tried.obstacle,
    })
}

/// What came of trying.
struct Tried {
    /// Every hook, if it came to that.
    hooks: Option<Vec<HookStatus>>,
    /// What else is not seen.
    not_seen: Vec<String>,
    /// Why tracing can't begin.
    obstacle: Option<String>,
}

/// Loads, attaches, and detaches, as `trace` would.
fn try_hooks(preference: Preference) -> Tried {
    if let Err(error) = privileges::check() {
        return Tried { hooks: None, not_seen: Vec::new(), obstacle: Some(error.to_string()) };
    }
    match Live::start(Options { all: false, preference, hierarchy: 0 }) {
        Ok(live) => Tried {
            hooks: Some(live.hooks.clone()),
            not_seen: live.not_seen.clone(),
            obstacle: None,
        },
        Err(error) => {
            let obstacle = Some(error.to_string());
            let hooks = if let StartError::NoHook(hooks) = error { Some(hooks) } else { None };
            Tried { hooks, not_seen: Vec::new(), obstacle }
        }
    }
}

#[cfg(test)]
mod tests;
