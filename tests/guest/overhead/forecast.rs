//! What a node does to itself while `serve` runs beside it: it runs into a limit slowly, or only looks like it.

use std::fs::{self, File};
use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fragwatch_states::memory::meminfo_kib;
use fragwatch_states::{Keeper, zones};
use harness::forecast::{Course, Minute, STREAM};
use harness::overhead::Contestant;
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Bench;
use super::contestant::Running;
use crate::{http, node, state};

const INTERVAL: Duration = Duration::from_mins(1);
const MIB: u64 = 1 << 20;

/// In a minute. What leaks is a sixteenth of blocks of 2 MiB.
const LEAKED_BLOCKS: &str = "4";
const GROWN: u64 = 8 * MIB;
const CACHED: u64 = 8 * MIB;
const NAMESPACES: u32 = 2;
const CGROUPS: u32 = 900;

/// `user.max_net_namespaces` where namespaces leak, and where a deployment takes some once.
const MAX_NAMESPACES: &str = "170";
const MANY_NAMESPACES: &str = "1000";

/// Memory is exhausted when less is available.
const EXHAUSTED_KIB: u64 = 24 * 1024;

/// The test module's parameter.
const LEAK: &str = "/sys/module/fragwatch_leak/parameters/blocks";
const DISK: &str = "/dev/nvme0n1";
const CGROUP: &str = "/sys/fs/cgroup/forecast";

/// What the node has taken so far.
#[derive(Default)]
struct Taken {
    namespaces: Vec<File>,
    memory: Vec<Vec<u8>>,
    cgroups: u32,
    disk: Option<File>,
    states: Vec<Keeper>,
}

/// Runs a course, and sends a line a minute.
pub(super) fn measure(bench: &Bench, course: &Course) -> Result<()> {
    http::prepare()?;
    let mut taken = Taken::default();
    taken.prepare(bench, course)?;
    let Some(running) = Running::start(bench, Contestant::With)? else { return Ok(()) };
    let began = Instant::now();
    for minute in 0..=course.minutes {
        let failed = taken.step(course, minute)?;
        let (_, metrics) = http::get("/metrics")?;
        let blocks = zones::blocks(&zones::read()?);
        let forecast = forecast(&metrics);
        bench.channel.send_json(STREAM, &Minute { minute, failed, forecast, blocks });
        if failed {
            break;
        }
        thread::sleep((began + INTERVAL * (minute + 1)).saturating_duration_since(Instant::now()));
    }
    running.stop()?;
    Ok(())
}

/// What the metrics say of each resource that runs out.
fn forecast(metrics: &str) -> Vec<(String, f64)> {
    let line = |line: &str| {
        let rest = line.strip_prefix("fragwatch_forecast_seconds_to_failure{resource=\"")?;
        let (resource, seconds) = rest.split_once("\"} ")?;
        let seconds: f64 = seconds.parse().ok()?;
        seconds.is_finite().then(|| (resource.to_owned(), seconds))
    };
    metrics.lines().filter_map(line).collect()
}

impl Taken {
    /// What has to be there before fragwatch starts.
    fn prepare(&mut self, bench: &Bench, course: &Course) -> Result<()> {
        match course.scenario {
            "forecast-leak" => {
                node::load_module("fragwatch_leak", c"")?;
                node::load_pernet_module(bench.channel)
            }
            "forecast-namespaces" => node::set("user/max_net_namespaces", MAX_NAMESPACES),
            "forecast-deployment" => node::set("user/max_net_namespaces", MANY_NAMESPACES),
            "forecast-cgroups" | "forecast-churn" => {
                fs::create_dir_all(CGROUP).with_context(|| format!("can't create {CGROUP}"))?;
                for directory in ["/sys/fs/cgroup", CGROUP] {
                    let path = format!("{directory}/cgroup.subtree_control");
                    fs::write(&path, "+memory").with_context(|| format!("can't write {path}"))?;
                }
                Ok(())
            }
            "forecast-cache" => {
                self.disk = Some(File::open(DISK).with_context(|| format!("can't open {DISK}"))?);
                Ok(())
            }
            "forecast-few" => {
                node::load_pernet_module(bench.channel)?;
                let keeper = state::fragment(bench.channel, 6, 60)?;
                // From here on blocks come and go: it must not take those that are given back.
                let pid = Pid::from_raw(keeper.pid().cast_signed());
                kill(pid, Signal::SIGSTOP).context("can't stop the state's keeper")?;
                self.states.push(keeper);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What happens in a minute. True if the limit is met.
    fn step(&mut self, course: &Course, minute: u32) -> Result<bool> {
        match course.scenario {
            "forecast-leak" => {
                fs::write(LEAK, LEAKED_BLOCKS).with_context(|| format!("can't write {LEAK}"))?;
                let made = thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET)).join();
                Ok(matches!(made, Ok(Err(Errno::ENOMEM))))
            }
            "forecast-namespaces" => self.hold_namespaces(NAMESPACES),
            "forecast-deployment" if (20..25).contains(&minute) => self.hold_namespaces(100),
            "forecast-few" => {
                self.namespaces.truncate((minute * 7 % 5) as usize);
                self.hold_namespaces(minute * 3 % 4)
            }
            "forecast-cgroups" => Ok(self.make_cgroups(CGROUPS)),
            "forecast-churn" => {
                if minute % 20 == 19 {
                    for number in 0..std::mem::take(&mut self.cgroups) {
                        let path = format!("{CGROUP}/{number}");
                        fs::remove_dir(&path).with_context(|| format!("can't remove {path}"))?;
                    }
                }
                Ok(self.make_cgroups(100))
            }
            "forecast-growth" => {
                // Other values than zero, which might be one shared page.
                self.memory.push(vec![1; GROWN as usize]);
                Ok(meminfo_kib("MemAvailable")? < EXHAUSTED_KIB)
            }
            "forecast-cache" => {
                if let Some(disk) = &mut self.disk {
                    let mut read = disk.take(CACHED);
                    std::io::copy(&mut read, &mut std::io::sink())
                        .context("can't read the disk")?;
                }
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// True if the kernel refuses one.
    fn hold_namespaces(&mut self, count: u32) -> Result<bool> {
        for _ in 0..count {
            let made = thread::spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET).map(|()| File::open("/proc/thread-self/ns/net"))
            });
            match made.join() {
                Ok(Ok(namespace)) => {
                    self.namespaces.push(namespace.context("can't hold a network namespace")?);
                }
                _ => return Ok(true),
            }
        }
        Ok(false)
    }

    /// True if the kernel refuses one.
    fn make_cgroups(&mut self, count: u32) -> bool {
        for _ in 0..count {
            if fs::create_dir(format!("{CGROUP}/{}", self.cgroups)).is_err() {
                return true;
            }
            self.cgroups += 1;
        }
        false
    }
}
