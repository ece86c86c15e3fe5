//! What happens on the node: one file per scenario.

mod burst;
mod check;
mod doctor;
mod endings;
mod fallback;
mod flood;
mod healthy;
mod memcg_limit;
mod order6;

use anyhow::{Result, bail};

use crate::channel::Channel;
use crate::kernel_log::KernelLog;
use crate::watcher::Watcher;

/// What a scenario works with.
pub(crate) struct Node<'a> {
    /// The way to the host.
    pub(crate) channel: &'a Channel,
    /// What the kernel says.
    pub(crate) log: &'a KernelLog,
    /// fragwatch, which runs beside the scenario.
    pub(crate) watcher: &'a mut Watcher,
}

impl Node<'_> {
    /// Whether it makes sense to go on: a scenario that nobody watches any more ends.
    fn watched(&mut self) -> Result<bool> {
        let ended = self.watcher.ended()?;
        if ended {
            self.channel.node("fragwatch ended before the scenario did");
        }
        Ok(!ended)
    }
}

type Scenario = fn(&mut Node) -> Result<()>;

/// All scenarios, by the names that `xtask` knows them by.
const SCENARIOS: [(&str, Scenario); 9] = [
    ("healthy", healthy::run),
    ("order6", order6::run),
    ("fallback", fallback::run),
    ("endings", endings::run),
    ("burst", burst::run),
    ("flood", flood::run),
    ("doctor", doctor::run),
    ("memcg-limit", memcg_limit::run),
    ("check", check::run),
];

/// Runs the scenario of that name.
pub(crate) fn run(name: &str, node: &mut Node) -> Result<()> {
    match SCENARIOS.iter().find(|(known, _)| *known == name) {
        Some((_, scenario)) => scenario(node),
        None => bail!("this machine knows no scenario {name}"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn host_and_guest_know_the_same_scenarios() {
        let guest = super::SCENARIOS.map(|(name, _)| name);
        let host = xtask::vm::scenario::SCENARIOS.map(|scenario| scenario.name);
        assert_eq!(guest, host);
    }
}
