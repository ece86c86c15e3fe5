//! The CPU time and the memory of processes.

use std::collections::BTreeMap;
use std::fs::{self, DirEntry};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use harness::overhead::Memory;
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// A reading of the clocks.
#[derive(Clone, Copy)]
pub(super) struct Clocks {
    at: Instant,
    /// Of all tasks of the node.
    node_ns: u64,
    /// Of the process.
    process_ns: u64,
}

/// CPU time in nanoseconds.
#[derive(Clone, Copy)]
pub(super) struct Used {
    pub(super) seconds: f64,
    /// Of the node without the process.
    pub(super) node_ns: f64,
    pub(super) process_ns: f64,
}

impl Clocks {
    /// Reads them, for the node and a process if there is one.
    pub(super) fn read(pid: Option<u32>) -> Result<Self> {
        // The kernel adds a task's time up when it leaves the processor: this one does so now.
        thread::sleep(Duration::from_millis(1));
        let process_ns = pid.map_or(Ok(0), process_cpu_ns)?;
        Ok(Self { at: Instant::now(), node_ns: node_cpu_ns()?, process_ns })
    }

    /// What was used since then.
    pub(super) fn used(self, pid: Option<u32>) -> Result<Used> {
        let now = Self::read(pid)?;
        let process_ns = (now.process_ns - self.process_ns) as f64;
        Ok(Used {
            seconds: (now.at - self.at).as_secs_f64(),
            node_ns: (now.node_ns - self.node_ns) as f64 - process_ns,
            process_ns,
        })
    }
}

/// The CPU time of this thread.
pub(super) fn thread_cpu_ns() -> Result<u64> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).context("can't read the clock")?;
    Ok(Duration::from(time).as_nanos() as u64)
}

/// The CPU time of all threads of a process, also of those that have ended.
pub(super) fn process_cpu_ns(pid: u32) -> Result<u64> {
    let cannot = || format!("can't read the CPU clock of process {pid}");
    let clock = clock_getcpuclockid(Pid::from_raw(pid.cast_signed())).with_context(cannot)?;
    Ok(Duration::from(clock_gettime(clock).with_context(cannot)?).as_nanos() as u64)
}

/// The CPU time of each thread of a process, in nanoseconds, by its id, with its name.
pub(super) fn threads_cpu_ns(pid: u32) -> Result<BTreeMap<u32, (String, u64)>> {
    let directory = format!("/proc/{pid}/task");
    let entries = fs::read_dir(&directory).with_context(|| format!("can't list {directory}"))?;
    // A thread may end meanwhile.
    let thread = |entry: DirEntry| {
        let read = |name: &str| fs::read_to_string(entry.path().join(name)).ok();
        let time = read("schedstat")?.split(' ').next()?.parse().ok()?;
        let id = entry.file_name().to_str()?.parse().ok()?;
        Some((id, (read("comm")?.trim().to_owned(), time)))
    };
    Ok(entries.flatten().filter_map(thread).collect())
}

/// The time that processors have spent in tasks: the seventh number of their lines.
fn node_cpu_ns() -> Result<u64> {
    const PATH: &str = "/proc/schedstat";
    let text = fs::read_to_string(PATH).with_context(|| format!("can't read {PATH}"))?;
    sum_of_processors(&text).with_context(|| format!("a line of {PATH} has no seventh number"))
}

fn sum_of_processors(schedstat: &str) -> Option<u64> {
    let times = schedstat.lines().filter(|line| line.starts_with("cpu"));
    times.map(|line| line.split(' ').nth(7)?.parse::<u64>().ok()).sum()
}

/// The memory of a process.
pub(super) fn memory(pid: u32) -> Result<Memory> {
    let status = read(pid, "status")?;
    let rollup = read(pid, "smaps_rollup")?;
    let of = |text: &str, field: &str| {
        number(text, field).with_context(|| format!("process {pid} has no {field}"))
    };
    Ok(Memory {
        resident: of(&status, "VmRSS")?,
        anon: of(&status, "RssAnon")?,
        file: of(&status, "RssFile")? + of(&status, "RssShmem")?,
        locked: of(&rollup, "Locked")?,
        maps: maps_bytes(pid)? / 1024,
        peak: of(&status, "VmHWM")?,
    })
}

/// What the kernel holds for the BPF maps of a process.
fn maps_bytes(pid: u32) -> Result<u64> {
    let directory = format!("/proc/{pid}/fdinfo");
    let entries = fs::read_dir(&directory).with_context(|| format!("can't list {directory}"))?;
    // A descriptor may be closed meanwhile.
    let texts = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
    let mut maps: Vec<(u64, u64)> = texts
        .filter(|text| text.contains("map_type:"))
        .filter_map(|text| Some((number(&text, "map_id")?, number(&text, "memlock")?)))
        .collect();
    // Two descriptors of one map.
    maps.sort_unstable();
    maps.dedup();
    Ok(maps.iter().map(|(_, bytes)| bytes).sum())
}

fn read(pid: u32, name: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{name}");
    fs::read_to_string(&path).with_context(|| format!("can't read {path}"))
}

/// The number in a line like `VmRSS:     1234 kB`.
fn number(text: &str, field: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::{number, sum_of_processors};

    #[test]
    fn time_of_processors_is_their_seventh_number() {
        let text = "version 15\ntimestamp 4294952373\ncpu0 0 0 0 0 0 0 100 22 33\ndomain0 3 1 2\n\
                    cpu1 0 0 0 0 0 0 200 22 33\n";
        assert_eq!(sum_of_processors(text), Some(300));
        assert_eq!(sum_of_processors("cpu0 0 0"), None);
    }

    #[test]
    fn number_of_a_field_is_found() {
        let text = "VmHWM:\t   4321 kB\nVmRSS:\t    123 kB\nmemlock:\t4096\n";
        assert_eq!(number(text, "VmRSS"), Some(123));
        assert_eq!(number(text, "memlock"), Some(4096));
        assert_eq!(number(text, "Vm"), None);
    }
}
