//! The start of one container, as far as its steps were seen.

/// A piece of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepPart {
    /// Its cgroup was made.
    Cgroup,
    /// Namespaces were made for it.
    Namespaces,
    /// A process of it was seen.
    Process,
}

impl StepPart {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Namespaces => "namespaces",
            Self::Process => "process",
        }
    }
}

/// How sure it is that a piece belongs to the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// It does.
    Certain,
    /// It looks so.
    Guess,
}

/// A piece of a start that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRef {
    /// What.
    pub piece: StepPart,
    /// When, `CLOCK_MONOTONIC` in nanoseconds.
    pub at_ns: u64,
    /// How sure it is that it belongs to it.
    pub tie: Certainty,
    /// By what.
    pub why: &'static str,
}

/// What was seen of a container's start, the earliest first; at least one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    /// Its parts.
    pub parts: Vec<StepRef>,
}
