//! What happens on the node: one file per scenario.

mod burst;
mod cgroup_namespace;
mod cgroup_storm;
mod check;
mod cpuset_empty;
mod doctor;
mod endings;
mod exhausted;
mod fallback;
mod flood;
mod fork_nproc;
mod full_pod;
mod healthy;
mod high_order_steps;
mod hostile;
mod keyring_quota;
mod killed;
mod many_nodes;
mod memcg_ids;
mod memcg_kmem_v1;
mod memcg_limit;
mod memlock;
mod near_miss;
mod netns_limit;
mod oom_group;
mod oom_order1;
mod oom_real;
mod oom_victims;
mod order6;
mod page;
mod pids_limit;
mod reader_stopped;
mod renamed;
mod runtimes;
mod sandbox;
mod serve;
mod step_memcg;
mod stuck;
mod userns_flood;

use anyhow::{Result, bail};
use fragwatch_states::Keeper;
use harness::job::Cgroups;
use harness::scenario::PAGE;

use crate::channel::Channel;
use crate::creator;
use crate::kernel_log::KernelLog;
use crate::watcher::Watcher;

/// What a scenario works with.
pub(crate) struct Node<'a> {
    /// The channel to the host.
    pub(crate) channel: &'a Channel,
    /// The kernel's log.
    pub(crate) log: &'a KernelLog,
    /// fragwatch, which runs beside the scenario.
    pub(crate) watcher: &'a mut Watcher,
    /// How its cgroups are mounted.
    pub(crate) cgroups: Cgroups,
    /// How many containers each runtime starts while the node is well.
    pub(crate) containers: u32,
    /// The states that the scenario has reached, which last until fragwatch has ended.
    pub(crate) states: Vec<Keeper>,
}

impl Node<'_> {
    /// Whether it makes sense to go on: without fragwatch a scenario ends.
    fn watched(&mut self) -> Result<bool> {
        let ended = self.watcher.ended()?;
        if ended {
            self.channel.node("fragwatch ended before the scenario did");
        }
        Ok(!ended)
    }

    /// Whether the OOM killer was called by a creator.
    fn called_oom_killer(&self) -> Result<bool> {
        let message = format!("] {} invoked oom-killer", creator::COMM);
        Ok(self.log.lines()?.iter().any(|line| line.contains(&message)))
    }
}

type Scenario = fn(&mut Node) -> Result<()>;

/// All scenarios, by their names in [`harness::scenario::SCENARIOS`].
const SCENARIOS: [(&str, Scenario); 41] = [
    ("healthy", healthy::run),
    ("order6", order6::run),
    ("fallback", fallback::run),
    ("endings", endings::run),
    ("burst", burst::run),
    ("flood", flood::run),
    ("many-nodes", many_nodes::run),
    ("doctor", doctor::run),
    ("oom-order1", oom_order1::run),
    ("oom-victims", oom_victims::run),
    ("oom-real", oom_real::run),
    ("exhausted", exhausted::run),
    ("memcg-limit", memcg_limit::run),
    ("full-pod", full_pod::run),
    ("memcg-kmem-v1", memcg_kmem_v1::run),
    ("memcg-ids", memcg_ids::run),
    ("netns-limit", netns_limit::run),
    ("pids-limit", pids_limit::run),
    ("fork-memcg", step_memcg::fork),
    ("fork-nproc", fork_nproc::run),
    ("exec-enomem", high_order_steps::exec),
    ("mount-enomem", high_order_steps::mount),
    ("link-order6", high_order_steps::link),
    ("keyring-quota", keyring_quota::run),
    ("seccomp-memcg", step_memcg::seccomp),
    ("memlock", memlock::run),
    ("cpuset-empty", cpuset_empty::run),
    ("killed", killed::run),
    ("oom-group", oom_group::run),
    ("near-miss", near_miss::run),
    ("check", check::run),
    ("serve", serve::run),
    ("cgroup-storm", cgroup_storm::run),
    ("hostile", hostile::run),
    ("userns-flood", userns_flood::run),
    ("stuck", stuck::run),
    ("reader-stopped", reader_stopped::run),
    ("sandbox", sandbox::run),
    ("cgroup-renamed", renamed::run),
    ("cgroup-namespace", cgroup_namespace::run),
    ("runtimes", runtimes::run),
];

/// Makes what has to be there before fragwatch is started. True if that is to run in a cgroup
/// namespace.
pub(crate) fn prepare(name: &str, cgroups: Cgroups) -> Result<bool> {
    if name == "serve" || name == PAGE.name {
        crate::http::prepare()?;
    }
    let in_namespace = name == "cgroup-namespace";
    if in_namespace {
        cgroup_namespace::prepare(cgroups)?;
    }
    Ok(in_namespace)
}

/// Runs the scenario of that name.
pub(crate) fn run(name: &str, node: &mut Node) -> Result<()> {
    match SCENARIOS.iter().find(|(known, _)| *known == name) {
        Some((_, scenario)) => scenario(node),
        None if name == PAGE.name => page::run(node),
        None => bail!("this guest has no scenario {name}"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn guest_has_all_scenarios() {
        let guest = super::SCENARIOS.map(|(name, _)| name);
        let host = harness::scenario::SCENARIOS.map(|scenario| scenario.name);
        assert_eq!(guest, host);
    }
}
