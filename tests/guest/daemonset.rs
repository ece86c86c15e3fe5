//! The DaemonSet's pod on a node of containerd: it must get ready, and name a pod that can't start beside it.
//! Each step goes to the host as one JSON object on the stream `daemonset`.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::channel::Channel;
use crate::runtime::{self, Containerd, DaemonSet, Runtime};
use crate::{fragmenter, http, namespaces, node};

/// For what takes some seconds on a quiet machine.
const DEADLINE: Duration = Duration::from_mins(4);
/// How often a pod is given the chance to fail.
const TRIES: u64 = 12;
const STORE: &str = "/var/lib/fragwatch";

/// The whole scenario.
pub(crate) fn run(channel: &Channel) -> Result<()> {
    let result = steps(channel);
    runtime::daemonset_log().lines().for_each(|line| channel.send("pod-log", line));
    result?;
    channel.send("exit", "0");
    Ok(())
}

fn steps(channel: &Channel) -> Result<()> {
    let step = |name: &str, value: serde_json::Value| {
        channel.send_json("daemonset", &json!({"step": name, "value": value}));
    };
    node::load_pernet_module(channel)?;
    runtime::prepare_node()?;
    // A kubelet makes it: `DirectoryOrCreate`.
    fs::create_dir_all(STORE).with_context(|| format!("can't create {STORE}"))?;
    Containerd.prepare()?;
    channel.node("containerd is ready");
    let address = runtime::start_daemonset(&DaemonSet::read()?)?;
    let address = format!("{address}:9823");
    channel.node(format!("the DaemonSet's pod runs at {address}"));
    wait_for("the pod is ready", || answers(&address, "/readyz"))?;
    step("healthy", json!(answers(&address, "/healthz")));
    step("before", status(&address)?);
    fragmenter::fragment(channel)?;
    for number in 1..=TRIES {
        // What the one before gave back must not do for this one.
        namespaces::fill(0)?;
        let start = Containerd.start(number)?;
        if start.running {
            continue;
        }
        step("failed", json!({"identity": start.identity, "output": start.output}));
        wait_for("the failure is reported", || {
            status(&address).is_ok_and(|status| status["failed"].as_u64() > Some(0))
        })?;
        // The pod's name may come after the report.
        thread::sleep(Duration::from_secs(5));
        step("after", status(&address)?);
        let (_, metrics) = http::get_from(&address, "/metrics")?;
        step("metrics", json!(metrics));
        return Ok(());
    }
    bail!("no pod failed in {TRIES} starts")
}

fn answers(address: &str, path: &str) -> bool {
    http::get_from(address, path).is_ok_and(|(code, _)| code == "200")
}

fn status(address: &str) -> Result<serde_json::Value> {
    let (_, body) = http::get_from(address, "/status")?;
    serde_json::from_str(&body).context("the status is no JSON")
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let began = Instant::now();
    while !holds() {
        if began.elapsed() > DEADLINE {
            bail!("after {} s it does not hold that {what}", DEADLINE.as_secs());
        }
        thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}
