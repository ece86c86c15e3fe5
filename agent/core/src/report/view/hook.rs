//! Hooks.
use crate::{model::hook::HookStatus, report::line::hook};

/// A hook as `trace` has it: attached or not, without what was tried.
pub fn hook(status: &HookStatus) -> hook::Hook {
    hook::Hook {
        name: status.hook.name().replace('_', "-"),
        via: status.via.as_ref().map(ToString::to_string),
        state: Some(status.state),
        why: status.why.clone(),
        reasons: status.reasons.iter().map(ToString::to_string).collect(),
        not_seen: status.not_seen.clone(),
        attempts: None,
    }
}

/// What can't be seen because of hooks and for other reasons, each once.
pub(super) fn all_not_seen(hooks: &[HookStatus], others: &[String]) -> Vec<String> {
    let hooks = hooks.iter().filter_map(|hook| hook.not_seen.as_ref());
    let mut all: Vec<String> = Vec::new();
    for not_seen in hooks.chain(others) {
        if !all.contains(not_seen) {
            all.push(not_seen.clone());
        }
    }
    all
}
