//! Fragments the node's free memory until hardly anything but single pages is left.

use std::fs;
use std::num::NonZeroUsize;

use anyhow::{Context, Result};
use nix::libc::MADV_DONTNEED_LOCKED;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mlock, mmap_anonymous};

use crate::channel::Channel;
use crate::{helper, node};

const PAGE: usize = 4096;
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
pub(crate) fn run_child() -> Result<()> {
    // The memory's holder must be the last one to be killed, or the fragmentation goes with it.
    fs::write("/proc/self/oom_score_adj", "-1000").context("can't protect the fragmenter")?;
    let kib = node::meminfo_kib("MemAvailable")?.saturating_sub(MARGIN_KIB);
    let length = NonZeroUsize::new(kib as usize * 1024 / PAGE * PAGE)
        .context("there is no free memory to fragment")?;
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches no memory of ours.
    let start = unsafe {
        mmap_anonymous(
            None,
            length,
            ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
            MapFlags::MAP_PRIVATE,
        )
    }
    .with_context(|| format!("can't map {kib} KiB"))?;
    // SAFETY: the range is exactly the mapping above; the advice changes page size only.
    unsafe { madvise(start, length.get(), MmapAdvise::MADV_NOHUGEPAGE) }
        .context("can't refuse huge pages")?;
    // SAFETY: the range is exactly the mapping above; locking changes no content.
    unsafe { mlock(start, length.get()) }.with_context(|| format!("can't lock {kib} KiB"))?;
    for offset in (0..length.get()).step_by(2 * PAGE) {
        // SAFETY: the page lies in the mapping above, and no Rust object lives in it.
        let result = unsafe {
            nix::libc::madvise(start.as_ptr().byte_add(offset), PAGE, MADV_DONTNEED_LOCKED)
        };
        if result != 0 {
            return Err(std::io::Error::last_os_error())
                .context("can't free every other page; this needs Linux 5.18");
        }
    }
    helper::stay()
}
