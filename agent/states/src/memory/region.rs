//! Memory that is held page by page, so that any page of it can be freed.
use std::{
    fs::File,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::FileExt,
    },
};

use anyhow::{Context as _, Result, bail};
use nix::{
    fcntl::{FallocateFlags, fallocate},
    sys::memfd::{MFdFlags, memfd_create},
    unistd::ftruncate,
};

use super::{
    PAGE,
    pages::{Mapping, STEP},
    spare_pages,
};
use crate::zones;

/// The bits of a page frame's number, and the one that says that the page is there
/// (Documentation/admin-guide/mm/pagemap.rst).
const PFN: u64 = (1 << 55) - 1;
const PRESENT: u64 = 1 << 63;

/// A file in memory, mapped. Given back when dropped.
///
/// A hole can be punched into what is locked on every kernel, while `MADV_DONTNEED_LOCKED`, which would do
/// for anonymous memory, came with 5.18.
pub(crate) struct Region {
    file: OwnedFd,
    /// One after the other in the file.
    mappings: Vec<Mapping>,
}

impl Region {
    /// Takes that many pages.
    pub(crate) fn take(pages: u64) -> Result<Self> {
        let file = memfd_create("fragmenter", MFdFlags::empty())
            .context("could not create a memory file")?;
        let mut region = Self { file, mappings: Vec::new() };
        region.extend(pages)?;
        Ok(region)
    }

    /// Takes and locks that many single pages more, from all NUMA nodes alike. Compaction leaves locked ones where
    /// they are, if `vm.compact_unevictable_allowed` is 0.
    pub(crate) fn extend(&mut self, pages: u64) -> Result<()> {
        let first: u64 = self.mappings.iter().map(Mapping::pages).sum();
        let size = ((first + pages) * PAGE).cast_signed();
        ftruncate(&self.file, size).context("could not size the memory file")?;
        let mapping = Mapping::shared(self.file.as_fd(), first, pages)?;
        interleave(true);
        let taken = take_steps(&mapping);
        interleave(false);
        taken?;
        self.mappings.push(mapping);
        Ok(())
    }

    /// Lets compaction move the pages that are still there.
    pub(crate) fn unlock(&self) -> Result<()> {
        self.mappings.iter().try_for_each(Mapping::unlock)
    }

    /// The numbers of the frames of pages that are there, with the pages.
    pub(crate) fn frames(&self) -> Result<Vec<(u64, u32)>> {
        let path = "/proc/self/pagemap";
        let pagemap = File::open(path).with_context(|| format!("could not open {path}"))?;
        let mut frames = Vec::new();
        let mut buffer = vec![0; 8 * STEP as usize];
        let mut first = 0;
        for mapping in &self.mappings {
            let mut page = 0;
            while page < mapping.pages() {
                let count = STEP.min(mapping.pages() - page);
                let buffer = &mut buffer[..8 * count as usize];
                let at = mapping.at(page).as_ptr() as u64 / PAGE * 8;
                let read = pagemap.read_exact_at(buffer, at);
                read.with_context(|| format!("could not read {path}"))?;
                for (offset, entry) in buffer.chunks_exact(8).enumerate() {
                    let entry = u64::from_ne_bytes(entry.try_into().unwrap_or_default());
                    if entry & PRESENT != 0 {
                        frames.push((entry & PFN, (first + page) as u32 + offset as u32));
                    }
                }
                page += count;
            }
            first += mapping.pages();
        }
        if frames.iter().all(|(frame, _)| *frame == 0) {
            bail!("{path} hides the numbers of page frames: that needs CAP_SYS_ADMIN");
        }
        Ok(frames)
    }

    /// Frees pages.
    pub(crate) fn free(&self, mut pages: Vec<u32>) -> Result<()> {
        let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        pages.sort_unstable();
        for run in pages.chunk_by(|page, next| page + 1 == *next) {
            let (first, count) = (i64::from(run[0]), (run.len() as u64).cast_signed());
            let page = PAGE.cast_signed();
            fallocate(self.file.as_fd(), hole, first * page, count * page)
                .context("could not free pages of the memory file")?;
        }
        Ok(())
    }
}

fn take_steps(mapping: &Mapping) -> Result<()> {
    let mut taken = 0;
    while taken < mapping.pages() {
        let step = STEP.min(mapping.pages() - taken);
        let spare = spare_pages(&zones::read()?);
        if spare < step {
            bail!("{} MiB of memory are not enough", ((taken + spare) * PAGE) >> 20);
        }
        mapping.lock(taken, step)?;
        taken += step;
    }
    Ok(())
}

/// Whether this thread's next pages come from all NUMA nodes in turns. Without NUMA there is one node,
/// and the call fails.
fn interleave(all: bool) {
    // MPOL_F_STATIC_NODES is not set: nodes that are not there are left out of the mask.
    let nodes: libc::c_ulong = libc::c_ulong::MAX;
    let (mode, mask, bits) = if all {
        (libc::MPOL_INTERLEAVE, &raw const nodes, libc::c_ulong::from(libc::c_ulong::BITS))
    } else {
        (libc::MPOL_DEFAULT, std::ptr::null(), 0)
    };
    // SAFETY: the mask is one word, as many bits as are given, and outlives the call.
    unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, mask, bits) };
}
