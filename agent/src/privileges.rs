//! What this process must be allowed to do.
use caps::{CapSet, Capability};

/// Capabilities that are missing.
#[derive(Debug, thiserror::Error)]
#[error(
    "tracing the kernel needs {}, which this process does not have: run fragwatch as root, or give \
     it these capabilities (setcap, or ambient in its service)",
    missing.join(" and ")
)]
pub struct MissingCapabilities {
    /// Their names.
    pub missing: Vec<String>,
}

/// What loading and attaching the programs takes (5.8 and later); `CAP_SYS_ADMIN` has all of it.
const NEEDED: [Capability; 2] = [Capability::CAP_BPF, Capability::CAP_PERFMON];

/// Checks that the programs may be loaded, before anything is tried.
pub fn check() -> Result<(), MissingCapabilities> {
    // What can't be asked counts as not held: the kernel would say no a moment later.
    let held = |cap| caps::has_cap(None, CapSet::Effective, cap).unwrap_or(false);
    if held(Capability::CAP_SYS_ADMIN) {
        return Ok(());
    }
    let missing: Vec<String> =
        NEEDED.into_iter().filter(|&cap| !held(cap)).map(|cap| cap.to_string()).collect();
    if missing.is_empty() { Ok(()) } else { Err(MissingCapabilities { missing }) }
}
