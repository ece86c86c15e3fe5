//! What of the node must be as before: settings, cgroups, mounts, processes, and memory in one piece.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use fragwatch_states::zones;

/// Where the kernel's settings of memory, namespaces and sockets are, and what it has in huge pages.
const SETTINGS: [&str; 4] =
    ["/proc/sys/vm", "/proc/sys/user", "/proc/sys/net/core", "/sys/kernel/mm/hugepages"];
/// Files there that are commands, and keep what was written last.
const COMMANDS: [&str; 3] = ["drop_caches", "compact_memory", "stat_refresh"];
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
        for directory in SETTINGS {
            settings(Path::new(directory), &mut lines);
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

/// A kernel may not have the directory, and some files can only be written.
fn settings(directory: &Path, lines: &mut Vec<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            settings(&path, lines);
        } else if !COMMANDS.iter().any(|command| path.ends_with(command)) {
            let value = fs::read_to_string(&path).unwrap_or_default();
            lines.push(format!("{} is {:?}", path.display(), value.trim()));
        }
    }
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
