//! The node: file systems, kernel settings, the module, and how much memory is free.

use std::ffi::CStr;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use harness::job::Cgroups;
use harness::network;
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};

use crate::channel::Channel;

const MOUNTS: [(&str, &str); 7] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tracefs", "/sys/kernel/tracing"),
    ("debugfs", "/sys/kernel/debug"),
    ("tmpfs", "/run"),
    ("tmpfs", "/tmp"),
];

const CGROUPS: &str = "/sys/fs/cgroup";

/// Mounts what every node has mounted.
pub(crate) fn mount_all() -> Result<()> {
    // The kernel may have mounted devtmpfs already; a second one on top does no harm.
    MOUNTS.iter().try_for_each(|(kind, target)| mount_one(kind, target, None))
}

/// Where they are mounted, except for those on top of another one.
pub(crate) fn top_mounts() -> impl Iterator<Item = &'static str> {
    MOUNTS.iter().map(|(_, target)| *target).filter(|target| target.matches('/').count() == 1)
}

/// Mounts the cgroups.
pub(crate) fn mount_cgroups(cgroups: Cgroups) -> Result<()> {
    match cgroups {
        Cgroups::V2 => mount_one("cgroup2", CGROUPS, None),
        Cgroups::V1 => {
            mount_one("tmpfs", CGROUPS, None)?;
            for controller in ["memory", "pids", "freezer", "devices"] {
                let target = format!("{CGROUPS}/{controller}");
                fs::create_dir(&target).with_context(|| format!("can't create {target}"))?;
                mount_one("cgroup", &target, Some(controller))
                    .with_context(|| format!("this kernel has no v1 {controller} controller"))?;
            }
            // As systemd does: without it a limit counts for its own cgroup alone, before 5.11.
            let hierarchy = format!("{CGROUPS}/memory/memory.use_hierarchy");
            fs::write(&hierarchy, "1").with_context(|| format!("can't write 1 to {hierarchy}"))?;
            let unified = format!("{CGROUPS}/unified");
            fs::create_dir(&unified).with_context(|| format!("can't create {unified}"))?;
            mount_one("cgroup2", &unified, None)
        }
    }
}

fn mount_one(kind: &str, target: &str, options: Option<&str>) -> Result<()> {
    mount(Some(kind), target, Some(kind), MsFlags::empty(), options)
        .with_context(|| format!("can't mount {kind} on {target}"))
}

/// Where the cgroups of a controller are mounted.
pub(crate) fn cgroup_root(cgroups: Cgroups, controller: &str) -> String {
    match cgroups {
        Cgroups::V2 => CGROUPS.to_owned(),
        Cgroups::V1 => format!("{CGROUPS}/{controller}"),
    }
}

/// Writes a kernel setting: `set("vm/nr_hugepages", "64")`.
pub(crate) fn set(name: &str, value: &str) -> Result<()> {
    let path = format!("/proc/sys/{name}");
    fs::write(&path, value).with_context(|| format!("can't write {value} to {path}"))
}

/// Keeps warnings off the console, which is slow; they stay in the kernel log.
pub(crate) fn quiet_console() -> Result<()> {
    set("kernel/printk", "4")
}

/// Loads a test module: `load_module("fragwatch_pernet", c"order=6")`.
pub(crate) fn load_module(name: &str, parameters: &CStr) -> Result<()> {
    let path = format!("/{name}.ko");
    let file = fs::File::open(&path).with_context(|| format!("can't open {path}"))?;
    finit_module(&file, parameters, ModuleInitFlags::empty())
        .with_context(|| format!("the kernel doesn't take {path} with {parameters:?}"))
}

/// Loads the network card's modules, and gives it its address.
pub(crate) fn connect() -> Result<()> {
    // `MODULE_INIT_COMPRESSED_FILE` in include/uapi/linux/module.h.
    let compressed = ModuleInitFlags::from_bits_retain(4);
    for module in network::MODULES {
        let path = network::in_guest(module);
        let file = fs::File::open(&path).with_context(|| format!("can't open {path}"))?;
        finit_module(&file, c"", compressed)
            .with_context(|| format!("the kernel doesn't take {path}"))?;
    }
    let up =
        Command::new("/bin/busybox").args(["ifconfig", "eth0", network::ADDRESS, "up"]).status();
    if !up.context("can't run busybox")?.success() {
        bail!("the network card can't be brought up");
    }
    Ok(())
}

/// Loads the module that allocates an order-6 block for each network namespace.
pub(crate) fn load_pernet_module(channel: &Channel) -> Result<()> {
    load_module("fragwatch_pernet", c"")?;
    channel
        .node("module fragwatch_pernet loaded: a new network namespace takes 256 KiB in one piece");
    Ok(())
}

/// Sets a parameter of that module.
pub(crate) fn set_pernet(parameter: &str, value: u32) -> Result<()> {
    let path = format!("/sys/module/fragwatch_pernet/parameters/{parameter}");
    fs::write(&path, value.to_string()).with_context(|| format!("can't write {value} to {path}"))
}

/// How many network namespaces that module has refused so far.
pub(crate) fn pernet_refused() -> Result<u64> {
    let path = "/sys/module/fragwatch_pernet/parameters/refused";
    let text = fs::read_to_string(path).with_context(|| format!("can't read {path}"))?;
    text.trim().parse().with_context(|| format!("{path} holds no number"))
}

/// Sends a file to the host, line by line, on a stream.
pub(crate) fn send_file(channel: &Channel, stream: &str, path: &str) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("can't read {path}"))?;
    text.lines().for_each(|line| channel.send(stream, line));
    Ok(())
}

/// A value in KiB of /proc/meminfo.
pub(crate) fn meminfo_kib(name: &str) -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo").context("can't read /proc/meminfo")?;
    text.lines()
        .find_map(|line| {
            line.strip_prefix(name)?.strip_prefix(':')?.split_whitespace().next()?.parse().ok()
        })
        .with_context(|| format!("/proc/meminfo has no {name}"))
}

/// Free blocks per order, without the small zone that the kernel keeps for old devices.
pub(crate) fn free_blocks() -> Result<Vec<u64>> {
    let text = fs::read_to_string("/proc/buddyinfo").context("can't read /proc/buddyinfo")?;
    Ok(sum_blocks(&text))
}

/// Adds up lines like `Node 0, zone    DMA32  63055     67 …`.
fn sum_blocks(buddyinfo: &str) -> Vec<u64> {
    let mut sums = Vec::new();
    for line in buddyinfo.lines() {
        let mut words = line.split_whitespace().skip(3);
        if words.next() == Some("DMA") {
            continue;
        }
        for (order, count) in words.filter_map(|word| word.parse::<u64>().ok()).enumerate() {
            if order == sums.len() {
                sums.push(0);
            }
            sums[order] += count;
        }
    }
    sums
}

/// How many blocks of that order could be had.
pub(crate) fn room_for(order: usize) -> Result<u64> {
    let blocks = free_blocks()?;
    Ok(blocks.iter().enumerate().skip(order).map(|(size, count)| count << (size - order)).sum())
}

#[cfg(test)]
mod tests {
    use super::sum_blocks;

    #[test]
    fn blocks_of_all_zones_but_dma_are_summed() {
        let text = "Node 0, zone      DMA      0      0      1\n\
                    Node 0, zone    DMA32  63055     67     58\n\
                    Node 0, zone   Normal      5      0      2\n";
        assert_eq!(sum_blocks(text), [63060, 67, 60]);
    }
}
