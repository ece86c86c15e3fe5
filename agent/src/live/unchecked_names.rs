//! Hooks that were attached by a name of which the kernel may have two functions.
use std::sync::{Arc, Mutex, PoisonError};

use fragwatch_core::model::{frame::plain, hook::HookStatus};
use fragwatch_ebpf::table::{Candidate, HookInfo};

use crate::{
    hook::Links,
    kernel::function_names::{FunctionNames, own_text},
};

/// The attached hooks whose functions' names were not checked.
pub(super) struct Unchecked {
    /// With the function's name, without a suffix.
    hooks: Vec<(&'static HookInfo, String)>,
    links: Arc<Mutex<Links>>,
}

impl Unchecked {
    pub(super) fn of(hooks: &[HookStatus], links: &Arc<Mutex<Links>>) -> Self {
        let attached = hooks.iter().filter_map(|hook| {
            let target = &hook.via.as_ref()?.target;
            Some((hook.hook.info(), plain(target).to_owned()))
        });
        Self { hooks: attached.collect(), links: Arc::clone(links) }
    }

    /// Reads all names, and detaches hooks whose function is ambiguous: it may be the wrong one.
    pub(super) fn check(self) {
        let names = match FunctionNames::load(own_text) {
            Ok(names) => names,
            Err(error) => {
                log::debug!("functions of the same name would not be seen: {error}");
                return;
            }
        };
        for (hook, function) in &self.hooks {
            if !names.is_ambiguous(function) {
                continue;
            }
            log::warn!(
                "this kernel has more than one function {function}: from now on not seen: {}",
                hook.lost
            );
            let is_meant = |of: &Candidate| of.function().is_some_and(|of| of.name == function);
            hook.candidates.iter().copied().filter(is_meant).for_each(|of| self.detach(&of));
        }
    }

    fn detach(&self, candidate: &Candidate) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        candidate.programs().for_each(|program| links.remove(program));
    }
}
