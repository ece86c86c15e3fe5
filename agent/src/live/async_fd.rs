//! Waiting for file descriptors.
use std::{io, os::fd::AsRawFd};

use tokio::io::{Interest, unix::AsyncFd};

/// Registers `inner` with the runtime and takes it over, so that it can be waited for.
///
/// Fails for what can't be waited for, such as a regular file.
pub fn watch<T: AsRawFd + Owned>(inner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // SAFETY: `Owned` promises one descriptor of its own, open and unchanged as long as it lives.
    unsafe { AsyncFd::register_with_interest(inner, interest) }
        .map_err(|error| error.into_parts().1)
}

/// What owns one file descriptor from its making to its drop.
///
/// # Safety
///
/// `as_raw_fd` must always return the same descriptor, which nothing else closes.
pub unsafe trait Owned {}

// SAFETY: that is what an `OwnedFd` is.
unsafe impl Owned for std::os::fd::OwnedFd {}
// SAFETY: the map's descriptor lies in it as an `OwnedFd` and is never replaced.
unsafe impl Owned for aya::maps::RingBuf<aya::maps::MapData> {}
// SAFETY: it owns such a ring.
unsafe impl<T> Owned for aya_log::EbpfLogger<T> {}
