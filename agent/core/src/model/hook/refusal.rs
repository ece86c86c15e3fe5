//! Why a program could not be attached.
use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

/// What a program is attached as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttachKind {
    /// A BPF trampoline on a function's entry.
    Fentry,
    /// A BPF trampoline on a function's exit.
    Fexit,
    /// A kprobe.
    Kprobe,
    /// A kretprobe.
    Kretprobe,
    /// One program behind the returns of several functions.
    KretprobeMulti,
    /// A tracepoint.
    Tracepoint,
}

impl Display for AttachKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fentry => "fentry",
            Self::Fexit => "fexit",
            Self::Kprobe => "a kprobe",
            Self::Kretprobe => "a kretprobe",
            Self::KretprobeMulti => "a program for several functions",
            Self::Tracepoint => "a tracepoint",
        })
    }
}

/// Why a program could not be attached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The kernel has the function under no name.
    #[error("this kernel has no function {0}")]
    NoFunction(String),
    /// There are two of that name.
    #[error("this kernel has more than one function {0}")]
    Ambiguous(String),
    /// The function has other parameters.
    #[error("{function} takes {found} arguments on this kernel, not {expected}")]
    OtherPrototype {
        /// Which function.
        function: String,
        /// How many parameters it has.
        found: u32,
        /// How many the programs rely on.
        expected: u32,
    },
    /// tracefs is not there.
    #[error(
        "tracefs, which {0} is to be found in, is not mounted: mount -t tracefs tracefs \
         /sys/kernel/tracing"
    )]
    NoTracefs(String),
    /// tracefs can't be read.
    #[error(
        "could not look for {tracepoint} in /sys/kernel/tracing: {reason}; it takes root or \
         CAP_DAC_READ_SEARCH"
    )]
    ClosedTracefs {
        /// Which tracepoint.
        tracepoint: String,
        /// What the kernel answered.
        reason: String,
    },
    /// tracefs is there with nothing in it.
    #[error("tracefs is empty, as lockdown=confidentiality leaves it, and has no {0}")]
    EmptyTracefs(String),
    /// A tracepoint's record is not described as the programs read it.
    #[error("this kernel's BTF has no {0} as it is known")]
    NoRecord(&'static str),
    /// No tracepoint shows it, and nothing else was asked for.
    #[error("no tracepoint shows it")]
    NoTracepoint,
    /// The kernel has no kprobes at all.
    #[error("this kernel was built without kprobes")]
    KprobesNotBuiltIn,
    /// The kernel refused.
    #[error("the kernel refused {kind} on {target}: {reason}")]
    Refused {
        /// What was to be attached.
        kind: AttachKind,
        /// To which function or tracepoint.
        target: String,
        /// The errno, where the failure has one.
        errno: Option<i32>,
        /// What it answered.
        reason: String,
    },
    /// The kernel was not asked.
    #[error("not tried")]
    NotTried,
    /// The object file lacks the program: agent and programs are not of one build.
    #[error("the kernel side has no program {0}")]
    NoProgram(&'static str),
}

/// What a [`Refusal`] comes down to, whichever function or tracepoint it was about: hooks that are
/// missing for one reason are one line of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Functions that this kernel doesn't have, or has inlined.
    NoFunction,
    /// Functions of which there are two.
    Ambiguous,
    /// Functions with other parameters.
    OtherPrototype,
    /// tracefs is not mounted.
    TracefsNotMounted,
    /// tracefs can't be read.
    TracefsClosed,
    /// tracefs is empty.
    TracefsEmpty,
    /// A tracepoint's record is unknown.
    RecordUnknown,
    /// No tracepoint shows it.
    NoTracepoint,
    /// No kprobes in this kernel.
    KprobesNotBuiltIn,
    /// The kernel refused.
    Refused {
        /// What was to be attached.
        kind: AttachKind,
        /// The errno, where the failure has one.
        errno: Option<i32>,
    },
    /// The kernel was not asked.
    NotTried,
    /// Agent and programs are not of one build.
    NoProgram,
}

impl Refusal {
    /// What it comes down to.
    pub fn reason(&self) -> Reason {
        match self {
            Self::NoFunction(_) => Reason::NoFunction,
            Self::Ambiguous(_) => Reason::Ambiguous,
            Self::OtherPrototype { .. } => Reason::OtherPrototype,
            Self::NoTracefs(_) => Reason::TracefsNotMounted,
            Self::ClosedTracefs { .. } => Reason::TracefsClosed,
            Self::EmptyTracefs(_) => Reason::TracefsEmpty,
            Self::NoRecord(_) => Reason::RecordUnknown,
            Self::NoTracepoint => Reason::NoTracepoint,
            Self::KprobesNotBuiltIn => Reason::KprobesNotBuiltIn,
            Self::Refused { kind, errno, .. } => Reason::Refused { kind: *kind, errno: *errno },
            Self::NotTried => Reason::NotTried,
            Self::NoProgram(_) => Reason::NoProgram,
        }
    }
}

impl Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoFunction => "functions: not in this kernel, or inlined",
            Self::Ambiguous => "functions: more than one of the same name",
            Self::OtherPrototype => "functions: with other parameters than known",
            Self::TracefsNotMounted => "tracefs: not mounted",
            Self::TracefsClosed => "tracefs: not readable without CAP_DAC_READ_SEARCH",
            Self::TracefsEmpty => "tracefs: empty, as lockdown=confidentiality leaves it",
            Self::RecordUnknown => "tracepoints: with other records than known",
            Self::NoTracepoint => "tracepoints: none that shows it",
            Self::KprobesNotBuiltIn => "kprobes: not built into this kernel",
            Self::Refused { kind, errno } => {
                return match errno {
                    Some(errno) => {
                        let error = std::io::Error::from_raw_os_error(*errno);
                        write!(f, "{kind}: refused by the kernel: {error}")
                    }
                    None => write!(f, "{kind}: refused by the kernel"),
                };
            }
            Self::NotTried => "not tried",
            Self::NoProgram => "programs: missing in this build",
        })
    }
}
