//! A memory cgroup is at its limit, and network namespaces can't be made in it, though the node has
//! memory in plenty. Before that its twin: the same with room.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Node;

/// Namespaces that are made with room, and made in vain without.
const NAMESPACES: u32 = 3;
/// The first limit in bytes, and what it is lowered by while namespaces can still be made.
const LIMIT: u64 = 300_000;
const STEP: u64 = 12_000;
/// The cgroup with the limit; the process is in one below it.
const POD: &str = "/sys/fs/cgroup/limited/pod";

pub(super) fn run(node: &mut Node) -> Result<()> {
    fs::create_dir_all(format!("{POD}/box")).with_context(|| format!("can't create {POD}/box"))?;
    for cgroup in ["/sys/fs/cgroup", "/sys/fs/cgroup/limited", POD] {
        write(&format!("{cgroup}/cgroup.subtree_control"), "+memory")?;
    }
    for number in 1..=NAMESPACES {
        if !create()? {
            bail!("network namespace {number} must be created, for its cgroup has room");
        }
        node.channel.node(format!("with room: network namespace {number} created"));
    }
    let mut limit = LIMIT;
    let mut failed = 0;
    while failed < NAMESPACES {
        if !node.watched()? {
            return Ok(());
        }
        write(&format!("{POD}/memory.max"), &limit.to_string())?;
        if create()? {
            limit = limit.checked_sub(STEP).context("nothing fails, however low the limit")?;
        } else {
            failed += 1;
            node.channel.node(format!("at {limit} bytes: network namespace not created"));
        }
    }
    Ok(())
}

/// Makes a network namespace inside the cgroup; false if there is none. The process can't be
/// killed for it, so the charge itself has to fail.
fn create() -> Result<bool> {
    let script = format!(
        "echo -1000 > /proc/self/oom_score_adj; echo $$ > {POD}/box/cgroup.procs; \
         exec /bin/busybox unshare -n /bin/busybox true"
    );
    let output = Command::new("/bin/busybox")
        .args(["sh", "-c", &script])
        .output()
        .context("can't run busybox")?;
    // What fails behind the namespace, such as the start of a program, isn't meant.
    Ok(!String::from_utf8_lossy(&output.stderr).contains("unshare(0x"))
}

fn write(path: &str, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("can't write {text} to {path}"))
}
