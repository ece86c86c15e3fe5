//! fragwatch's doctor on a node that lacks one thing after the other, and the capabilities that it
//! can do without. Each run is reported to the host as `NAME exited CODE: STDERR`, and its output
//! as `NAME printed: LINE`.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::Node;
use crate::{node, unprivileged};

const FRAGWATCH: &str = "/bin/fragwatch";
/// With these an unprivileged user has all hooks.
const SIGHT: [&str; 4] = ["CAP_BPF", "CAP_PERFMON", "CAP_SYSLOG", "CAP_DAC_READ_SEARCH"];

pub(super) fn run(node: &mut Node) -> Result<()> {
    report(node, "root", doctor(&mut Command::new(FRAGWATCH)))?;
    report(node, "kprobes", doctor(&mut Command::new(FRAGWATCH)).args(["--attach", "kprobe"]))?;

    node::set("kernel/kptr_restrict", "2")?;
    report(node, "hidden-symbols", doctor(&mut Command::new(FRAGWATCH)))?;
    node::set("kernel/kptr_restrict", "0")?;

    let tracefs = ["/sys/kernel/tracing", "/sys/kernel/debug"];
    for directory in tracefs {
        // Lazily: the kernel mounts tracefs once more below debugfs when they are looked at.
        umount2(directory, MntFlags::MNT_DETACH)
            .with_context(|| format!("can't unmount {directory}"))?;
    }
    let tracepoints = ["--attach", "tracepoint"];
    report(node, "no-tracefs", doctor(&mut Command::new(FRAGWATCH)))?;
    report(node, "no-tracefs-tracepoints", doctor(&mut Command::new(FRAGWATCH)).args(tracepoints))?;
    let mounts = fs::read_to_string("/proc/self/mounts").context("can't read the mounts")?;
    node.channel.node(format!("tracefs is mounted {} times", mounts.matches(" tracefs ").count()));
    node::set("kernel/perf_event_paranoid", "2")?;
    let sight = SIGHT.join(",");
    report(node, "no-tracefs-user", doctor(&mut unprivileged::command(&sight, FRAGWATCH)))?;
    let mut by_tracepoints = unprivileged::command(&sight, FRAGWATCH);
    let by_tracepoints = doctor(&mut by_tracepoints).args(tracepoints);
    report(node, "no-tracefs-user-tracepoints", by_tracepoints)?;
    for (directory, kind) in tracefs.into_iter().zip(["tracefs", "debugfs"]) {
        mount_at(kind, directory)?;
    }

    mount_at("tmpfs", "/sys/kernel/btf")?;
    report(node, "no-btf", doctor(&mut Command::new(FRAGWATCH)))?;
    umount2("/sys/kernel/btf", MntFlags::empty()).context("can't unmount /sys/kernel/btf")?;

    report(node, "no-capabilities", doctor(&mut unprivileged::command("", FRAGWATCH)))?;
    // Debian's own setting, and the one that CAP_PERFMON is made for.
    node::set("kernel/perf_event_paranoid", "3")?;
    report(node, "paranoid", doctor(&mut unprivileged::command(&sight, FRAGWATCH)))?;
    node::set("kernel/perf_event_paranoid", "2")?;
    report(node, "sight", doctor(&mut unprivileged::command(&sight, FRAGWATCH)))?;
    for without in SIGHT {
        let rest: Vec<&str> = SIGHT.into_iter().filter(|name| *name != without).collect();
        let mut command = unprivileged::command(&rest.join(","), FRAGWATCH);
        report(node, &format!("without-{without}"), doctor(&mut command))?;
    }
    let mut trace = unprivileged::command("CAP_BPF,CAP_SYSLOG", FRAGWATCH);
    report(node, "trace-without-CAP_PERFMON", trace.arg("trace"))
}

fn doctor(command: &mut Command) -> &mut Command {
    command.args(["doctor", "--format", "json"])
}

fn mount_at(kind: &str, directory: &str) -> Result<()> {
    mount(Some(kind), directory, Some(kind), MsFlags::empty(), None::<&str>)
        .with_context(|| format!("can't mount {kind} on {directory}"))
}

/// Runs it to its end and sends the outcome to the host.
fn report(node: &mut Node, name: &str, command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().context("can't start /bin/fragwatch")?;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        node.channel.node(format!("{name} printed: {line}"));
    }
    let code = output.status.code().map_or_else(|| "by a signal".to_owned(), |c| c.to_string());
    let stderr = String::from_utf8_lossy(&output.stderr);
    node.channel.node(format!("{name} exited {code}: {}", stderr.trim().replace('\n', "; ")));
    Ok(())
}
