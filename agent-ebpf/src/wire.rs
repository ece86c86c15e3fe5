//! The wire contract between the kernel programs and the agent: one `#[repr(C)]` struct per event,
//! each starting with a [`Head`]. Both sides are built from these files, so there is no version.
//!
//! Arrays carry their own length (`depth`, `frames`, `zone_count`); what lies behind it is
//! whatever the ring held before and means nothing.
mod allocation;
mod cgroup;
mod counter;
mod head;
mod limit;
mod namespaces;
mod oom;
mod record;
mod stall;
mod step;
mod zone;

pub use allocation::*;
pub use cgroup::*;
pub use counter::*;
pub use head::*;
pub use limit::*;
pub use namespaces::*;
pub use oom::*;
pub use record::*;
pub use stall::*;
pub use step::*;
pub use zone::*;

use crate::numbered::numbered;
#[cfg(feature = "decode")]
pub use crate::table::AnyRecord;
pub use crate::table::Kind;
