//! fragwatch runs in a cgroup namespace, as in a container that is a node itself. A process is refused in
//! a cgroup that was there before fragwatch, again after a creation in it, and in one that is made
//! while it watches.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use harness::job::Cgroups;
use nix::errno::Errno;
use nix::sched::CloneFlags;
use serde_json::json;

use super::Node;
use crate::creator::{Creator, Step};
use crate::{container, inside, node};

/// One refusal per cgroup and second is reported.
const APART: Duration = Duration::from_millis(1100);

/// What is there before fragwatch is started: the cgroup that it gets for its root, with one for itself
/// and a pod with a container in it.
pub(crate) fn prepare(cgroups: Cgroups) -> Result<()> {
    let root = node::cgroup_root(cgroups, "pids");
    [format!("{root}{}", inside::LEAF), directory(cgroups, 1)]
        .iter()
        .try_for_each(|path| fs::create_dir_all(path).with_context(|| format!("can't make {path}")))
}

pub(super) fn run(node: &mut Node) -> Result<()> {
    let mut creator = Creator::start()?;
    limit(node.cgroups, 1)?;
    enter(node, &mut creator, 1)?;
    refuse(node, &mut creator, "before", 1)?;
    creator.take(&Step::Unshare(CloneFlags::CLONE_NEWNET))?.context("nothing limits that")?;
    std::thread::sleep(APART);
    refuse(node, &mut creator, "after", 1)?;
    let directory = directory(node.cgroups, 2);
    fs::create_dir_all(&directory).with_context(|| format!("can't make {directory}"))?;
    limit(node.cgroups, 2)?;
    let mut second = Creator::start()?;
    enter(node, &mut second, 2)?;
    refuse(node, &mut second, "made", 2)
}

/// Lets a container have one process.
fn limit(cgroups: Cgroups, number: u64) -> Result<()> {
    let mut above = node::cgroup_root(cgroups, "pids");
    for name in path(number).split('/').skip(1) {
        let file = format!("{above}/cgroup.subtree_control");
        fs::write(&file, "+pids").with_context(|| format!("can't write to {file}"))?;
        above = format!("{above}/{name}");
    }
    let file = format!("{above}/pids.max");
    fs::write(&file, "1").with_context(|| format!("can't write to {file}"))
}

fn enter(node: &Node, creator: &mut Creator, number: u64) -> Result<()> {
    let procs = format!("{}/cgroup.procs", directory(node.cgroups, number));
    creator.take(&Step::Enter(&[procs]))?.context("the creator can't enter its cgroup")
}

fn refuse(node: &Node, creator: &mut Creator, what: &str, number: u64) -> Result<()> {
    let outcome = creator.take(&Step::Fork)?;
    if outcome != Err(Errno::EAGAIN) {
        bail!("at the limit the errno must be EAGAIN, and it is {outcome:?}");
    }
    let id = container::container_id(3_000_000 + number);
    let outcome = json!({"what": what, "path": path(number), "id": id});
    node.channel.send("outcome", &outcome.to_string());
    Ok(())
}

fn directory(cgroups: Cgroups, number: u64) -> String {
    format!("{}{}", node::cgroup_root(cgroups, "pids"), path(number))
}

fn path(number: u64) -> String {
    let id = container::container_id(3_000_000 + number);
    format!("{}/kubepods/pod900d900d-6f1d-4c57-9a3e-{number:012x}/{id}", inside::CGROUP)
}
