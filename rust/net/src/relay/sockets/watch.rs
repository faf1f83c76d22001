//! The sockets of a stream as epoll knows them.

use std::io;
use std::os::fd::AsFd;

use mediaha_media::{Component, Side};

use crate::sys::{Epoll, Trigger};

/// Which of a stream's sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) side: Side,
    pub(super) component: Component,
    /// The one beside a connected socket, where strangers are met.
    pub(super) doorstep: bool,
}

/// Has the sockets of one stream watched.
#[derive(Clone, Copy)]
pub(super) struct Watch<'a> {
    epoll: &'a Epoll,
    stream: usize,
}

impl<'a> Watch<'a> {
    /// For the stream in this place of the table.
    pub(super) fn of(epoll: &'a Epoll, stream: usize) -> Self {
        Self { epoll, stream }
    }

    /// # Errors
    /// The kernel has no memory or watches left.
    pub(super) fn begin(self, socket: &impl AsFd, place: Place) -> io::Result<()> {
        let bits = usize::from(place.doorstep) * 4 + place.side.index() * 2 + place.component.index();
        self.epoll.add(socket, (self.stream * 8 + bits) as u64, Trigger::Level)
    }

    /// Nothing happens if it was never watched, for want of memory.
    pub(super) fn end(self, socket: &impl AsFd) {
        let _ = self.epoll.remove(socket);
    }
}

/// The stream's place in the table, and the socket, that a token means.
#[inline]
pub(super) fn read(token: u64) -> (usize, Place) {
    let side = if token & 2 == 0 { Side::A } else { Side::B };
    let component = if token & 1 == 0 { Component::Rtp } else { Component::Rtcp };
    let place = Place { side, component, doorstep: token & 4 != 0 };
    (usize::try_from(token >> 3).unwrap_or(usize::MAX), place)
}
