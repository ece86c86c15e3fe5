//! vmalloc that failed.
use super::gfp::Gfp;

/// vmalloc that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmallocFailed {
    /// How much was asked for, in bytes.
    pub bytes: Option<u64>,
    /// gfp mask.
    pub gfp: Option<Gfp>,
    /// What was lacking.
    pub lack: Lack,
}

/// What a vmalloc lacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// A range of addresses.
    Addresses,
    /// It asked for more than the machine has pages.
    Request,
    /// Pages.
    Pages,
    /// The line doesn't say.
    Unsaid,
}
