//! What could be attached, for somebody who may not try.
use fragwatch_core::model::hook::HookStatus;

use crate::hook::{
    Target,
    attach::attach_all,
    attacher::{AttachError, Attacher},
};

/// The refusal of an attempt that was not made.
pub const NOT_TRIED: &str = "not tried";

/// Every hook with its candidates: what stands in the way of each by name and prototype, or that it
/// was not tried. None is attached.
pub fn foresee(target: &Target) -> Vec<HookStatus> {
    attach_all(&mut Onlooker, target)
}

/// Asks the kernel nothing.
struct Onlooker;

impl Attacher for Onlooker {
    fn fentry(&mut self, _: &'static str, _: &str) -> Result<(), AttachError> {
        Err(AttachError::NotTried)
    }

    fn fexit(&mut self, _: &'static str, _: &str) -> Result<(), AttachError> {
        Err(AttachError::NotTried)
    }

    fn kprobe(&mut self, _: &'static str, _: &'static str, _: &str) -> Result<(), AttachError> {
        Err(AttachError::NotTried)
    }

    fn breakpoint(&mut self, _: &'static str, _: &str, _: u64) -> Result<(), AttachError> {
        Err(AttachError::NotTried)
    }

    fn tracepoint(&mut self, _: &'static str, _: &str, _: &str) -> Result<(), AttachError> {
        Err(AttachError::NotTried)
    }

    fn unload(&mut self, _: &'static str) {}
}
