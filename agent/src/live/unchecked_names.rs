//! Hooks that were attached by a name of which the kernel may have two functions.
use std::sync::{Arc, Mutex, PoisonError};

use fragwatch_core::model::{
    frame::plain,
    hook::{HookStatus, Refusal, State},
};
use fragwatch_ebpf::table::Candidate;

use crate::{
    hook::Links,
    kernel::function_names::{FunctionNames, own_text},
};

/// What became of hooks that were detached again, until the loop takes it.
pub(super) type Detached = Arc<Mutex<Vec<HookStatus>>>;

/// The attached hooks whose functions' names were not checked.
pub(super) struct Unchecked {
    hooks: Vec<HookStatus>,
    links: Arc<Mutex<Links>>,
    detached: Detached,
}

impl Unchecked {
    pub(super) fn of(hooks: &[HookStatus], links: &Arc<Mutex<Links>>, detached: &Detached) -> Self {
        Self { hooks: hooks.to_vec(), links: Arc::clone(links), detached: Arc::clone(detached) }
    }

    /// Reads all names, and detaches hooks whose function is ambiguous: it may be the wrong one.
    pub(super) fn check(self) {
        match FunctionNames::load(own_text) {
            Ok(names) => self.detach_ambiguous(&names),
            Err(error) => log::debug!("functions of the same name would not be seen: {error}"),
        }
    }

    fn detach_ambiguous(&self, names: &FunctionNames) {
        for hook in &self.hooks {
            let Some(via) = &hook.via else { continue };
            let function = plain(&via.target);
            if !names.is_ambiguous(function) {
                continue;
            }
            let is_meant = |of: &Candidate| of.function().is_some_and(|of| of.name == function);
            let candidates = hook.hook.info().candidates.iter().copied();
            candidates.filter(is_meant).for_each(|of| self.detach(&of));
            let status = without(hook, &Refusal::Ambiguous(function.to_owned()));
            log::warn!(
                "{}: from now on not seen: {}",
                status.why.as_deref().unwrap_or_default(),
                hook.hook.info().lost
            );
            self.detached.lock().unwrap_or_else(PoisonError::into_inner).push(status);
        }
    }

    fn detach(&self, candidate: &Candidate) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        candidate.programs().for_each(|program| links.remove(program));
    }
}

/// A hook that is attached no longer.
fn without(hook: &HookStatus, refusal: &Refusal) -> HookStatus {
    HookStatus {
        hook: hook.hook,
        via: None,
        state: State::Missing,
        why: Some(refusal.to_string()),
        reasons: vec![refusal.reason()],
        not_seen: Some(hook.hook.info().lost.to_owned()),
        attempts: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use fragwatch_core::model::hook::{Hook, Method, Via};

    use super::*;
    use crate::kernel::kallsyms::tests::KALLSYMS;

    #[test]
    fn hook_of_an_ambiguous_function_is_missing_from_then_on() {
        let attached = HookStatus {
            hook: Hook::PernetInit,
            via: Some(Via { method: Method::Fexit, target: "ops_init".to_owned() }),
            state: State::Attached,
            why: None,
            reasons: Vec::new(),
            not_seen: None,
            attempts: Vec::new(),
        };
        let detached = |kallsyms: &str| {
            let names = FunctionNames::read(kallsyms.as_bytes(), |_| ControlFlow::Continue(()))
                .expect("reads from memory");
            let detached = Detached::default();
            let links = Arc::default();
            let hooks = std::slice::from_ref(&attached);
            Unchecked::of(hooks, &links, &detached).detach_ambiguous(&names);
            let found = detached.lock().expect("no thread panicked");
            found.clone()
        };
        assert_eq!(detached(KALLSYMS), []);
        let found = detached(&format!("{KALLSYMS}ffffffff81b00800 t ops_init\n"));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].state, &found[0].via), (State::Missing, &None));
        assert_eq!(found[0].not_seen.as_deref(), Some(Hook::PernetInit.info().lost));
        assert_eq!(found[0].why, Some(Refusal::Ambiguous("ops_init".to_owned()).to_string()));
    }
}
