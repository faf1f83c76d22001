//! The streams of one worker, found by the token that epoll reports.

use std::{io, mem};

use mediaha_media::{Component, Side, StreamId};

use super::datapath::Install;
use super::desk::Desk;
use super::flow::Flow;
use super::watch::{self, Place, Watch};
use crate::relay::kernel::Usher;
use crate::relay::slab::Slab;
use crate::sys::Epoll;

/// How many streams are settled before packets are looked for again: each takes some system calls, and after an adoption all
/// streams of a server come at once.
const SETTLED_MAX: usize = 32;

/// Streams, and which of them have sockets to be connected.
#[derive(Debug, Default)]
pub(super) struct Table {
    flows: Slab<Flow>,
    /// Streams that say so of themselves; each is in here once.
    unsettled: Vec<StreamId>,
}

impl Table {
    /// Takes one datagram from the socket that `token` means. Returns false when none was there.
    #[inline]
    pub(super) fn forward_one(&mut self, token: u64, desk: &mut Desk<'_>) -> bool {
        let (stream, place) = watch::read(token);
        self.flows.at(stream).is_some_and(|flow| flow.forward_one(place, desk))
    }

    /// Starts or changes a stream, and has its sockets watched.
    ///
    /// # Errors
    /// The kernel has no memory or watches left; the sockets it did take are watched.
    pub(super) fn install(&mut self, install: Install, epoll: &Epoll, desk: &mut Desk<'_>) -> io::Result<()> {
        let stream = install.stream;
        let Some((place, flow)) = self.flows.find(stream) else { return self.start(install, epoll, desk) };
        let watch = Watch::of(epoll, place);
        for side in Side::BOTH {
            if !std::ptr::eq(flow.pair(side), &raw const *install.pairs[side.index()]) {
                end(watch, flow, side);
            }
        }
        let changed = flow.replan(&install.plan, install.pairs, install.now, desk);
        // At once, not at the next sweep: while connected, a socket hears nobody new.
        flow.settle(watch, desk);
        if !mem::replace(&mut flow.unsettled, true) {
            self.unsettled.push(stream);
        }
        let mut changed = Side::BOTH.into_iter().filter(|side| changed[side.index()]);
        changed.try_for_each(|side| begin(watch, flow, side))
    }

    /// Ends a stream and lets go of its sockets.
    pub(super) fn remove(&mut self, stream: StreamId, epoll: &Epoll, usher: Option<&mut Usher>) {
        let Some((place, flow)) = self.flows.remove(stream) else { return };
        if let Some(usher) = usher {
            usher.gone(flow.plan());
        }
        // Control may still hold the sockets, and then closing ours does not end the watching.
        for side in Side::BOTH {
            end(Watch::of(epoll, place), &flow, side);
        }
    }

    /// Whether [`Self::settle`] has anything to look at.
    pub(super) fn is_settled(&self) -> bool {
        self.unsettled.is_empty()
    }

    /// Connects sockets of streams that believe one source only, of some of them at a time; whether there may be more to do.
    pub(super) fn settle(&mut self, epoll: &Epoll, desk: &mut Desk<'_>) -> bool {
        let Self { unsettled, flows } = self;
        let mut room = SETTLED_MAX;
        unsettled.retain(|&stream| {
            room == 0
                || flows.find(stream).is_some_and(|(place, flow)| {
                    flow.unsettled = !flow.settle(Watch::of(epoll, place), desk);
                    room -= usize::from(!flow.unsettled);
                    flow.unsettled
                })
        });
        room == 0
    }

    fn start(&mut self, install: Install, epoll: &Epoll, desk: &mut Desk<'_>) -> io::Result<()> {
        let stream = install.stream;
        let (place, flow) = self.flows.insert(stream, Flow::new(install, desk));
        self.unsettled.push(stream);
        Side::BOTH.into_iter().try_for_each(|side| begin(Watch::of(epoll, place), flow, side))
    }
}

fn begin(watch: Watch<'_>, flow: &Flow, side: Side) -> io::Result<()> {
    Component::BOTH.into_iter().try_for_each(|component| {
        watch.begin(flow.pair(side).socket(component), Place { side, component, doorstep: false })
    })
}

fn end(watch: Watch<'_>, flow: &Flow, side: Side) {
    for component in Component::BOTH {
        watch.end(flow.pair(side).socket(component));
    }
}
