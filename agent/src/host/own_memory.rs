//! How this process takes memory from the kernel, and gives it back: it stays small, because all of it is
//! locked later.

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

use crate::kernel;

/// Allocations of at least this many bytes are mappings of their own, which go back to the kernel when
/// they are freed. With glibc's default the limit grows with each that is freed, up to 32 MiB.
#[cfg(target_env = "gnu")]
const MAPPED_FROM: libc::c_int = 128 << 10;

/// Keeps the heap small; called before it grows. None of it is required to run.
pub fn keep_small() {
    // A page that is touched would bring 2 MiB otherwise, and this process itself would need blocks that
    // a fragmented node lacks.
    if let Err(error) = nix::sys::prctl::set_thp_disable(true) {
        log::debug!("could not do without huge pages: {error}");
    }
    // Threads that have given up `CAP_IPC_LOCK` need it, once all memory is locked.
    if let Err(error) = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY) {
        log::debug!("could not lift the limit of locked memory: {error}");
    }
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointer; no other thread is started yet that would allocate meanwhile.
    unsafe {
        // Each thread would have a heap of its own.
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM);
    }
}

/// Whether locked memory is unlimited. With a limit, an allocation beyond it fails without `CAP_IPC_LOCK`.
pub fn is_lock_unlimited() -> bool {
    getrlimit(Resource::RLIMIT_MEMLOCK).is_ok_and(|(soft, _)| soft == RLIM_INFINITY)
}

/// Gives back the pages of a part of the program's file that is not needed again; reading it would bring them
/// back.
pub fn forget(part: &'static [u8]) {
    let Ok(page_size) = kernel::page_size() else { return };
    let page_size = page_size as usize;
    // Whole pages only: others hold something else too.
    let start = part.as_ptr().addr().next_multiple_of(page_size);
    let end = part.as_ptr().addr() + part.len();
    let Some(length) = (end - end % page_size).checked_sub(start) else { return };
    // SAFETY: the pages are of a private mapping of the program's file and were never written, so that they
    // have the same content when they are read again.
    let result = unsafe {
        libc::madvise(std::ptr::without_provenance_mut(start), length, libc::MADV_DONTNEED)
    };
    if result != 0 {
        log::debug!("could not forget a part of the program: {}", std::io::Error::last_os_error());
    }
}

/// Returns freed memory to the kernel.
pub fn release_free() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointer; it may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}
