//! An allocation of the kernel like that of many drivers and modules: one block, `GFP_KERNEL`, given back at once.
//!
//! It is the buffer for control messages of a `sendmsg` (net/socket.c `____sys_sendmsg`, net/core/sock.c
//! `sock_kmalloc`), which comes from `kmalloc`, and from the page allocator if it is larger than the largest
//! cache. Nothing is sent: the messages are not well formed.
use std::{
    io, mem,
    os::{fd::AsRawFd as _, unix::net::UnixDatagram},
};

use anyhow::{Context as _, Result};

use super::{PAGE, pages::Mapping};
use crate::undo::Changes;

/// The limit on such buffers, in bytes.
const LIMIT: &str = "net/core/optmem_max";

/// Allocations of one order.
pub(crate) struct Probe {
    socket: UnixDatagram,
    control: Mapping,
    length: usize,
}

impl Probe {
    /// Prepares them. Takes a page of memory.
    pub(crate) fn new(order: u32, changes: &mut Changes) -> Result<Self> {
        let length = (PAGE as usize) << order;
        changes.set_if_there(LIMIT, &(2 * length).to_string())?;
        let socket = UnixDatagram::unbound().context("could not open a socket")?;
        // Never written to, so it is the kernel's page of zeros.
        let control = Mapping::anonymous(1 << order, false)?;
        Ok(Self { socket, control, length })
    }

    /// Tries one. False if the kernel has no such block.
    pub(crate) fn allocate(&self) -> Result<bool> {
        // SAFETY: all fields of this structure may be zero.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        message.msg_control = self.control.at(0).as_ptr();
        message.msg_controllen = self.length;
        // SAFETY: the message refers to the mapping alone, which is as long as is said and outlives the call.
        let sent = unsafe {
            libc::sendmsg(self.socket.as_raw_fd(), &raw const message, libc::MSG_DONTWAIT)
        };
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::ENOBUFS) if sent < 0 => Ok(false),
            // It was allocated, and then looked at.
            Some(libc::EINVAL) if sent < 0 => Ok(true),
            _ => Err(error).context("could not try an allocation with a socket's control messages"),
        }
    }
}
