//! The ways in which a hook can be attached.
use core::{
    fmt::{self, Display},
    str::FromStr,
};

use super::function::Function;
use crate::StartStep;

/// What a hook can be attached to, and the programs for it.
#[derive(Clone, Copy, Debug)]
pub enum Candidate {
    /// fentry and fexit: no limit on how many threads may be inside, so no return is ever missed.
    Trampoline {
        /// Where.
        function: Function,
        /// The fentry program.
        entry: &'static str,
        /// The fexit program.
        exit: &'static str,
    },
    /// An fexit alone, which sees the arguments too.
    Exit {
        /// Where.
        function: Function,
        /// The fexit program.
        program: &'static str,
    },
    /// A kretprobe alone, where the arguments don't matter. Returns can be missed, as below.
    Return {
        /// Where.
        function: Function,
        /// The kretprobe program.
        program: &'static str,
    },
    /// The program [`FAILED_STEPS`](super::FAILED_STEPS) behind the returns of all functions that have this
    /// candidate, attached at once.
    Shared {
        /// Where.
        function: Function,
        /// What the program takes its return for.
        step: StartStep,
    },
    /// A kprobe on entry alone.
    Entry {
        /// Where.
        function: Function,
        /// The kprobe program.
        program: &'static str,
    },
    /// A kprobe and a kretprobe. Returns can be missed when many threads are inside at once; see
    /// [`HookInfo::guards`](super::HookInfo::guards).
    EntryAndReturn {
        /// Where.
        function: Function,
        /// The kprobe program.
        entry: &'static str,
        /// The kretprobe program.
        exit: &'static str,
    },
    /// Tracepoints, all of them or none: what is left on a kernel without kprobes.
    Tracepoints {
        /// In the order in which they are attached: what ends comes before what begins.
        points: &'static [Tracepoint],
        /// The records that the programs read, by their structures; see [`super::structure`].
        records: &'static [&'static str],
        /// What they don't show of what the hook is for; `None` if they show all of it.
        lost: Option<&'static str>,
    },
}

/// A tracepoint, and the program for it.
#[derive(Clone, Copy, Debug)]
pub struct Tracepoint {
    /// The program.
    pub program: &'static str,
    /// Such as `oom`.
    pub category: &'static str,
    /// Such as `mark_victim`.
    pub event: &'static str,
}

impl Tracepoint {
    pub(super) const fn new(
        program: &'static str,
        category: &'static str,
        event: &'static str,
    ) -> Self {
        Self { program, category, event }
    }
}

impl Display for Tracepoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.category, self.event)
    }
}

impl Candidate {
    /// How it attaches.
    #[must_use]
    pub const fn method(&self) -> Method {
        match self {
            Self::Trampoline { .. } => Method::FentryFexit,
            Self::Exit { .. } => Method::Fexit,
            Self::Return { .. } => Method::Kretprobe,
            Self::Shared { .. } => Method::KretprobeMulti,
            Self::Entry { .. } => Method::Kprobe,
            Self::EntryAndReturn { .. } => Method::KprobeKretprobe,
            Self::Tracepoints { .. } => Method::Tracepoint,
        }
    }

    /// The function that it attaches to; `None` for tracepoints.
    #[must_use]
    pub const fn function(&self) -> Option<&Function> {
        match self {
            Self::Trampoline { function, .. }
            | Self::Exit { function, .. }
            | Self::Return { function, .. }
            | Self::Shared { function, .. }
            | Self::Entry { function, .. }
            | Self::EntryAndReturn { function, .. } => Some(function),
            Self::Tracepoints { .. } => None,
        }
    }

    /// What it doesn't show of what the hook is for; `None` if it shows all of it.
    #[must_use]
    pub const fn lost(&self) -> Option<&'static str> {
        match self {
            Self::Tracepoints { lost, .. } => *lost,
            Self::Trampoline { .. }
            | Self::Exit { .. }
            | Self::Return { .. }
            | Self::Shared { .. }
            | Self::Entry { .. }
            | Self::EntryAndReturn { .. } => None,
        }
    }

    /// Its programs.
    pub fn programs(&self) -> impl Iterator<Item = &'static str> + use<> {
        let (first, second, points): (_, _, &'static [Tracepoint]) = match *self {
            Self::Trampoline { entry, exit, .. } | Self::EntryAndReturn { entry, exit, .. } => {
                (Some(entry), Some(exit), &[])
            }
            Self::Exit { program, .. }
            | Self::Return { program, .. }
            | Self::Entry { program, .. } => (Some(program), None, &[]),
            Self::Shared { .. } => (Some(super::FAILED_STEPS), None, &[]),
            Self::Tracepoints { points, .. } => (None, None, points),
        };
        first.into_iter().chain(second).chain(points.iter().map(|point| point.program))
    }
}

/// How a hook is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// BPF trampolines on a function's entry and exit.
    FentryFexit,
    /// A BPF trampoline on a function's exit.
    Fexit,
    /// A kprobe on a function's entry, and a kretprobe.
    KprobeKretprobe,
    /// A kprobe on a function's entry.
    Kprobe,
    /// A kretprobe.
    Kretprobe,
    /// A program that the returns of several functions share.
    KretprobeMulti,
    /// Tracepoints.
    Tracepoint,
}

impl Method {
    const ALL: [Self; 7] = [
        Self::FentryFexit,
        Self::Fexit,
        Self::KprobeKretprobe,
        Self::Kprobe,
        Self::Kretprobe,
        Self::KretprobeMulti,
        Self::Tracepoint,
    ];

    /// Its name in reports and captures.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FentryFexit => "fentry+fexit",
            Self::Fexit => "fexit",
            Self::KprobeKretprobe => "kprobe+kretprobe",
            Self::Kprobe => "kprobe",
            Self::Kretprobe => "kretprobe",
            Self::KretprobeMulti => "kretprobe.multi",
            Self::Tracepoint => "tracepoint",
        }
    }

    /// Whether it uses BPF trampolines.
    #[must_use]
    pub const fn is_trampoline(self) -> bool {
        matches!(self, Self::FentryFexit | Self::Fexit)
    }

    /// Whether it uses kprobes or kretprobes.
    #[must_use]
    pub const fn is_kprobe(self) -> bool {
        matches!(self, Self::KprobeKretprobe | Self::Kprobe | Self::Kretprobe)
    }
}

impl Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No method has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownMethod;

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(name: &str) -> Result<Self, UnknownMethod> {
        Self::ALL.into_iter().find(|method| method.name() == name).ok_or(UnknownMethod)
    }
}
