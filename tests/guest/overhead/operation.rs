//! The operations whose time is measured.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};
use harness::overhead::{Effort, Operation};
use nix::mount::{MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};

use super::usage::thread_cpu_ns;
use crate::{container, node};

const CGROUPS: &str = "/sys/fs/cgroup";
/// Cgroups in it have no controllers.
const PLAIN: &str = "/sys/fs/cgroup/plain";
/// The cgroup with a limit.
const LIMITED: &str = "/sys/fs/cgroup/limited";
const MOUNT_POINT: &str = "/run/overhead";
const PARAMETERS: &str = "/sys/module/fragwatch_flood/parameters";
/// What a pipe holds.
const PIPE_BYTES: usize = 64 * 1024;
/// Blocks that one write to the module tries for.
const BURST: u32 = 100;

/// Makes what the operations need.
pub(super) fn prepare() -> Result<()> {
    container::prepare()?;
    for directory in [PLAIN, LIMITED, MOUNT_POINT] {
        fs::create_dir_all(directory).with_context(|| format!("can't create {directory}"))?;
    }
    write(&format!("{CGROUPS}/cgroup.subtree_control"), "+memory")?;
    write(&format!("{LIMITED}/memory.max"), "64M")?;
    // Namespaces try for none of its blocks.
    node::load_module("fragwatch_flood", c"order=9 tries=0 small=1")
}

/// Some of each.
pub(super) fn warm_up() -> Result<()> {
    let few = Effort { percent: 10, ..Effort::default() };
    Operation::ALL.iter().try_for_each(|operation| run(*operation, operation.count(&few)).map(drop))
}

/// Does an operation so often. Returns the CPU time of the thread that asked for all of them, in
/// nanoseconds.
pub(super) fn run(operation: Operation, count: u32) -> Result<u64> {
    match operation {
        // In a thread of its own, whose last namespace ends with it.
        Operation::Namespace => thread::spawn(move || timed(count, |_| network_namespace()))
            .join()
            .ok()
            .context("the thread that makes namespaces panicked")?,
        Operation::Container => timed(count, start_and_stop),
        Operation::Fork | Operation::Exec | Operation::Pipe => in_child(operation, count),
        Operation::Cgroup => timed(count, make_and_remove_cgroup),
        Operation::Mount => timed(count, |_| mount_and_unmount()),
        Operation::FailedAllocation => timed(count.div_ceil(BURST), |_| try_for_blocks(BURST)),
    }
}

/// The CPU time of this thread for so many operations.
fn timed(count: u32, operation: impl FnMut(u32) -> Result<()>) -> Result<u64> {
    let began = thread_cpu_ns()?;
    (0..count).try_for_each(operation)?;
    Ok(thread_cpu_ns()? - began)
}

/// Leaves the thread's network namespace for a new one. The kernel destroys the old one later.
pub(super) fn network_namespace() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET).context("can't make a network namespace")
}

/// A container of runc, which sleeps until it is killed.
pub(super) fn start_and_stop(number: u32) -> Result<()> {
    const PID_FILE: &str = "/run/overhead.pid";
    let id = container::container_id(u64::from(number));
    container::configure(&format!("/overhead/{id}"), &container::SLEEP)?;
    let start = ["run", "--detach", "--no-pivot", "--pid-file", PID_FILE];
    runc(&[&start[..], &["--bundle", container::BUNDLE, &id]].concat())?;
    runc(&["delete", "--force", &id])?;
    let pid = fs::read_to_string(PID_FILE).with_context(|| format!("can't read {PID_FILE}"))?;
    let pid: i32 = pid.trim().parse().with_context(|| format!("{PID_FILE} holds no number"))?;
    // It is a child of process 1 since runc ended.
    waitpid(Pid::from_raw(pid), None).context("can't wait for the container")?;
    Ok(())
}

fn runc(args: &[&str]) -> Result<()> {
    const OUTPUT: &str = "/run/overhead.out";
    // A file, not a pipe: the container inherits it and would keep a pipe open.
    let output = fs::File::create(OUTPUT).with_context(|| format!("can't create {OUTPUT}"))?;
    let errors = output.try_clone().context("can't share runc's output")?;
    let status = Command::new("/sbin/runc")
        .args(args)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .status()
        .context("can't run /sbin/runc")?;
    if !status.success() {
        let output = fs::read_to_string(OUTPUT).unwrap_or_default();
        bail!("runc {} failed, {status}: {}", args[0], output.trim());
    }
    Ok(())
}

fn make_process() -> Result<()> {
    // SAFETY: the child makes one system call and allocates nothing.
    match unsafe { fork() }.context("can't fork")? {
        // SAFETY: it ends the process without any clean-up, as is right for a copy of this one.
        ForkResult::Child => unsafe { libc::_exit(0) },
        ForkResult::Parent { child } => waitpid(child, None).map(drop).context("can't wait"),
    }
}

fn run_program() -> Result<()> {
    let status = Command::new("/bin/busybox").arg("true").status();
    if !status.context("can't run busybox")?.success() {
        bail!("busybox true failed");
    }
    Ok(())
}

pub(super) fn make_and_remove_cgroup(number: u32) -> Result<()> {
    let directory = format!("{PLAIN}/overhead-{number}");
    fs::create_dir(&directory).with_context(|| format!("can't create {directory}"))?;
    fs::remove_dir(&directory).with_context(|| format!("can't remove {directory}"))
}

fn mount_and_unmount() -> Result<()> {
    mount(Some("tmpfs"), MOUNT_POINT, Some("tmpfs"), MsFlags::empty(), None::<&str>)
        .with_context(|| format!("can't mount on {MOUNT_POINT}"))?;
    umount2(MOUNT_POINT, nix::mount::MntFlags::empty())
        .with_context(|| format!("can't unmount {MOUNT_POINT}"))
}

/// Tries for so many large blocks, all of which must fail.
pub(super) fn try_for_blocks(count: u32) -> Result<()> {
    let before = blocks_refused()?;
    write(&format!("{PARAMETERS}/burst"), &count.to_string())?;
    let refused = blocks_refused()? - before;
    if refused != u64::from(count) {
        bail!("{refused} of {count} large blocks were refused: none should be there");
    }
    Ok(())
}

fn blocks_refused() -> Result<u64> {
    let path = format!("{PARAMETERS}/failed_outside");
    let text = fs::read_to_string(&path).with_context(|| format!("can't read {path}"))?;
    text.trim().parse().with_context(|| format!("{path} holds no number"))
}

/// Operations that a child does: the cgroup with the limit is that of a whole process, and making a
/// process takes longer the more the one that makes it has.
const IN_CHILD: [(&str, Operation); 3] =
    [("fork", Operation::Fork), ("exec", Operation::Exec), ("pipe", Operation::Pipe)];

fn in_child(operation: Operation, count: u32) -> Result<u64> {
    let known = IN_CHILD.iter().find(|(_, known)| *known == operation);
    let (name, _) = known.context("this is no operation for a child")?;
    let output = Command::new("/proc/self/exe")
        .args(["operation", name, &count.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("can't start the process for {name}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().with_context(|| {
        format!(
            "the process for {name} ended early, {}; its error is on the console",
            output.status
        )
    })
}

/// What the child does: it prints its CPU time for all of them.
pub(crate) fn run_child(name: &str, count: &str) -> Result<()> {
    let known = IN_CHILD.iter().find(|(known, _)| *known == name);
    let (_, operation) = known.with_context(|| format!("there is no operation {name}"))?;
    let count = count.parse().context("the number of operations is malformed")?;
    let ns = match operation {
        Operation::Fork => timed(count, |_| make_process()),
        Operation::Exec => timed(count, |_| run_program()),
        _ => pipes(count),
    }?;
    println!("{ns}");
    Ok(())
}

fn pipes(count: u32) -> Result<u64> {
    write(&format!("{LIMITED}/cgroup.procs"), "0")?;
    let bytes = vec![0; PIPE_BYTES];
    timed(count, |_| {
        let (reader, writer) = nix::unistd::pipe().context("can't make a pipe")?;
        let written = nix::unistd::write(&writer, &bytes).context("can't write to a pipe")?;
        drop((reader, writer));
        if written != PIPE_BYTES {
            bail!("a pipe took {written} bytes instead of {PIPE_BYTES}");
        }
        Ok(())
    })
}

fn write(path: &str, value: &str) -> Result<()> {
    fs::write(path, value).with_context(|| format!("can't write {value} to {path}"))
}
