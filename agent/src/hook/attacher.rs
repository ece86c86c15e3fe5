//! Attaching one program: done by the running kernel, and by others that stand in for it.
use fragwatch_core::model::hook::{AttachKind, Refusal};

/// Where a program is to be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachPoint<'a> {
    /// Before a function, by a BPF trampoline.
    Fentry(&'a str),
    /// Behind a function, by a BPF trampoline.
    Fexit(&'a str),
    /// A function's entry, by a kprobe.
    Kprobe(&'a str),
    /// A function's return, by a kretprobe.
    Kretprobe(&'a str),
    /// A tracepoint.
    Tracepoint {
        /// Such as `oom`.
        category: &'a str,
        /// Such as `mark_victim`.
        event: &'a str,
    },
}

impl AttachPoint<'_> {
    /// What the program is attached as.
    pub fn kind(&self) -> AttachKind {
        match self {
            Self::Fentry(_) => AttachKind::Fentry,
            Self::Fexit(_) => AttachKind::Fexit,
            Self::Kprobe(_) => AttachKind::Kprobe,
            Self::Kretprobe(_) => AttachKind::Kretprobe,
            Self::Tracepoint { .. } => AttachKind::Tracepoint,
        }
    }

    /// The function's name, or the tracepoint's as `category:event`.
    pub fn target(&self) -> String {
        match self {
            Self::Fentry(function)
            | Self::Fexit(function)
            | Self::Kprobe(function)
            | Self::Kretprobe(function) => (*function).to_owned(),
            Self::Tracepoint { category, event } => format!("{category}:{event}"),
        }
    }

    /// The kernel's refusal to attach there.
    pub fn refused(&self, errno: Option<i32>, reason: String) -> Refusal {
        Refusal::Refused { kind: self.kind(), target: self.target(), errno, reason }
    }
}

/// A function whose returns share a program with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedReturn {
    /// Its name in this kernel.
    pub function: String,
    /// Its address; `None` if addresses are hidden.
    pub address: Option<u64>,
    /// What the program is passed for it.
    pub cookie: u64,
}

/// Attaches programs one by one.
pub trait Attacher {
    /// Attaches a program. A refusal leaves nothing attached.
    fn attach(&mut self, program: &'static str, point: AttachPoint) -> Result<(), Refusal>;
    /// Attaches a program to the returns of several functions at once, all of them or none.
    fn attach_shared(
        &mut self,
        program: &'static str,
        functions: &[SharedReturn],
    ) -> Result<(), Refusal>;
    /// Detaches a program that has no use without its partner.
    fn unload(&mut self, program: &'static str);
}
