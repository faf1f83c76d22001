//! What the kernel writes beside a datagram (cmsg(3)).

use std::mem;
use std::net::SocketAddr;
use std::ptr;
use std::time::Duration;

use super::address::RawAddress;
use super::clock;

/// Room for a stamp, and an address of the longer family behind it.
const ROOM: usize = 80;
const HEADER: usize = size_of::<libc::cmsghdr>();

/// Room for the control messages of one datagram, aligned as they must be.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control([u8; ROOM]);

/// What they said.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said {
    /// When the datagram arrived, on the real-time clock.
    pub(super) stamp: Option<Duration>,
    /// Where it was sent to.
    pub(super) destination: Option<SocketAddr>,
}

impl Control {
    /// Nothing was said yet.
    pub(super) const fn empty() -> Self {
        Self([0; ROOM])
    }

    /// Has the next call that receives with `header` write here.
    pub(super) fn lend(&mut self, header: &mut libc::msghdr) {
        header.msg_control = self.0.as_mut_ptr().cast();
        header.msg_controllen = ROOM;
    }

    /// What a call wrote here that received with `header`.
    #[inline]
    pub(super) fn said(&self, header: &libc::msghdr) -> Said {
        let mut said = Said::default();
        let mut rest = &self.0[..header.msg_controllen.min(ROOM)];
        while rest.len() >= HEADER {
            // SAFETY: `rest` is at least as long as a cmsghdr, which is plain integers; the read may be unaligned.
            let message: libc::cmsghdr = unsafe { ptr::read_unaligned(rest.as_ptr().cast()) };
            let Some(body) = rest.get(HEADER..message.cmsg_len) else { break };
            match (message.cmsg_level, message.cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => said.stamp = stamp(body),
                (libc::SOL_IP, libc::IP_ORIGDSTADDR) | (libc::SOL_IPV6, libc::IPV6_ORIGDSTADDR) => {
                    said.destination = RawAddress::read(body);
                }
                _ => {}
            }
            rest = rest.get(message.cmsg_len.next_multiple_of(align_of::<libc::cmsghdr>())..).unwrap_or(&[]);
        }
        said
    }
}

/// A header of a datagram to be received or sent, with nothing in it.
pub(super) fn empty_header() -> libc::msghdr {
    // SAFETY: a msghdr is integers and pointers, for which all zeroes are valid.
    unsafe { mem::zeroed() }
}

fn stamp(body: &[u8]) -> Option<Duration> {
    let body = body.get(..size_of::<libc::timespec>())?;
    // SAFETY: `body` is exactly as long as a timespec, which is plain integers; the read may be unaligned.
    Some(clock::span(unsafe { ptr::read_unaligned(body.as_ptr().cast()) }))
}
