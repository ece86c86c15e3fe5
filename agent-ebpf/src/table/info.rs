//! What the table has for each hook.
use core::{
    fmt::{self, Display},
    str::FromStr,
};

use super::{Candidate, Function, Global, HOOKS, Hook, Tracepoint};

/// What there is to know of a hook.
#[derive(Debug)]
pub struct HookInfo {
    /// Which.
    pub hook: Hook,
    /// Its name in reports and captures.
    pub name: &'static str,
    /// The function that it is named after: attached to another, it is a fallback.
    pub function: Function,
    /// What may serve, best first.
    pub candidates: &'static [Candidate],
    /// Tracepoints that notice returns which a kretprobe missed, behind the function. They do
    /// nothing where none was missed, and the hook works without them.
    pub guards: &'static [Tracepoint],
    /// The globals that its programs read besides [`HEAD`](super::global::HEAD),
    /// [`THREAD`](super::global::THREAD) and settings.
    pub reads: &'static [&'static [Global]],
    /// What is not seen without it.
    pub lost: &'static str,
    /// Whether verdicts on what other hooks show rest on it too. The others show steps of their own:
    /// without them such a step is not reported at all.
    pub supports_others: bool,
}

impl Hook {
    /// Its row in the table.
    #[must_use]
    pub const fn info(self) -> &'static HookInfo {
        &HOOKS[self as usize]
    }

    /// Its name in reports and captures.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.info().name
    }
}

impl Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No hook has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownHook;

impl Display for UnknownHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no hook of this name")
    }
}

impl FromStr for Hook {
    type Err = UnknownHook;

    fn from_str(name: &str) -> Result<Self, UnknownHook> {
        Self::ALL.iter().copied().find(|hook| hook.name() == name).ok_or(UnknownHook)
    }
}
