//! Hooks: by which function or tracepoint of this kernel each one is attached.
//!
//! What there is to attach to stands in [`fragwatch_ebpf::table`].
mod attach;
mod attach_kernel;
mod attacher;
mod dry_run;
#[cfg(test)]
pub(crate) mod fake_kernel;
mod multi_link;
#[cfg(test)]
mod table_tests;
mod tracefs;

pub use attach::{Target, attach_all, trampoline_functions};
pub use attach_kernel::{Links, RunningKernel};
pub use attacher::{AttachPoint, Attacher, SharedReturn};
pub use dry_run::dry_run;
pub use fragwatch_cli::Preference;
pub use multi_link::SharedMaps;
pub use tracefs::with_tracefs;
