//! How this process takes memory from the kernel, and gives it back: it stays small, because all of it is
//! locked later.

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

use crate::kernel;

/// Allocations of at least this many bytes are mappings of their own, which go back to the kernel when
/// they are freed; what the heap has, it keeps. With glibc's default the limit grows with each that is freed, up to
/// 32 MiB.
#[cfg(target_env = "gnu")]
const MAPPED_FROM: libc::c_int = 32 << 10;

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

/// Gives back the pages of the program's file, its code and constants: those that only the start needed don't come
/// back, the others do when they are used. Called before memory is locked.
pub fn forget_file() {
    // SAFETY: `forget_segments` is what is called, as the function asks, and it takes no data.
    unsafe { libc::dl_iterate_phdr(Some(forget_segments), std::ptr::null_mut()) };
}

/// Gives back the pages of the segments that can't be written, of the first object only: that is the program.
unsafe extern "C" fn forget_segments(
    object: *mut libc::dl_phdr_info,
    _: libc::size_t,
    _: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: the caller gives a valid object with so many program headers.
    let (base, headers) = unsafe {
        let object = &*object;
        let headers = std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into());
        (object.dlpi_addr, headers)
    };
    let read_only = |header: &&libc::Elf64_Phdr| {
        header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0
    };
    for header in headers.iter().filter(read_only) {
        forget(base.wrapping_add(header.p_vaddr) as usize, header.p_memsz as usize);
    }
    // Anything but 0 ends the walk.
    1
}

/// Gives back the whole pages of a part of the program's file that can't be written.
fn forget(start: usize, length: usize) {
    let Ok(page_size) = kernel::page_size() else { return };
    let page_size = page_size as usize;
    let first = start.next_multiple_of(page_size);
    let end = start + length;
    let Some(length) = (end - end % page_size).checked_sub(first) else { return };
    // SAFETY: the pages are of a private mapping of the program's file and were never written, so that they
    // have the same content when they are read again.
    let result = unsafe {
        libc::madvise(std::ptr::without_provenance_mut(first), length, libc::MADV_DONTNEED)
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

/// Touches what is free in the heap, so that it is there, and locked, when an incident takes it: the node may have
/// nothing to give by then.
pub fn touch_free() {
    #[cfg(target_env = "gnu")]
    {
        // Smaller than most holes between what is used.
        const BLOCK: usize = 4 << 10;
        // SAFETY: takes no pointer; it may be called at any time.
        let free = unsafe { libc::mallinfo2() }.fordblks;
        let block = || std::hint::black_box(vec![1_u8; BLOCK]);
        let blocks: Vec<Vec<u8>> = std::iter::repeat_with(block).take(free / BLOCK).collect();
        drop(blocks);
    }
}
