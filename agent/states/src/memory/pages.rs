//! Mappings, and memory that is held in pieces as large as they come.
use std::{num::NonZeroUsize, os::fd::AsFd, ptr::NonNull};

use anyhow::{Context as _, Result};
use fragwatch_core::model::node::NodeZone;
use nix::sys::mman::{
    MapFlags, MmapAdvise, ProtFlags, madvise, mlock, mmap, mmap_anonymous, munlock, munmap,
};

use super::{meminfo_kib, spare_of, spare_pages};
use crate::{undo::Changes, zones};

/// The page size of x86-64, in bytes.
pub(crate) const PAGE: u64 = 4096;

/// Pages that are taken at once: between two such steps it is looked whether memory is left.
pub(crate) const STEP: u64 = 4096;

/// Pages of a huge page on x86-64, and its order.
const HUGE: u64 = 1 << HUGE_ORDER;
const HUGE_ORDER: u32 = 9;

/// With fewer pages in such blocks, the last of them are taken as single pages: between two looks at the zones
/// something else may take some, and the kernel would compact for the missing one.
const LEAST_HUGE: u64 = 8 * HUGE;

/// How many huge pages the kernel may make on demand, beyond its pool.
const OVERCOMMIT: &str = "vm/nr_overcommit_hugepages";

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

    /// Huge pages, which the kernel takes from its free memory at once, for as long as the mapping lasts. They
    /// are not faulted in, and compaction leaves them where they are (mm/hugetlb.c `gather_surplus_pages`).
    fn reserved(pages: u64) -> Result<Self> {
        let length = length(pages)?;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_HUGETLB;
        // SAFETY: as above.
        let start = unsafe { mmap_anonymous(None, length, read_write(), flags) };
        Ok(Self {
            start: start.with_context(|| format!("could not reserve {pages} pages"))?,
            length,
        })
    }

    /// That many pages of a file from page `first` on, in single pages.
    pub(super) fn shared(file: impl AsFd, first: u64, pages: u64) -> Result<Self> {
        let (length, offset) = (length(pages)?, (first * PAGE).cast_signed());
        let flags = MapFlags::MAP_SHARED;
        // SAFETY: as above.
        let start = unsafe { mmap(None, length, read_write(), flags, file, offset) };
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

    /// Unlocks its pages, without taking those that are not there.
    pub(super) fn unlock(&self) -> Result<()> {
        // SAFETY: the range is exactly this mapping.
        unsafe { munlock(self.start, self.length.get()) }.context("could not unlock memory")
    }

    /// How many pages it has.
    pub(super) fn pages(&self) -> u64 {
        self.length.get() as u64 / PAGE
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

/// Memory that is taken and can't be moved. Given back when dropped.
#[derive(Default)]
pub(crate) struct Ballast(Vec<Mapping>);

impl Ballast {
    /// Takes all that is spare, in huge pages as long as there are some.
    pub(crate) fn take_all(&mut self, changes: &mut Changes) -> Result<()> {
        let all = meminfo_kib("MemTotal")? * 1024 / PAGE / HUGE;
        // A kernel without huge pages has no such line, and another default size would be rounded up to.
        let mut reserves = meminfo_kib("Hugepagesize").is_ok_and(|kib| kib == HUGE * PAGE / 1024);
        if reserves {
            changes.set_if_there(OVERCOMMIT, &all.to_string())?;
        }
        loop {
            let zones = zones::read()?;
            // Half of it: what lies on the lists of processors is not seen.
            let huge = zones.iter().map(spare_huge).sum::<u64>() / 2 / HUGE * HUGE;
            if huge >= LEAST_HUGE {
                let mapping = reserves.then(|| Mapping::reserved(huge)).and_then(Result::ok);
                reserves = mapping.is_some();
                self.0.push(mapping.map_or_else(|| locked(huge, true), Ok)?);
                continue;
            }
            let pages = spare_pages(&zones).saturating_sub(MARGIN).min(STEP);
            if pages < 64 {
                return Ok(());
            }
            self.0.push(locked(pages, false)?);
        }
    }
}

fn locked(pages: u64, huge: bool) -> Result<Mapping> {
    let mapping = Mapping::anonymous(pages, huge)?;
    mapping.lock(0, pages)?;
    Ok(mapping)
}

/// Spare pages of a zone that lie in blocks as large as a huge page.
fn spare_huge(zone: &NodeZone) -> u64 {
    let blocks = zone.blocks.iter().enumerate().skip(HUGE_ORDER as usize);
    let pages: u64 = blocks.map(|(order, count)| count << order).sum();
    pages.min(spare_of(zone))
}
