//! Steps of a container's start that ask for a block of order 6, on a node that has none: executing a
//! program, mounting a file system, making a network link. The controls took them before the node was fragmented.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;

use super::Node;
use crate::attempt::{self, Attempt, Side};
use crate::creator::{Creator, Step};
use crate::start_step::StartStep;
use crate::{fragmenter, node};

/// A file of the test module's format.
const PROGRAM: &str = "/fwexec";
/// A program of this file system.
const OWN: &str = "/proc/self/exe";
/// The cgroup that a CNI plug-in runs in, which is its runtime's.
const RUNTIME: &str = "/system.slice/containerd.service";

pub(super) fn exec(node: &mut Node) -> Result<()> {
    fs::write(PROGRAM, "FWEX").context("can't write a program")?;
    fs::set_permissions(PROGRAM, fs::Permissions::from_mode(0o755)).context("can't make it one")?;
    let (control, faulty) = (StartStep::Execute(OWN), StartStep::Execute(PROGRAM));
    fail(node, "exec", None, control, faulty)
}

pub(super) fn mount(node: &mut Node) -> Result<()> {
    fail(node, "mount", None, StartStep::Mount, StartStep::Mount)
}

pub(super) fn link(node: &mut Node) -> Result<()> {
    let mut plugin = Creator::start()?;
    let files = [format!("/sys/fs/cgroup{RUNTIME}/cgroup.procs")];
    fs::create_dir_all(format!("/sys/fs/cgroup{RUNTIME}"))
        .context("can't make a service's cgroup")?;
    plugin.take(&Step::Enter(&files))?.context("the plug-in can't enter its cgroup")?;
    plugin.take(&Step::Start(StartStep::Name("bridge")))?.context("it can't take a name")?;
    fail(node, "link", Some("ip"), StartStep::Link, StartStep::Link)?;
    let outcome = plugin.take(&Step::Start(StartStep::Link))?;
    let errno = outcome.err().map(|errno| format!("{errno:?}"));
    attempt::report(node.channel, Side::Faulty, "plugin", RUNTIME, errno.as_deref());
    if outcome != Err(Errno::ENOMEM) {
        bail!("the plug-in's link must fail with ENOMEM, and it is {outcome:?}");
    }
    Ok(())
}

/// Takes the control's step while there are blocks, and the other when there are none.
fn fail(
    node: &mut Node,
    fault: &'static str,
    name: Option<&'static str>,
    control: StartStep,
    step: StartStep,
) -> Result<()> {
    node::load_module("fragwatch_steps", c"")?;
    let mut well = Attempt::prepare(node, Side::Control, fault)?;
    let mut faulty = Attempt::prepare(node, Side::Faulty, fault)?;
    for attempt in [&mut well, &mut faulty] {
        if let Some(name) = name {
            attempt
                .quietly(&Step::Start(StartStep::Name(name)))?
                .context("it can't take a name")?;
        }
    }
    well.enter()?;
    well.take(node, &Step::Start(control))?.context("with blocks it must succeed")?;
    fragmenter::fragment(node.channel)?;
    let hoard = "/sys/module/fragwatch_steps/parameters/hoard";
    fs::write(hoard, "1").with_context(|| format!("can't write to {hoard}"))?;
    // Now, so that its cgroup is young when it fails.
    faulty.enter()?;
    let outcome = faulty.take(node, &Step::Start(step))?;
    if outcome != Err(Errno::ENOMEM) {
        bail!("without a block the errno must be ENOMEM, and it is {outcome:?}");
    }
    Ok(())
}
