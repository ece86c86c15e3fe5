//! A limit on namespaces, reached: set to what is in use and what shall be left.
use std::{fs, sync::mpsc, thread};

use anyhow::{Context as _, Result, bail};
use nix::{
    errno::Errno,
    sched::{CloneFlags, unshare},
};

use crate::{
    cgroup::write,
    reached::Reached,
    spec::{NamespaceKind, Namespaces},
    undo::{Changes, Undo},
};

/// More are not counted.
const MOST: u64 = 100_000;

/// Sets the limit. How many are in use is not shown anywhere, so the limit is raised from 1 until one more
/// can be made (kernel/ucount.c `inc_ucount`), which is kept, as the limit counts it too.
pub(crate) fn reach(spec: Namespaces, changes: &mut Changes) -> Result<Reached> {
    let (name, flag) = match spec.kind {
        NamespaceKind::Net => ("net", CloneFlags::CLONE_NEWNET),
        NamespaceKind::Pid => ("pid", CloneFlags::CLONE_NEWPID),
    };
    let path = format!("/proc/sys/user/max_{name}_namespaces");
    let old = fs::read_to_string(&path).with_context(|| {
        format!("could not read {path}: this kernel has no limit on {name} namespaces")
    })?;
    changes.note(Undo::Write { path: path.clone(), text: old.trim().to_owned() })?;
    for limit in 1..=MOST {
        write(&path, &limit.to_string())?;
        if make(flag)? {
            write(&path, &(limit + spec.left).to_string())?;
            let sentence = format!(
                "{limit} {name} namespaces are in use, and {} more can be made \
                 (user.max_{name}_namespaces)",
                spec.left
            );
            return Ok(Reached { sentences: vec![sentence], ..Reached::default() });
        }
    }
    bail!("more than {MOST} {name} namespaces are in use")
}

/// Makes a namespace and holds it in a thread of its own until this process ends. False if the limit
/// refuses it.
fn make(flag: CloneFlags) -> Result<bool> {
    let (sender, made) = mpsc::channel();
    thread::spawn(move || {
        let outcome = unshare(flag);
        let holds = outcome.is_ok();
        // The receiver waits for it.
        let _ = sender.send(outcome);
        if holds {
            loop {
                thread::park();
            }
        }
    });
    match made.recv().context("the thread that makes namespaces panicked")? {
        Ok(()) => Ok(true),
        Err(Errno::ENOSPC) => Ok(false),
        Err(errno) => Err(errno).context("could not make a namespace"),
    }
}
