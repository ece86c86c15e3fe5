//! The number of slab caches.
use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

/// Counts the subdirectories of /sys/kernel/slab: one per SLUB cache; merged caches are symbolic links.
/// The count is in the directory's link count, so the directory is not listed, and the slab allocator's
/// mutex is not taken, as reading /proc/slabinfo would.
pub(super) fn count(root: &Path) -> Option<u64> {
    let directory = root.join("sys/kernel/slab");
    match fs::metadata(&directory) {
        // Two links are from the parent and from the directory itself.
        Ok(metadata) => metadata.nlink().checked_sub(2),
        Err(error) => {
            log::debug!(
                "could not read {}: {error}; the number of slab caches is missing",
                directory.display()
            );
            None
        }
    }
}
