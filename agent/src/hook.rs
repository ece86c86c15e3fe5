//! Hooks: by which function or tracepoint of this kernel each one is attached.
//!
//! What there is to attach to stands in [`fragwatch_ebpf::table`].
mod attach;
mod attach_kernel;
mod attacher;
mod dry_run;
#[cfg(test)]
pub(crate) mod fake_kernel;
#[cfg(test)]
mod table_tests;

pub use attach::{Target, attach_all};
pub use attach_kernel::RunningKernel;
pub use attacher::{AttachPoint, Attacher};
pub use dry_run::dry_run;

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
