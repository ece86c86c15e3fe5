//! The Debian package on a node: installed, run as a service by systemd, killed by its watchdog,
//! configured, purged. Each step goes to the host as one JSON object on the stream `package`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use harness::job::PACKAGE;
use nix::sched::{CloneFlags, unshare};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::channel::Channel;
use crate::node;

/// This program's argument.
pub(crate) const CHILD: &str = "package";

const UNIT: &str = "fragwatch.service";
const CONFIGURATION: &str = "/etc/fragwatch/serve.toml";
const PORT: u16 = 9823;
const OTHER_PORT: u16 = 9824;
/// For what takes a second on a quiet machine.
const DEADLINE: Duration = Duration::from_mins(2);
/// Where other programs write all the time.
const BUSY: [&str; 6] = ["/proc", "/sys", "/dev", "/run", "/tmp", "/var/log/journal"];

/// The whole scenario, as a service of systemd; ends with the machine's power.
pub(crate) fn run_child() -> Result<()> {
    let (channel, writer) = Channel::open("/dev/ttyS1")?;
    let result = run(&channel);
    if let Err(error) = &result {
        let journal = output("journalctl", &["-u", UNIT, "-n", "40", "-o", "cat"]);
        journal.lines().for_each(|line| channel.send("journal", line));
        channel.send("error", &format!("{error:#}"));
    }
    channel.send("exit", "0");
    channel.close(writer)?;
    reboot(RebootMode::RB_POWER_OFF).context("can't power off")?;
    result
}

fn run(channel: &Channel) -> Result<()> {
    let before = files()?;
    let step = |name: &str, value: Value| {
        channel.send_json("package", &json!({"step": name, "value": value}));
    };
    step("installed", json!(succeed("dpkg", &["--install", PACKAGE])?));
    wait_for("the service is ready", || answers(PORT, "/readyz"))?;
    step("unit", unit()?);
    step("exposure", json!(output("systemd-analyze", &["security", "--no-pager", UNIT])));

    node::set("user/max_net_namespaces", "0")?;
    let refused = thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET)).join();
    node::set("user/max_net_namespaces", "1000")?;
    if !matches!(refused, Ok(Err(_))) {
        bail!("a network namespace was made beyond the limit");
    }
    let failed = || output("journalctl", &["-u", UNIT, "-o", "cat"]).contains("FAILED");
    wait_for("the failure is in the journal", failed)?;
    step("metrics", json!(get(PORT, "/metrics")?));

    let pid = unit()?["MainPID"].as_str().unwrap_or_default().to_owned();
    kill(Pid::from_raw(pid.parse().context("the service has no process")?), Signal::SIGSTOP)
        .context("can't stop the service's process")?;
    wait_for("the watchdog has ended a stopped service and it is ready again", || {
        unit().is_ok_and(|unit| unit["MainPID"] != pid.as_str()) && answers(PORT, "/readyz")
    })?;
    step("after the watchdog", unit()?);

    let configuration = fs::read_to_string(CONFIGURATION)?;
    let changed = format!("{configuration}\nlisten = \"127.0.0.1:{OTHER_PORT}\"\n");
    fs::write(CONFIGURATION, changed).context("can't configure another port")?;
    succeed("systemctl", &["restart", UNIT])?;
    wait_for("it answers on the configured port", || answers(OTHER_PORT, "/readyz"))?;
    step("configured", unit()?);

    step("purged", json!(succeed("dpkg", &["--purge", "fragwatch"])?));
    let left: Vec<String> = files()?.difference(&before).cloned().collect();
    step("left", json!(left));
    Ok(())
}

/// The properties of the service.
fn unit() -> Result<Value> {
    let properties = "--property=ActiveState,SubState,MainPID,NRestarts,User,StatusText,Result";
    let text = succeed("systemctl", &["show", UNIT, properties])?;
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    Ok(pairs.map(|(name, value)| (name.to_owned(), json!(value))).collect())
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let started = Instant::now();
    while !holds() {
        if started.elapsed() > DEADLINE {
            bail!("not so after {} s: {what}", DEADLINE.as_secs());
        }
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

fn answers(port: u16, path: &str) -> bool {
    get(port, path).is_ok_and(|response| response.starts_with("HTTP/1.1 200"))
}

/// The whole response, head included.
fn get(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    Ok(response)
}

/// What a program printed, whatever its exit code.
fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    output.map_or_else(
        |error| format!("can't run {program}: {error}"),
        |output| String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
    )
}

/// What a program printed; fails if it did.
fn succeed(program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program).args(args).output();
    let output = output.with_context(|| format!("can't run {program}"))?;
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if !output.status.success() {
        bail!("{program} {} failed: {text}", args.join(" "));
    }
    Ok(text)
}

/// The paths of all files of the disk.
fn files() -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut directories = vec!["/".to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).with_context(|| format!("can't list {directory}"))? {
            let entry = entry.with_context(|| format!("can't list {directory}"))?;
            let path = Path::new(&directory).join(entry.file_name()).display().to_string();
            if BUSY.contains(&path.as_str()) {
                continue;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                directories.push(path.clone());
            }
            found.insert(path);
        }
    }
    Ok(found)
}
