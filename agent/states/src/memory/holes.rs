//! Memory with holes, for states that come about slowly.
use anyhow::Result;

use super::{Carver, PAGE, Region};

/// Locked memory of which every other page is free again. Given back when dropped.
pub struct Holes(#[expect(dead_code, reason = "it is given back when dropped")] Region);

impl Holes {
    /// Takes so many KiB, and gives half of them back. Compaction leaves the rest where it is, if
    /// `vm.compact_unevictable_allowed` is 0.
    ///
    /// # Errors
    /// If there is not so much memory, or this is not root.
    pub fn take(kib: u64) -> Result<Self> {
        let pages = kib * 1024 / PAGE;
        let region = Region::map(pages)?;
        region.lock()?;
        region.free(Carver::new(region.frames()?, 1).carve(0, pages / 2))?;
        Ok(Self(region))
    }
}
