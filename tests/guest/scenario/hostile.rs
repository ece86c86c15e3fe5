//! Names of processes, cgroups and slab caches with control characters and other hostile content.

use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_name;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use serde_json::json;

use super::Node;
use crate::node;

/// What each name is about, and the name. The kernel cuts a process's after 15 bytes, and lets a
/// cgroup's have no newline.
const NAMES: [(&str, &[u8]); 5] = [
    ("escape", b"\x1b[2J\x1b]0;owned\x07"),
    ("quotes", b"\"}, {\"type\": '`$(reboot)"),
    ("not-utf8", b"\xff\xfe\xc3\x28\xed\xa0\x80"),
    ("newline", b"a\nFAILED   b"),
    ("overlong", &[b'x'; 255]),
];

pub(super) fn run(node: &mut Node) -> Result<()> {
    let root = PathBuf::from(node::cgroup_root(node.cgroups, "memory"));
    // Its slab caches are called so too: it makes one for each network namespace.
    node::load_module("fragwatch_pernet", c"order=0 prefix=\x1b[2J\\\n\xff\"'")?;
    for (what, name) in NAMES {
        let path = root.join(OsStr::from_bytes(name));
        let directory = match fs::create_dir(&path) {
            Ok(()) => path,
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) && what == "newline" => {
                root.clone()
            }
            Err(error) => bail!("can't make the cgroup of {what}: {error}"),
        };
        node::set("user/max_net_namespaces", "1000")?;
        unshare_as(name, &directory)?.context("no limit is set yet")?;
        node::set("user/max_net_namespaces", "0")?;
        let outcome = unshare_as(name, &directory)?;
        if outcome != Err(Errno::ENOSPC) {
            bail!("at the limit the errno must be ENOSPC, and it is {outcome:?}");
        }
        node.channel.send("outcome", &json!({"what": what}).to_string());
    }
    Ok(())
}

/// Has a process of that name, in that cgroup, leave its network namespace for a new one.
fn unshare_as(name: &[u8], cgroup: &Path) -> Result<std::result::Result<(), Errno>> {
    let comm = CString::new(name).context("a name with a NUL")?;
    let path = cgroup.join("cgroup.procs");
    let mut procs = File::options()
        .write(true)
        .open(&path)
        .with_context(|| format!("can't open {}", path.display()))?;
    // SAFETY: the child makes system calls with what is there already, and ends: it needs no lock that
    // another thread may have held.
    match unsafe { fork() }.context("can't fork")? {
        ForkResult::Child => {
            let outcome = set_name(&comm)
                .and_then(|()| {
                    procs.write_all(b"0").map_err(|_| Errno::last())?;
                    unshare(CloneFlags::CLONE_NEWNET)
                })
                .err()
                .map_or(0, |error| error as i32);
            // SAFETY: it ends the process without running anything of ours.
            unsafe { libc::_exit(outcome) }
        }
        ForkResult::Parent { child } => match waitpid(child, None).context("can't wait")? {
            WaitStatus::Exited(_, 0) => Ok(Ok(())),
            WaitStatus::Exited(_, number) => Ok(Err(Errno::from_raw(number))),
            status => bail!("the process of a hostile name ended with {status:?}"),
        },
    }
}
