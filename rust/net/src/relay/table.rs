//! The streams of one worker, found by the token that epoll reports.

use std::collections::HashMap;
use std::{io, mem};

use mediaha_media::{Component, Side, StreamId};

use super::flow::{Desk, Flow};
use super::mailbox::Install;
use super::watch::{self, Place, Watch};
use crate::sys::Epoll;

/// A slab of streams.
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
    pub(crate) fn forward_one(&mut self, token: u64, desk: &mut Desk<'_>) -> bool {
        let (stream, place) = watch::read(token);
        match self.flows.get_mut(stream) {
            Some(Some(flow)) => flow.forward_one(place, desk),
            _ => false,
        }
    }

    /// Starts or changes a stream, and has its sockets watched.
    ///
    /// # Errors
    /// The kernel has no memory or watches left; the sockets it did take are watched.
    pub(crate) fn install(&mut self, install: Install, epoll: &Epoll, desk: &mut Desk<'_>) -> io::Result<()> {
        let stream = install.stream;
        let Some(&place) = self.places.get(&stream) else { return self.start(install, epoll) };
        let Some(flow) = self.flows[place].as_mut() else { return Ok(()) };
        let watch = Watch::of(epoll, place);
        for side in Side::BOTH {
            if !std::ptr::eq(flow.pair(side), &raw const *install.pairs[side.index()]) {
                end(watch, flow, side);
            }
        }
        let changed = flow.replan(&install.plan, install.pairs, install.now);
        // At once, not at the next sweep: while connected, a socket hears nobody new.
        flow.settle(watch, desk);
        if !mem::replace(&mut flow.unsettled, true) {
            self.unsettled.push(stream);
        }
        let mut changed = Side::BOTH.into_iter().filter(|side| changed[side.index()]);
        changed.try_for_each(|side| begin(watch, flow, side))
    }

    /// Ends a stream and lets go of its sockets.
    pub(crate) fn remove(&mut self, stream: StreamId, epoll: &Epoll) {
        let Some(place) = self.places.remove(&stream) else { return };
        let Some(flow) = self.flows[place].take() else { return };
        // Control may still hold the sockets, and then closing ours does not end the watching.
        for side in Side::BOTH {
            end(Watch::of(epoll, place), &flow, side);
        }
        self.vacant.push(place);
    }

    /// Whether [`Self::settle`] has anything to look at.
    pub(crate) fn is_settled(&self) -> bool {
        self.unsettled.is_empty()
    }

    /// Connects sockets of streams that believe one source only.
    pub(crate) fn settle(&mut self, epoll: &Epoll, desk: &mut Desk<'_>) {
        let Self { unsettled, places, flows, .. } = self;
        unsettled.retain(|stream| {
            let Some(&place) = places.get(stream) else { return false };
            flows[place].as_mut().is_some_and(|flow| {
                flow.unsettled = !flow.settle(Watch::of(epoll, place), desk);
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
        Side::BOTH.into_iter().try_for_each(|side| begin(Watch::of(epoll, place), flow, side))
    }
}

fn begin(watch: Watch<'_>, flow: &Flow, side: Side) -> io::Result<()> {
    [Component::Rtp, Component::Rtcp].into_iter().try_for_each(|component| {
        watch.begin(flow.pair(side).socket(component), Place { side, component, doorstep: false })
    })
}

fn end(watch: Watch<'_>, flow: &Flow, side: Side) {
    for component in [Component::Rtp, Component::Rtcp] {
        watch.end(flow.pair(side).socket(component));
    }
}
