//! What of the node must be as before: settings, cgroups, mounts, processes, and memory in one piece.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use fragwatch_states::zones;

/// The settings that a state may change.
const SETTINGS: [&str; 8] = [
    "/proc/sys/vm/compact_unevictable_allowed",
    "/proc/sys/vm/compaction_proactiveness",
    "/proc/sys/vm/watermark_boost_factor",
    "/proc/sys/vm/percpu_pagelist_high_fraction",
    "/proc/sys/vm/min_free_kbytes",
    "/proc/sys/user/max_net_namespaces",
    "/proc/sys/user/max_pid_namespaces",
    "/proc/sys/vm/nr_hugepages",
];
const CGROUPS: &str = "/sys/fs/cgroup";
/// The order whose free blocks are compared.
const ORDER: u32 = 6;

/// The node at one moment.
pub(super) struct Snapshot {
    lines: Vec<String>,
    /// Free blocks of that order.
    blocks: u64,
}

impl Snapshot {
    pub(super) fn take() -> Result<Self> {
        let mut lines: Vec<String> = Vec::new();
        for path in SETTINGS {
            // Some came with later kernels.
            let value = fs::read_to_string(path).unwrap_or_default();
            lines.push(format!("{path} is {:?}", value.trim()));
        }
        cgroups(Path::new(CGROUPS), &mut lines)?;
        let mounts = fs::read_to_string("/proc/mounts").context("can't read /proc/mounts")?;
        lines.extend(mounts.lines().map(|line| format!("mount {line}")));
        lines.extend(processes()?.into_iter().map(|name| format!("process {name}")));
        let blocks = zones::room(&zones::for_kernel(&zones::read()?), ORDER);
        Ok(Self { lines, blocks })
    }

    /// What is not as before.
    pub(super) fn differences(&self, before: &Self) -> Vec<String> {
        let more = self.lines.iter().filter(|line| !before.lines.contains(line));
        let less = before.lines.iter().filter(|line| !self.lines.contains(line));
        let mut differences: Vec<String> = more.map(|line| format!("more: {line}")).collect();
        differences.extend(less.map(|line| format!("less: {line}")));
        if self.blocks < before.blocks / 4 * 3 {
            let (now, then) = (self.blocks, before.blocks);
            differences
                .push(format!("{now} blocks of order {ORDER} are free, before it were {then}"));
        }
        differences
    }
}

/// The names of all processes with a program, but this one.
pub(super) fn processes() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir("/proc").context("can't list /proc")?.flatten() {
        // Threads of the kernel have no program, and a process may have ended since.
        let Ok(program) = fs::read_link(entry.path().join("exe")) else { continue };
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name != "init" {
            names.push(name);
        }
    }
    Ok(names)
}

fn cgroups(directory: &Path, lines: &mut Vec<String>) -> Result<()> {
    let control = fs::read_to_string(directory.join("cgroup.subtree_control")).unwrap_or_default();
    lines.push(format!("cgroup {} gives {:?}", directory.display(), control.trim()));
    let entries =
        fs::read_dir(directory).with_context(|| format!("can't list {}", directory.display()))?;
    for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
        cgroups(&entry.path(), lines)?;
    }
    Ok(())
}
