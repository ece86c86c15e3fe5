//! Mappings, and memory that is held in pieces as large as they come.
use std::{num::NonZeroUsize, os::fd::AsFd, ptr::NonNull};

use anyhow::{Context as _, Result};
use nix::sys::mman::{
    MapFlags, MmapAdvise, ProtFlags, madvise, mlock, mmap, mmap_anonymous, munmap,
};

use super::spare_pages;
use crate::zones;

/// The page size of x86-64, in bytes.
pub(crate) const PAGE: u64 = 4096;

/// Pages that are taken at once: between two such steps it is looked whether memory is left.
pub(crate) const STEP: u64 = 4096;

/// Pages of a huge page on x86-64.
const HUGE: u64 = 512;

/// Left above the watermarks, so that the last step calls no reclaim.
const MARGIN: u64 = 512;

/// A mapping, ended when it is dropped.
pub(super) struct Mapping {
    start: NonNull<libc::c_void>,
    length: NonZeroUsize,
}

impl Mapping {
    /// Anonymous memory of that many pages, which can become huge pages or not.
    pub(super) fn anonymous(pages: u64, huge: bool) -> Result<Self> {
        let length = length(pages)?;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
        // SAFETY: a mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe { mmap_anonymous(None, length, read_write(), flags) };
        let mapping =
            Self { start: start.with_context(|| format!("could not map {pages} pages"))?, length };
        mapping.advise(huge);
        Ok(mapping)
    }

    /// A file of that many pages, in single pages.
    pub(super) fn shared(file: impl AsFd, pages: u64) -> Result<Self> {
        let length = length(pages)?;
        // SAFETY: as above.
        let start = unsafe { mmap(None, length, read_write(), MapFlags::MAP_SHARED, file, 0) };
        let mapping =
            Self { start: start.with_context(|| format!("could not map {pages} pages"))?, length };
        mapping.advise(false);
        Ok(mapping)
    }

    fn advise(&self, huge: bool) {
        let advice = if huge { MmapAdvise::MADV_HUGEPAGE } else { MmapAdvise::MADV_NOHUGEPAGE };
        // SAFETY: the range is this mapping; the advice changes no content. A kernel without huge pages
        // refuses it, and then there are none.
        let _ = unsafe { madvise(self.start, self.length.get(), advice) };
    }

    /// Takes pages of it, from page `first`, and locks them.
    pub(super) fn lock(&self, first: u64, pages: u64) -> Result<()> {
        // SAFETY: the range lies within this mapping, whose callers count its pages.
        unsafe { mlock(self.at(first), (pages * PAGE) as usize) }
            .with_context(|| format!("could not lock {pages} pages of memory"))
    }

    /// Takes pages of it, from page `first`, without locking them.
    pub(super) fn touch(&self, first: u64, pages: u64) {
        for page in first..first + pages {
            // SAFETY: the page lies within this mapping, which is memory of ours alone.
            unsafe { self.at(page).cast::<u8>().write_volatile(1) };
        }
    }

    /// The address of a page.
    pub(super) fn at(&self, page: u64) -> NonNull<libc::c_void> {
        // SAFETY: callers ask for pages within this mapping.
        unsafe { self.start.byte_add((page * PAGE) as usize) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is exactly this mapping, and nothing refers to it any more.
        let _ = unsafe { munmap(self.start, self.length.get()) };
    }
}

fn length(pages: u64) -> Result<NonZeroUsize> {
    NonZeroUsize::new((pages * PAGE) as usize).context("there are no pages to map")
}

fn read_write() -> ProtFlags {
    ProtFlags::PROT_READ | ProtFlags::PROT_WRITE
}

/// Memory that is taken and locked. Given back when dropped.
#[derive(Default)]
pub(crate) struct Ballast(Vec<Mapping>);

impl Ballast {
    /// Takes all that is spare but `leave` pages, in huge pages as long as there are some.
    pub(crate) fn take_all_but(&mut self, leave: u64) -> Result<()> {
        loop {
            let zones = zones::read()?;
            let left = spare_pages(&zones).saturating_sub(leave + MARGIN);
            // The kernel would look for a huge page by compaction where there is none.
            let huge: u64 = zones.iter().map(|zone| pages_from(&zone.blocks, 9)).sum();
            let huge = huge.saturating_sub(zones.iter().map(|zone| zone.high).sum());
            let (pages, is_huge) = if left.min(huge) >= 4 * STEP {
                (left.min(huge) / 2 / HUGE * HUGE, true)
            } else {
                (left.min(STEP), false)
            };
            if pages < 64 {
                return Ok(());
            }
            let mapping = Mapping::anonymous(pages, is_huge)?;
            mapping.lock(0, pages)?;
            self.0.push(mapping);
        }
    }
}

/// Pages in free blocks of at least that order.
fn pages_from(blocks: &[u64], order: usize) -> u64 {
    blocks.iter().enumerate().skip(order).map(|(order, count)| count << order).sum()
}
