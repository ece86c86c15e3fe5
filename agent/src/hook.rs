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
mod tracefs;

pub use attach::{Target, attach_all, trampoline_functions};
pub use attach_kernel::{KprobesBy, Links, RunningKernel, attach_by_link};
pub use attacher::{AttachPoint, Attacher};
pub use dry_run::dry_run;
pub use fragwatch_cli::Preference;
pub use tracefs::with_tracefs;
