//! A program that makes namespaces for sandboxes of its own, one after the other, as a browser does for each page.

use std::ffi::CString;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_name;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Gid, Uid, fork, setgid, setgroups, setuid};

/// Runs it as this user, with this name, in the cgroup of this `cgroup.procs`: half of its namespaces are made, half
/// refused.
pub(crate) fn run(user: u32, comm: &str, procs: &str, count: u32) -> Result<()> {
    let status = Command::new("/proc/self/exe")
        .args(["sandbox", comm, &user.to_string(), procs, &count.to_string()])
        .status()
        .context("can't start the program with sandboxes")?;
    if !status.success() {
        bail!("the program with sandboxes ended with {status}; its error is on the console");
    }
    Ok(())
}

/// What the program does.
pub(crate) fn run_child(comm: &str, args: &[String]) -> Result<()> {
    let [user, procs, count] = args else {
        bail!("the program with sandboxes has other arguments")
    };
    let user: u32 = user.parse().context("the user is malformed")?;
    let count: u32 = count.parse().context("the number of sandboxes is malformed")?;
    fs::write(procs, "0").with_context(|| format!("can't write to {procs}"))?;
    let name = CString::new(comm).context("a name with a NUL")?;
    set_name(&name).context("can't take the name")?;
    if user != 0 {
        setgroups(&[]).context("can't leave groups")?;
        setgid(Gid::from_raw(user)).context("can't change the group")?;
        setuid(Uid::from_raw(user)).context("can't change the user")?;
    }
    for number in 0..2 * count {
        one(number >= count)?;
    }
    Ok(())
}

/// One sandbox, in a process of its own.
fn one(refused: bool) -> Result<()> {
    // SAFETY: this process has one thread, so that the new one may do what it likes.
    match unsafe { fork() }.context("can't fork")? {
        ForkResult::Child => {
            let is_as_expected = sandbox(refused).is_ok();
            std::process::exit(i32::from(!is_as_expected));
        }
        ForkResult::Parent { child } => match waitpid(child, None).context("can't wait")? {
            WaitStatus::Exited(_, 0) => Ok(()),
            status => bail!("a sandbox, refused: {refused}, ended with {status:?}"),
        },
    }
}

fn sandbox(refused: bool) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWUSER).context("can't make a user namespace")?;
    if refused {
        for limit in ["max_net_namespaces", "max_pid_namespaces"] {
            crate::node::set(&format!("user/{limit}"), "0")?;
        }
    }
    let made = unshare(CloneFlags::CLONE_NEWNET.union(CloneFlags::CLONE_NEWPID));
    if made.is_err() != refused {
        bail!("the namespaces of a sandbox: {made:?}");
    }
    Ok(())
}
