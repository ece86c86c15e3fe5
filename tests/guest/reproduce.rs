//! `fragwatch reproduce` on a node that has nothing but runc and busybox: each run is sent to the host as
//! `NAME exited CODE: STDERR`, `NAME printed: LINE`, and `NAME left: DIFFERENCE` for each thing that is
//! not as before.

mod cases;
mod recipes;
mod snapshot;

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use harness::job::FRAGWATCH;

use crate::channel::Channel;
use crate::{container, node};
use cases::{Case, How};
use recipes::Recipe;
use snapshot::Snapshot;

const STDOUT: &str = "/tmp/reproduce.out";
const STDERR: &str = "/tmp/reproduce.err";
/// A state is reached, a container made, and all undone in this time.
const DEADLINE: Duration = Duration::from_mins(20);
/// What a killed process leaves is undone in this time.
const UNDONE: Duration = Duration::from_mins(1);
/// The disk for swap, if the machine has one.
const SWAP: &str = "/dev/nvme0n1";
/// The user that owns nothing.
const NOBODY: u32 = 65_534;

/// Runs the cases of a group: the first argument.
pub(crate) fn run(channel: &Channel, args: &[String]) -> Result<()> {
    let group = args.first().context("there is no group of cases")?;
    container::prepare()?;
    // The first container makes runc prepare the cgroups' root.
    container::configure(&cgroup(false), &["/bin/busybox", "true"])?;
    let mut warm_up = Command::new("/sbin/runc");
    warm_up.args(&cases::RUNC[1..]);
    let status = finish(&mut warm_up, "the first container")?;
    if !status.success() {
        bail!("the first container must start: {status}, {}", text(STDERR));
    }
    // The kernel mounts it when it is first looked at, which trace does.
    fs::read_dir("/sys/kernel/debug/tracing").context("can't look at tracefs")?;
    if fs::exists(SWAP).unwrap_or(false) {
        swap_on()?;
    }
    fs::write("/tmp/incident.txt", cases::INCIDENT).context("can't write the incident")?;
    fs::write("/tmp/capture.jsonl", cases::CAPTURE).context("can't write the capture")?;
    fs::write("/tmp/no-state.json", "{\"format\":\"else\"}").context("can't write a file")?;
    match group.as_str() {
        "recipes" => run_recipes(channel, &recipes::all()?)?,
        "typed" => run_recipes(channel, &[Recipe::typed(&args[1..].join("\n"))])?,
        group => run_cases(channel, &cases::of(group)?)?,
    }
    channel.send("exit", "0");
    Ok(())
}

fn run_recipes(channel: &Channel, recipes: &[Recipe]) -> Result<()> {
    recipes::prepare()?;
    for recipe in recipes {
        let name = recipe.name.as_str();
        leaving_nothing(channel, name, || {
            let status = finish(&mut recipe.command()?, name)?;
            report(channel, name, status);
            Ok(())
        })?;
    }
    Ok(())
}

fn run_cases(channel: &Channel, cases: &[Case]) -> Result<()> {
    for case in cases {
        if case.module && !fs::exists("/sys/module/fragwatch_pernet").unwrap_or(false) {
            node::load_pernet_module(channel)?;
        }
        container::configure(&cgroup(case.below_limit), &["/bin/busybox", "true"])?;
        for (path, value) in case.settings {
            fs::write(path, value).with_context(|| format!("can't write {value} to {path}"))?;
        }
        leaving_nothing(channel, case.name, || run_case(channel, case))?;
    }
    Ok(())
}

/// Swaps to the machine's disk.
fn swap_on() -> Result<()> {
    for applet in ["mkswap", "swapon"] {
        let status = Command::new("/bin/busybox").args([applet, SWAP]).status();
        if !status.context("can't run busybox")?.success() {
            bail!("busybox {applet} {SWAP} failed");
        }
    }
    Ok(())
}

/// The container's cgroup, with the limit above it or without.
fn cgroup(below_limit: bool) -> String {
    let above = if below_limit { "/fragwatch-reproduce" } else { "" };
    format!("{above}/{}", container::container_id(1))
}

fn run_case(channel: &Channel, case: &Case) -> Result<()> {
    let name = case.name;
    let mut command = Command::new(FRAGWATCH);
    command.arg("reproduce").args(case.args);
    match case.how {
        How::Finish => {
            let status = finish(&mut command, name)?;
            report(channel, name, status);
        }
        How::Unprivileged => {
            let status = finish(command.uid(NOBODY).gid(NOBODY), name)?;
            report(channel, name, status);
        }
        How::Kill => {
            let mut child = start(&mut command)?;
            wait_for_sleeper(&mut child, name)?;
            child.kill().context("can't kill fragwatch")?;
            let status = child.wait().context("can't wait for fragwatch")?;
            report(channel, name, status);
        }
    }
    Ok(())
}

/// Does something, and sends to the host what is not as before, and how long it took.
fn leaving_nothing(channel: &Channel, name: &str, run: impl FnOnce() -> Result<()>) -> Result<()> {
    let before = Snapshot::take()?;
    let began = Instant::now();
    run()?;
    let took = began.elapsed().as_millis();
    // Memory and namespaces are given back a moment after their process ended.
    let deadline = Instant::now() + UNDONE;
    let mut differences = Snapshot::take()?.differences(&before);
    while !differences.is_empty() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(200));
        differences = Snapshot::take()?.differences(&before);
    }
    for difference in differences {
        channel.node(format!("{name} left: {difference}"));
    }
    channel.node(format!("{name} took {took} ms"));
    Ok(())
}

fn start(command: &mut Command) -> Result<Child> {
    let create = |path: &str| File::create(path).with_context(|| format!("can't create {path}"));
    // Files, not pipes: what is left behind would keep a pipe open.
    command
        .stdin(Stdio::null())
        .stdout(create(STDOUT)?)
        .stderr(create(STDERR)?)
        .spawn()
        .with_context(|| format!("can't start {}", command.get_program().display()))
}

fn finish(command: &mut Command, name: &str) -> Result<ExitStatus> {
    let mut child = start(command)?;
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(status) = child.try_wait().context("can't wait for fragwatch")? {
            return Ok(status);
        }
        if Instant::now() > deadline {
            child.kill().context("can't kill fragwatch")?;
            bail!("{name} did not end within {} s: {}", DEADLINE.as_secs(), text(STDERR));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until the command of a case runs, which sleeps.
fn wait_for_sleeper(child: &mut Child, name: &str) -> Result<()> {
    let deadline = Instant::now() + DEADLINE;
    while !snapshot::processes()?.iter().any(|process| process == "busybox") {
        if Instant::now() > deadline
            || child.try_wait().context("can't wait for fragwatch")?.is_some()
        {
            bail!("the command of {name} was not started: {}", text(STDERR));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn report(channel: &Channel, name: &str, status: ExitStatus) {
    for line in text(STDOUT).lines() {
        channel.node(format!("{name} printed: {line}"));
    }
    let code = status.code().map_or_else(|| "by a signal".to_owned(), |code| code.to_string());
    let stderr = text(STDERR);
    channel.node(format!("{name} exited {code}: {}", stderr.trim().replace('\n', "; ")));
}

fn text(path: &str) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
