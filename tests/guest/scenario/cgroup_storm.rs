//! Ten containers fail to start, each in a cgroup that is gone at once, while a thousand other cgroups
//! come and go.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use serde_json::json;

use super::Node;
use crate::creator::{Creator, Step, Trial};
use crate::{container, node};

const CONTAINERS: u64 = 10;
/// Cgroups that come and go meanwhile, at least.
const STORM: u64 = 1000;
/// The containers' starts are that far apart, so that the storm is all around them.
const APART: Duration = Duration::from_millis(100);

pub(super) fn run(node: &mut Node) -> Result<()> {
    let root = node::cgroup_root(node.cgroups, "memory");
    let pods = format!("{root}/kubepods/burstable");
    fs::create_dir_all(&pods).with_context(|| format!("can't make {pods}"))?;
    let mut above = root.clone();
    for name in ["kubepods", "burstable"] {
        set(&format!("{above}/cgroup.subtree_control"), "+pids")?;
        above = format!("{above}/{name}");
    }
    set(&format!("{pods}/cgroup.subtree_control"), "+pids")?;
    let mut creator = Creator::start()?;
    node::set("user/max_net_namespaces", "0")?;
    let (ends, made) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| -> Result<()> {
        let storm = scope.spawn(|| storm(&root, &ends, &made));
        let failed = (0..CONTAINERS).try_for_each(|number| fail(node, &mut creator, &pods, number));
        ends.store(true, Ordering::Relaxed);
        let took = match storm.join() {
            Ok(took) => took?,
            Err(_) => bail!("the storm panicked"),
        };
        node.channel.send(
            "storm",
            &json!({"cgroups": made.load(Ordering::Relaxed), "ms": took.as_millis() as u64})
                .to_string(),
        );
        failed
    })?;
    node.watcher.send_usage()
}

/// Makes and removes cgroups until `ends` is set and [`STORM`] have been made; returns how long that
/// took.
fn storm(root: &str, ends: &AtomicBool, made: &AtomicU64) -> Result<Duration> {
    let began = Instant::now();
    while !ends.load(Ordering::Relaxed) || made.load(Ordering::Relaxed) < STORM {
        let number = made.fetch_add(1, Ordering::Relaxed);
        let directory = format!("{root}/storm-{number}.service");
        fs::create_dir(&directory).with_context(|| format!("can't make {directory}"))?;
        fs::remove_dir(&directory).with_context(|| format!("can't remove {directory}"))?;
    }
    Ok(began.elapsed())
}

/// One container, of a pod of its own, whose start fails.
fn fail(node: &Node, creator: &mut Creator, pods: &str, number: u64) -> Result<()> {
    let uid = format!("5707a000-6f1d-4c57-9a3e-{number:012x}");
    let pod = format!("web-{number}");
    container::name_pod("shop", &pod, &uid)?;
    let directory = format!("{pods}/pod{uid}");
    fs::create_dir(&directory).with_context(|| format!("can't make {directory}"))?;
    set(&format!("{directory}/cgroup.subtree_control"), "+pids")?;
    let id = container::container_id(2_000_000 + number);
    let (trial, errno) = if number.is_multiple_of(2) {
        (Trial::Unshare, Errno::ENOSPC)
    } else {
        (Trial::Fork, Errno::EAGAIN)
    };
    creator.begin(&Step::Brief(&format!("{directory}/{id}"), trial))?;
    let (outcome, lived_us) = creator.finish_timed()?;
    if outcome != Err(errno) {
        bail!("container {number} must fail with {errno:?}, and it was {outcome:?}");
    }
    let errno = format!("{errno:?}");
    let outcome =
        json!({"pod": pod, "id": id, "pod_uid": uid, "errno": errno, "lived_us": lived_us});
    node.channel.send("outcome", &outcome.to_string());
    thread::sleep(APART);
    Ok(())
}

fn set(file: &str, value: &str) -> Result<()> {
    fs::write(file, value).with_context(|| format!("can't write {value} to {file}"))
}
