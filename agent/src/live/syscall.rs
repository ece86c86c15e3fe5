//! Commands of bpf(2) that aya does not offer for a program that is loaded already.
use std::{
    io,
    os::fd::{FromRawFd as _, OwnedFd},
};

/// Runs a command with its attributes, of which the kernel reads as many bytes as the structure has.
///
/// # Safety
/// The attributes must be those of the command in `union bpf_attr`, and what they point to must outlive the call.
pub(super) unsafe fn bpf<T>(command: libc::c_long, attributes: &mut T) -> io::Result<libc::c_long> {
    let attributes = std::ptr::from_mut(attributes).cast::<libc::c_void>();
    // SAFETY: as the caller promises; their size is theirs.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// As [`bpf`], for a command that returns a new file descriptor.
///
/// # Safety
/// As for [`bpf`], and the command must be such a one.
pub(super) unsafe fn bpf_fd<T>(command: libc::c_long, attributes: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: as the caller promises.
    let fd = unsafe { bpf(command, attributes)? };
    // SAFETY: it is new, so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) })
}
