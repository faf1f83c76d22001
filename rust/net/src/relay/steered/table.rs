//! The streams of one worker, found by the port that a packet came to.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mediaha_media::{Component, Ours, Side, Stream, StreamCounters, StreamId, StreamPlan, Verdict};
use mediaha_time::Time;

use super::strangers::Strangers;
use crate::relay::RelayConfig;
use crate::relay::kernel::{Risen, Ticket, Usher};
use crate::relay::slab::Slab;

/// A slab of streams, and for each port of each address whose it is.
#[derive(Debug)]
pub(super) struct Table {
    streams: Slab<Stream>,
    addresses: Vec<IpAddr>,
    ours: Arc<Ours>,
    first_port: u16,
    /// For each address one entry a port: zero, or the stream's place in the slab, a bit for the side and a bit for the
    /// component, plus one.
    ports: Vec<Box<[u32]>>,
    /// Shows packets into the lanes of the kernel.
    usher: Option<Usher>,
}

/// A packet that was looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    /// To be shown to [`Table::sent`] when it has been sent.
    pub(super) ticket: Option<(usize, Ticket)>,
}

impl Table {
    /// Without streams.
    pub(super) fn new(config: &RelayConfig, usher: Option<Usher>) -> Self {
        let addresses = config.distinct_addresses();
        let empty = vec![0; config.ports.len()].into_boxed_slice();
        Self {
            streams: Slab::default(),
            ours: config.ours(),
            first_port: *config.ports.start(),
            ports: vec![empty; addresses.len()],
            addresses,
            usher,
        }
    }

    /// What becomes of a packet; `None` if the port it came to is no stream's.
    #[inline]
    pub(super) fn packet(
        &mut self,
        bytes: &[u8],
        source: SocketAddr,
        destination: SocketAddr,
        arrived: Time,
        now: Time,
    ) -> Option<Judged> {
        let (place, side, component) = self.listening(destination)?;
        let stream = self.streams.at(place)?;
        let risen = Risen { side, component, bytes, source, arrived, now };
        let (verdict, ticket) = risen.judge(stream, self.usher.as_mut());
        Some(Judged { verdict, ticket: ticket.map(|ticket| (place, ticket)) })
    }

    /// Takes note that a packet which came there could not be sent on.
    pub(super) fn unsent(&mut self, bytes: &[u8], destination: SocketAddr) {
        let listening = self.listening(destination);
        if let Some((stream, side, component)) =
            listening.and_then(|(place, side, component)| Some((self.streams.at(place)?, side, component)))
        {
            stream.unsent(side, component, bytes);
        }
    }

    /// Takes note that a packet has left, before anything else is done to its stream.
    pub(super) fn sent(&mut self, (place, ticket): (usize, Ticket), now: Time) {
        if let (Some(usher), Some(stream)) = (&mut self.usher, self.streams.at(place)) {
            usher.sent(stream, ticket, now);
        }
    }

    /// Starts or changes a stream.
    pub(super) fn install(&mut self, stream: StreamId, plan: &StreamPlan, counters: StreamCounters, now: Time) {
        let before = self.streams.find(stream).map(|(place, entry)| (place, *entry.plan()));
        let place = if let Some((place, before)) = before {
            self.mark(&before, place, false);
            if let Some((_, entry)) = self.streams.find(stream) {
                if let Some(usher) = &mut self.usher {
                    usher.recall(entry);
                }
                entry.replan(*plan, now);
            }
            place
        } else {
            let begun = Stream::new(*plan, counters, now).beside(&self.ours);
            let (place, entry) = self.streams.insert(stream, begun);
            if let Some(usher) = &mut self.usher {
                usher.begins(entry, now);
            }
            place
        };
        self.mark(plan, place, true);
    }

    /// Ends a stream.
    pub(super) fn remove(&mut self, stream: StreamId) {
        if let Some((place, entry)) = self.streams.remove(stream) {
            self.mark(entry.plan(), place, false);
            if let Some(usher) = &mut self.usher {
                usher.gone(entry.plan());
            }
        }
    }

    /// All streams, in order of their places.
    pub(super) fn streams(&self) -> impl Iterator<Item = (usize, &Stream)> {
        self.streams.all()
    }

    /// Has strangers refused where a party is certain by now.
    pub(super) fn settle(&mut self, strangers: &Strangers, now: Time) {
        for (_, stream) in self.streams.all() {
            for side in Side::BOTH {
                for component in Component::BOTH {
                    let port = stream.plan().side(side).local(component);
                    strangers.believe(port, stream.believed(side, component, now));
                }
            }
        }
    }

    /// Writes into the entries of the plan's ports that they are the stream's at `place`, or that they no longer are.
    fn mark(&mut self, plan: &StreamPlan, place: usize, present: bool) {
        for side in Side::BOTH {
            for component in Component::BOTH {
                let number = place * 4 + side.index() * 2 + component.index() + 1;
                // There are fewer streams than ports.
                let number = u32::try_from(number).unwrap_or(0);
                let Some(entry) = self.entry_mut(plan.side(side).local(component)) else { continue };
                if present {
                    *entry = number;
                } else if *entry == number {
                    *entry = 0;
                }
            }
        }
    }

    /// Which stream's port it is, by its place in the slab, and which of its ports.
    #[inline]
    fn listening(&self, port: SocketAddr) -> Option<(usize, Side, Component)> {
        let entry = self.entry(port).and_then(|entry| entry.checked_sub(1))?;
        let side = if entry & 2 == 0 { Side::A } else { Side::B };
        let component = if entry & 1 == 0 { Component::Rtp } else { Component::Rtcp };
        Some((entry as usize >> 2, side, component))
    }

    #[inline]
    fn entry(&self, port: SocketAddr) -> Option<u32> {
        let address = self.addresses.iter().position(|&address| address == port.ip())?;
        self.ports[address].get(usize::from(port.port().checked_sub(self.first_port)?)).copied()
    }

    fn entry_mut(&mut self, port: SocketAddr) -> Option<&mut u32> {
        let address = self.addresses.iter().position(|&address| address == port.ip())?;
        self.ports[address].get_mut(usize::from(port.port().checked_sub(self.first_port)?))
    }
}
