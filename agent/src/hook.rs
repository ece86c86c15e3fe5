//! Logical hooks: what fragwatch wants to see, and by which function of this kernel it sees it.
mod attach;
mod attacher;
mod foresee;
mod place;
#[cfg(test)]
pub(crate) mod played;
mod table;

pub use attach::{Target, attach_all};
pub use attacher::{AttachError, Attacher};
pub use foresee::{NOT_TRIED, foresee};
pub use place::Running;

/// Ways to attach that a user may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Preference {
    /// fentry and fexit where the kernel has them, else kprobes, else tracepoints.
    #[default]
    Auto,
    /// kprobes and kretprobes instead of fentry and fexit.
    Kprobe,
    /// Tracepoints only.
    Tracepoint,
}
