//! The streams of one worker, found by the token that epoll reports.

use std::collections::HashMap;
use std::{io, mem};

use mediaha_media::{Component, Side, StreamId};
use mediaha_time::Time;

use super::flow::Flow;
use super::mailbox::Install;
use super::tally::Tally;
use crate::sys::{Epoll, Trigger};

/// A slab of streams. A token is the place of the stream in it, then a bit for the side, then a bit for the component.
#[derive(Debug, Default)]
pub(crate) struct Table {
    flows: Vec<Option<Flow>>,
    vacant: Vec<usize>,
    places: HashMap<StreamId, usize>,
    /// Streams that say so of themselves; each is in here once.
    unsettled: Vec<StreamId>,
}

impl Table {
    /// Takes one datagram from the socket that `token` means. Returns false when none was there.
    #[inline]
    pub(crate) fn forward_one(&mut self, token: u64, buffer: &mut [u8], now: Time, tally: &Tally) -> bool {
        let side = if token & 2 == 0 { Side::A } else { Side::B };
        let component = if token & 1 == 0 { Component::Rtp } else { Component::Rtcp };
        let place = usize::try_from(token >> 2).unwrap_or(usize::MAX);
        match self.flows.get_mut(place) {
            Some(Some(flow)) => flow.forward_one(side, component, buffer, now, tally),
            _ => false,
        }
    }

    /// Starts or changes a stream, and has its sockets watched.
    ///
    /// # Errors
    /// The kernel has no memory or watches left; the sockets it did take are watched.
    pub(crate) fn install(&mut self, install: Install, epoll: &Epoll) -> io::Result<()> {
        let stream = install.stream;
        let Some(&place) = self.places.get(&stream) else { return self.start(install, epoll) };
        let Some(flow) = self.flows[place].as_mut() else { return Ok(()) };
        for side in Side::BOTH {
            if !std::ptr::eq(flow.pair(side), &raw const *install.pairs[side.index()]) {
                unwatch(epoll, flow, side);
            }
        }
        let changed = flow.replan(&install.plan, install.pairs, install.now);
        // At once, not at the next sweep: while connected, a socket hears nobody new.
        flow.settle(install.now);
        if !mem::replace(&mut flow.unsettled, true) {
            self.unsettled.push(stream);
        }
        let mut changed = Side::BOTH.into_iter().filter(|side| changed[side.index()]);
        changed.try_for_each(|side| watch(epoll, flow, place, side))
    }

    /// Ends a stream and lets go of its sockets.
    pub(crate) fn remove(&mut self, stream: StreamId, epoll: &Epoll) {
        let Some(place) = self.places.remove(&stream) else { return };
        let Some(flow) = self.flows[place].take() else { return };
        // Control may still hold the sockets, and then closing ours does not end the watching.
        for side in Side::BOTH {
            unwatch(epoll, &flow, side);
        }
        self.vacant.push(place);
    }

    /// Whether [`Self::settle`] has anything to look at.
    pub(crate) fn is_settled(&self) -> bool {
        self.unsettled.is_empty()
    }

    /// Connects sockets of streams that believe one source only.
    pub(crate) fn settle(&mut self, now: Time) {
        let Self { unsettled, places, flows, .. } = self;
        unsettled.retain(|stream| {
            let flow = places.get(stream).and_then(|&place| flows[place].as_mut());
            flow.is_some_and(|flow| {
                flow.unsettled = !flow.settle(now);
                flow.unsettled
            })
        });
    }

    fn start(&mut self, install: Install, epoll: &Epoll) -> io::Result<()> {
        let stream = install.stream;
        let place = self.vacant.pop().unwrap_or(self.flows.len());
        if place == self.flows.len() {
            self.flows.push(None);
        }
        let flow = self.flows[place].insert(Flow::new(install));
        self.places.insert(stream, place);
        self.unsettled.push(stream);
        Side::BOTH.into_iter().try_for_each(|side| watch(epoll, flow, place, side))
    }
}

fn watch(epoll: &Epoll, flow: &Flow, place: usize, side: Side) -> io::Result<()> {
    [Component::Rtp, Component::Rtcp].into_iter().try_for_each(|component| {
        let token = (place * 4 + side.index() * 2 + component.index()) as u64;
        epoll.add(flow.pair(side).socket(component), token, Trigger::Level)
    })
}

fn unwatch(epoll: &Epoll, flow: &Flow, side: Side) {
    for component in [Component::Rtp, Component::Rtcp] {
        // It fails only if it was never watched, for want of memory.
        let _ = epoll.remove(flow.pair(side).socket(component));
    }
}
