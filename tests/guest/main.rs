//! Process 1 of the virtual machine: prepares the node, starts fragwatch, runs one scenario
//! beside it, and sends all output to the host.

mod attempt;
mod channel;
mod container;
mod creator;
mod daemonset;
mod debian;
mod heartbeat;
mod hoard;
mod http;
mod inside;
mod kernel_log;
mod node;
mod overhead;
mod package;
mod refused;
mod reproduce;
mod root;
mod runtime;
mod sandbox;
mod scenario;
mod start_step;
mod state;
mod unprivileged;
mod watcher;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use fragwatch_states::memory::meminfo_kib;
use harness::disk::Disk;
use harness::job::{self, Job};
use harness::scenario::{DAEMONSET, REPRODUCE};
use nix::sys::reboot::{RebootMode, reboot};

use channel::Channel;
use kernel_log::KernelLog;
use watcher::{User, Watcher};

/// The file of `trace --record`, if the host asked for one.
const CAPTURE: &str = "/capture.jsonl";

fn main() {
    if let Some(code) = fragwatch_states::run_if_child() {
        std::process::exit(code.into());
    }
    let mut args = std::env::args().skip(1);
    let child = match (args.next().as_deref(), args.next()) {
        (Some("creator"), Some(comm)) => Some(creator::run_child(&comm)),
        // For executions whose program does not matter.
        (Some("nothing"), _) => Some(Ok(())),
        (Some(package::CHILD), _) => Some(package::run_child()),
        (Some("refused"), Some(count)) => Some(refused::run_child(&count)),
        (Some("sandbox"), Some(comm)) => Some(sandbox::run_child(&comm, &args.collect::<Vec<_>>())),
        (Some("operation"), Some(name)) => {
            Some(overhead::run_child(&name, &args.next().unwrap_or_default()))
        }
        (Some("inside"), Some(program)) => {
            Some(inside::run_child(&program, &args.collect::<Vec<_>>()))
        }
        (Some("unprivileged"), Some(capabilities)) => {
            Some(unprivileged::run_child(&capabilities, &args.collect::<Vec<_>>()))
        }
        _ => None,
    };
    if let Some(result) = child {
        if let Err(error) = result {
            eprintln!("guest: {error:#}");
            std::process::exit(1);
        }
        return;
    }
    // The console is the only way to report an error from here.
    if let Err(error) = run_node() {
        eprintln!("guest: {error:#}");
    }
    // It returns only when it fails.
    let Err(error) = reboot(RebootMode::RB_POWER_OFF);
    eprintln!("guest: can't power off: {error}");
}

fn run_node() -> Result<()> {
    node::mount_all()?;
    let job = read_job()?;
    if job.disk == Some(Disk::Debian) {
        return debian::become_systemd();
    }
    let log = KernelLog::open()?;
    let (channel, writer) = Channel::open("/dev/ttyS1")?;
    if let Err(error) = run_job(&channel, &log, &job) {
        channel.send("error", &format!("{error:#}"));
    }
    match log.lines() {
        Ok(lines) => lines.iter().for_each(|line| channel.send("dmesg", line)),
        Err(error) => channel.send("error", &format!("{error:#}")),
    }
    channel.close(writer)
}

fn read_job() -> Result<Job> {
    let job = fs::read_to_string(job::PATH).with_context(|| format!("can't read {}", job::PATH))?;
    serde_json::from_str(&job).with_context(|| format!("can't parse {}", job::PATH))
}

fn run_job(channel: &Channel, log: &KernelLog, job: &Job) -> Result<()> {
    if job.disk.is_some() {
        root::change()?;
    }
    node::mount_cgroups(job.cgroups)?;
    node::send_file(channel, "cgroups", "/proc/self/cgroup")?;
    let release =
        fs::read_to_string("/proc/sys/kernel/osrelease").context("can't read osrelease")?;
    let memory = meminfo_kib("MemTotal")? / 1024;
    channel.node(format!("a node with {memory} MiB runs Linux {}", release.trim()));
    node::quiet_console()?;
    if job.network {
        node::connect()?;
    }
    if job.capabilities.is_some() {
        // Debian's 3 would ask for CAP_SYS_ADMIN.
        node::set("kernel/perf_event_paranoid", "2")?;
    }
    if let Some(measure) = overhead::of(job) {
        return measure(channel, job);
    }
    if job.scenario == DAEMONSET.name {
        return daemonset::run(channel);
    }
    if REPRODUCE.iter().any(|scenario| scenario.name == job.scenario) {
        return reproduce::run(channel, &job.args);
    }
    let user = match &job.capabilities {
        Some(capabilities) => User::Unprivileged(capabilities),
        None if scenario::prepare(&job.scenario, job.cgroups)? => User::InCgroupNamespace,
        None => User::Root,
    };
    let mut watcher = Watcher::start(channel, &job.args, job.colour, &user)?;
    // Every other command ends by itself.
    let stays = matches!(job.args.first().map(String::as_str), Some("trace" | "serve"));
    if !stays {
        return watcher.finish();
    }
    if !watcher.wait_until_ready()? {
        return watcher.finish();
    }
    channel.node("fragwatch is ready");
    let Job { cgroups, containers, .. } = *job;
    let watching = &mut watcher;
    let states = Vec::new();
    let mut node = scenario::Node { channel, log, watcher: watching, cgroups, containers, states };
    let result = scenario::run(&job.scenario, &mut node);
    // They end when fragwatch has.
    let _states = node.states;
    watcher.stop()?;
    if Path::new(CAPTURE).exists() {
        node::send_file(channel, "capture", CAPTURE)?;
    }
    result
}
