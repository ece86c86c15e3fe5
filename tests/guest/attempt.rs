//! Containers that are made step by step, in one of two pods: those of one pod meet a fault, those of
//! the other, the controls, don't. Each outcome goes to the host with the cgroup, as one JSON object
//! on the stream `outcome`: it is what a report is compared with.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use fragwatch_states::cgroup::set_limit;
use harness::job::Cgroups;
use harness::judge::cause;

use crate::channel::Channel;
use crate::creator::{Creator, Outcome, Step};
use crate::scenario::Node;
use crate::{container, node};

pub(crate) use harness::judge::cause::Side;

/// The pod for containers of this side.
fn pod_uid(side: Side) -> &'static str {
    match side {
        Side::Faulty => "0bad0bad-6f1d-4c57-9a3e-1f0c2d7b8a01",
        Side::Control => "900d900d-6f1d-4c57-9a3e-1f0c2d7b8a02",
    }
}

/// A container that is being made.
pub(crate) struct Attempt {
    side: Side,
    /// The name of the fault.
    fault: &'static str,
    pod: String,
    id: String,
    cgroups: Cgroups,
    creator: Creator,
}

impl Attempt {
    /// Makes the pod's cgroup, and starts the process that will make the container.
    pub(crate) fn prepare(node: &Node, side: Side, fault: &'static str) -> Result<Self> {
        let pod = format!("/kubepods/burstable/pod{}", pod_uid(side));
        make_pod(node.cgroups, &pod)?;
        let (id, creator) = (next_id(), Creator::start()?);
        Ok(Self { side, fault, pod, id, cgroups: node.cgroups, creator })
    }

    /// Makes the container's cgroup, which its maker enters.
    pub(crate) fn enter(&mut self) -> Result<()> {
        for directory in self.directories() {
            fs::create_dir(&directory).with_context(|| format!("can't make {directory}"))?;
        }
        let files = self.procs();
        self.creator.take(&Step::Enter(&files))?.context("the creator can't enter its cgroup")
    }

    /// The `cgroup.procs` of the container's cgroups.
    pub(crate) fn procs(&self) -> Vec<String> {
        self.directories().iter().map(|directory| format!("{directory}/cgroup.procs")).collect()
    }

    /// Gives the container's cgroup another name, which only v1 lets.
    pub(crate) fn rename(&mut self) -> Result<()> {
        let old = self.directories();
        self.id = next_id();
        for (old, new) in old.iter().zip(self.directories()) {
            fs::rename(old, &new).with_context(|| format!("can't call {old} {new}"))?;
        }
        Ok(())
    }

    /// Limits the pod to what it has and so much more: `limit("pids", "pids.max", "pids.current", 1)`.
    pub(crate) fn limit(&self, controller: &str, most: &str, usage: &str, more: u64) -> Result<()> {
        set_limit(&self.pod_directory(controller), most, usage, more).map(drop)
    }

    /// Writes to a file of the pod's cgroup.
    pub(crate) fn set(&self, controller: &str, file: &str, value: &str) -> Result<()> {
        let path = format!("{}/{file}", self.pod_directory(controller));
        fs::write(&path, value).with_context(|| format!("can't write {value} to {path}"))
    }

    /// How often that event came about in the pod's cgroup: `events("memory.events", "max")`.
    pub(crate) fn events(&self, file: &str, event: &str) -> Result<u64> {
        let path = format!("{}/{file}", self.pod_directory("memory"));
        let text = fs::read_to_string(&path).with_context(|| format!("can't read {path}"))?;
        let count = text.lines().find_map(|line| line.strip_prefix(event)?.strip_prefix(' '));
        count.and_then(|count| count.parse().ok()).with_context(|| format!("no {event} in {path}"))
    }

    fn pod_directory(&self, controller: &str) -> String {
        format!("{}{}", node::cgroup_root(self.cgroups, controller), self.pod)
    }

    /// Takes a step and sends its outcome to the host.
    pub(crate) fn take(&mut self, node: &Node, step: &Step) -> Result<Outcome> {
        let outcome = self.quietly(step)?;
        self.report(node, outcome);
        Ok(outcome)
    }

    /// Takes a step.
    pub(crate) fn quietly(&mut self, step: &Step) -> Result<Outcome> {
        self.creator.take(step)
    }

    /// Has the memory cgroup made, and sends the outcome to the host.
    pub(crate) fn make_cgroup(&mut self, node: &Node) -> Result<Outcome> {
        let outcome = self.make_cgroup_quietly()?;
        self.report(node, outcome);
        Ok(outcome)
    }

    /// Has the memory cgroup made.
    pub(crate) fn make_cgroup_quietly(&mut self) -> Result<Outcome> {
        self.id = next_id();
        let directory = self.directories().swap_remove(0);
        self.quietly(&Step::MakeCgroup(&directory))
    }

    /// Sends the outcome of a step to the host.
    pub(crate) fn report(&self, node: &Node, outcome: Outcome) {
        let errno = outcome.err().map(|errno| format!("{errno:?}"));
        report(node.channel, self.side, self.fault, &self.cgroup(), errno.as_deref());
    }

    /// The process that makes it.
    pub(crate) fn creator(&mut self) -> &mut Creator {
        &mut self.creator
    }

    /// The process that makes it, when nothing more is to be made.
    pub(crate) fn into_creator(self) -> Creator {
        self.creator
    }

    /// The cgroup's path as reports have it.
    pub(crate) fn cgroup(&self) -> String {
        format!("{}/{}", self.pod, self.id)
    }

    /// The container's cgroup in each hierarchy, the memory controller's first.
    fn directories(&self) -> Vec<String> {
        roots(self.cgroups).iter().map(|root| format!("{root}{}", self.cgroup())).collect()
    }
}

/// Sends the outcome of a creation to the host: `errno` is how it failed, none if it succeeded.
pub(crate) fn report(
    channel: &Channel,
    side: Side,
    fault: &str,
    cgroup: &str,
    errno: Option<&str>,
) {
    let (fault, cgroup) = (fault.to_owned(), cgroup.to_owned());
    let end = errno.map_or_else(|| "made".to_owned(), |errno| format!("failed with {errno}"));
    channel.node(format!("{} {fault}: {end}", side.name()));
    channel.send_json(
        "outcome",
        &cause::Outcome { side, fault, cgroup, errno: errno.map(str::to_owned) },
    );
}

/// One that no other container of this machine has.
fn next_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1_000_000);
    container::container_id(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Where hierarchies with limits are mounted.
fn roots(cgroups: Cgroups) -> Vec<String> {
    match cgroups {
        Cgroups::V2 => vec![node::cgroup_root(cgroups, "memory")],
        Cgroups::V1 => ["memory", "pids"].map(|c| node::cgroup_root(cgroups, c)).to_vec(),
    }
}

fn make_pod(cgroups: Cgroups, pod: &str) -> Result<()> {
    for root in roots(cgroups) {
        let directory = format!("{root}{pod}");
        fs::create_dir_all(&directory).with_context(|| format!("can't make {directory}"))?;
        if cgroups == Cgroups::V1 {
            continue;
        }
        let mut above = root;
        for name in pod.split('/') {
            if !name.is_empty() {
                above = format!("{above}/{name}");
            }
            let file = format!("{above}/cgroup.subtree_control");
            fs::write(&file, "+memory +pids").with_context(|| format!("can't write to {file}"))?;
        }
    }
    Ok(())
}
