//! How many slab caches there are.
use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

/// Counts the directories in /sys/kernel/slab: there is one for each cache of SLUB's, and links for
/// those that were merged into another. Their number is in the directory's own entry, so that
/// nothing has to be listed and no lock of the slab allocator's is taken, as /proc/slabinfo would.
pub(super) fn count(root: &Path) -> Option<u64> {
    let directory = root.join("sys/kernel/slab");
    match fs::metadata(&directory) {
        // Besides its directories it is linked from its parent and from itself.
        Ok(metadata) => metadata.nlink().checked_sub(2),
        Err(error) => {
            log::debug!("could not read {}: {error}; it is left out", directory.display());
            None
        }
    }
}
