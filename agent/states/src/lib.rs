//! States of a machine in which containers can't be made, for `fragwatch reproduce` and for the guest of
//! the virtual machines' tests: each is reached, measured, kept up, and undone. Plain Linux system calls
//! and files; no kernel programs.
//!
//! A state belongs to a process of its own, the [keeper](keeper::Keeper), which the OOM killer spares. It
//! gives all back when the process that started it ends in any way.
pub mod cgroup;
mod fragmentation;
pub mod hog;
pub mod keeper;
pub mod like;
mod memcg_ids;
pub mod memory;
mod namespaces;
pub mod reached;
mod removal;
pub mod spec;
mod undo;
pub mod zones;

pub use fragmentation::default_keep_kib;
pub use keeper::Keeper;
pub use reached::Reached;
pub use spec::Spec;

/// What the first argument of a process says that is one of this crate's own children.
const CHILD: &str = "fragwatch-state-child";

/// Must be the first call of a program that uses this crate: its children are the same program again. If
/// this process is one of them, it does its work and returns its exit code.
pub fn run_if_child() -> Option<u8> {
    let args: Vec<String> =
        std::env::args_os().take(4).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let [_, child, what, json] = args.as_slice() else { return None };
    if child != CHILD {
        return None;
    }
    let result = match what.as_str() {
        keeper::ROLE => keeper::run_child(json),
        hog::ROLE => hog::run_child(json),
        _ => Err(anyhow::anyhow!("there is no child {what}")),
    };
    match result {
        Ok(()) => Some(0),
        Err(error) => {
            eprintln!("{error:#}");
            Some(1)
        }
    }
}
