//! Fragments the node's free memory until hardly anything but single pages is left.

use std::fs;
use std::num::NonZeroUsize;

use anyhow::{Context, Result};
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mlock, mmap};
use nix::unistd::ftruncate;

use crate::channel::Channel;
use crate::{helper, node};

const PAGE: u64 = 4096;
/// Left alone so that nothing has to be killed while the mapping grows.
const MARGIN_KIB: u64 = 16 * 1024;

/// Fragments memory and leaves it so: a child holds it until the machine ends.
pub(crate) fn fragment(channel: &Channel) -> Result<()> {
    channel.node("fragmenting memory: every other page of it gets locked");
    // Compaction would put the locked pages together again.
    node::set("vm/compact_unevictable_allowed", "0")?;
    helper::start(&["fragment"])?;
    // Huge pages eat the large blocks that are left.
    node::set("vm/nr_hugepages", "64")?;
    let blocks = node::free_blocks()?;
    let pages: u64 = blocks.iter().enumerate().map(|(order, count)| count << order).sum();
    let single = blocks.first().copied().unwrap_or(0);
    channel.node(format!(
        "memory is fragmented: {} MiB free, {} % of it in single pages; room for {} blocks of 256 KiB",
        pages / 256,
        (single * 100).checked_div(pages).unwrap_or(0),
        node::room_for(6)?,
    ));
    Ok(())
}

/// What the child does: lock nearly all free memory, free every other page, hold the rest.
///
/// The memory is a file's: a hole can be punched into what is locked on every kernel, while
/// `MADV_DONTNEED_LOCKED`, which would do for anonymous memory, is as young as 5.18.
pub(crate) fn run_child() -> Result<()> {
    // The memory's holder must be the last one to be killed, or the fragmentation goes with it.
    fs::write("/proc/self/oom_score_adj", "-1000").context("can't protect the fragmenter")?;
    let kib = node::meminfo_kib("MemAvailable")?.saturating_sub(MARGIN_KIB);
    let size = kib * 1024 / PAGE * PAGE;
    let length = NonZeroUsize::new(size as usize).context("there is no free memory to fragment")?;
    let file =
        memfd_create("fragmenter", MFdFlags::empty()).context("can't create a memory file")?;
    ftruncate(&file, size.cast_signed()).context("can't size the memory file")?;
    // SAFETY: a mapping at an address of the kernel's choice touches no memory of ours.
    let start = unsafe {
        mmap(
            None,
            length,
            ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
            MapFlags::MAP_SHARED,
            &file,
            0,
        )
    }
    .with_context(|| format!("can't map {kib} KiB"))?;
    // SAFETY: the range is exactly the mapping above; locking changes no content.
    unsafe { mlock(start, length.get()) }.with_context(|| format!("can't lock {kib} KiB"))?;
    let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    for offset in (0..size).step_by(2 * PAGE as usize) {
        fallocate(&file, hole, offset.cast_signed(), PAGE.cast_signed())
            .context("can't free every other page")?;
    }
    helper::stay()
}
