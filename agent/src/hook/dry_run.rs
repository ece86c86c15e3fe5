//! What could be attached, where the kernel must not be asked.
use fragwatch_core::model::hook::{HookStatus, Refusal};

use crate::hook::{
    Target,
    attach::attach_all,
    attacher::{AttachPoint, Attacher, SharedReturn},
};

/// Every hook with its candidates: why each is ruled out by name or prototype, or
/// [`Refusal::NotTried`]. Nothing is attached.
pub fn dry_run(target: &Target) -> Vec<HookStatus> {
    attach_all(&mut DryRun, target)
}

/// Never asks the kernel.
struct DryRun;

impl Attacher for DryRun {
    fn attach(&mut self, _: &'static str, _: AttachPoint) -> Result<(), Refusal> {
        Err(Refusal::NotTried)
    }

    fn attach_shared(&mut self, _: &'static str, _: &[SharedReturn]) -> Result<(), Refusal> {
        Err(Refusal::NotTried)
    }

    fn unload(&mut self, _: &'static str) {}
}
