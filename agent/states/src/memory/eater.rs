//! Blocks of the kernel that a process can take in one piece, of any order: those of a packet socket's
//! ring (net/packet/af_packet.c `alloc_pg_vec`), which are not movable. The kernel takes them like any
//! other allocation, and single pages instead if there is no such block.
use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use anyhow::{Context as _, Result};

use super::PAGE;

/// include/uapi/linux/if_packet.h
const PACKET_RX_RING: libc::c_int = 5;

/// `struct tpacket_req`.
#[repr(C)]
struct Ring {
    block_size: libc::c_uint,
    block_nr: libc::c_uint,
    frame_size: libc::c_uint,
    frame_nr: libc::c_uint,
}

/// Blocks that are held. Given back when dropped.
#[derive(Default)]
pub(crate) struct Eater(Vec<OwnedFd>);

impl Eater {
    /// Takes so many blocks of an order.
    pub(crate) fn eat(&mut self, order: u32, count: u32) -> Result<()> {
        // SAFETY: it takes no pointer. A protocol of 0 receives nothing.
        let socket =
            unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if socket < 0 {
            return Err(io::Error::last_os_error())
                .context("could not open a packet socket, whose ring takes large blocks");
        }
        // SAFETY: it was just opened and is nothing else's.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        let size = (PAGE << order) as libc::c_uint;
        let ring = Ring { block_size: size, block_nr: count, frame_size: size, frame_nr: count };
        // SAFETY: the structure is the one that this option takes, of that length.
        let set = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_PACKET,
                PACKET_RX_RING,
                (&raw const ring).cast(),
                size_of::<Ring>() as libc::socklen_t,
            )
        };
        if set != 0 {
            return Err(io::Error::last_os_error())
                .with_context(|| format!("could not take {count} blocks of order {order}"));
        }
        self.0.push(socket);
        Ok(())
    }
}
