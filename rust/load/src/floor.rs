//! The endpoints of one thread: their sockets, what they send and what they have heard.
use crate::arrivals::Arrivals;
use crate::gaps::Gap;
use crate::listener::{Finding, Listener};
use crate::pace::Wheel;
use crate::payload::{PACKET_LEN, Stamp, packet, stamp_untrusted};
use crate::timeline::Timeline;
use mediaha_net::sys::udp::{ReceiveBatch, UdpSocket};
use mediaha_net::sys::{monotonic, realtime};
use mediaha_time::{Duration, Time};
use std::net::SocketAddr;

/// Packets that are read with one call. More than one wait only when this thread was late.
const PACKETS_PER_CALL: usize = 4;

/// One socket that sends and hears.
pub(crate) struct Endpoint {
    id: u32,
    socket: UdpSocket,
    remote: Option<SocketAddr>,
    listener: Listener,
    sent: u64,
    refused: u64,
}

/// All that a thread works on. Shared with whoever asks for figures, behind a lock that is held for one batch.
pub(crate) struct Floor {
    run: u64,
    gap_min: Duration,
    wheel: Wheel,
    endpoints: Vec<Option<Endpoint>>,
    timeline: Timeline,
    incoming: ReceiveBatch,
    /// What endpoints that were shut had heard.
    gone: Arrivals,
}

impl Floor {
    pub(crate) fn new(run: u64, packet_time: Duration, gap_min: Duration, timeline: Duration, now: Time) -> Self {
        Self {
            run,
            gap_min,
            wheel: Wheel::new(packet_time, now),
            endpoints: Vec::new(),
            timeline: Timeline::new(packet_time, timeline),
            // One byte more than ours have, so that a longer one does not pass for ours.
            incoming: ReceiveBatch::new(PACKETS_PER_CALL, PACKET_LEN + 1),
            gone: Arrivals::default(),
        }
    }

    /// Takes in a socket; gives the slot under which it is known here. `name` makes its id of the slot.
    pub(crate) fn add(&mut self, socket: UdpSocket, name: impl Fn(usize) -> u32) -> (usize, u32) {
        let slot = self.endpoints.len();
        let id = name(slot);
        let listener = Listener::new(self.gap_min);
        self.endpoints.push(Some(Endpoint { id, socket, remote: None, listener, sent: 0, refused: 0 }));
        (slot, id)
    }

    pub(crate) fn socket(&self, slot: usize) -> Option<&UdpSocket> {
        self.endpoint(slot).map(|endpoint| &endpoint.socket)
    }

    pub(crate) fn peer(&self, slot: usize) -> Option<u32> {
        self.endpoint(slot)?.listener.peer()
    }

    pub(crate) fn expect(&mut self, slot: usize, peer: u32) -> bool {
        self.with(slot, |endpoint| endpoint.listener.expect(peer))
    }

    pub(crate) fn aim(&mut self, slot: usize, remote: SocketAddr) -> bool {
        self.with(slot, |endpoint| endpoint.remote = Some(remote))
    }

    pub(crate) fn start(&mut self, slot: usize, now: Time) -> bool {
        let there = self.endpoint(slot).is_some();
        if there {
            self.wheel.add(slot, now);
        }
        there
    }

    pub(crate) fn stop(&mut self, slot: usize) -> bool {
        self.wheel.remove(slot);
        self.endpoint(slot).is_some()
    }

    /// The peer of this endpoint sends no more, and means it.
    pub(crate) fn rest(&mut self, slot: usize, now: Time) {
        self.with(slot, |endpoint| endpoint.listener.rest(now));
    }

    pub(crate) fn shut(&mut self, slot: usize, now: Time) -> bool {
        self.wheel.remove(slot);
        let Some(endpoint) = self.endpoints.get_mut(slot).and_then(Option::take) else { return false };
        self.gone.add(&endpoint.arrivals(now));
        true
    }

    pub(crate) fn wake_at(&self) -> Option<Time> {
        self.wheel.wake_at()
    }

    pub(crate) fn lateness(&self) -> Duration {
        self.wheel.latest()
    }

    pub(crate) fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    pub(crate) fn arrivals(&self, slot: usize, now: Time) -> Option<Arrivals> {
        self.endpoint(slot).map(|endpoint| endpoint.arrivals(now))
    }

    pub(crate) fn totals(&self, now: Time) -> Arrivals {
        let mut totals = self.gone.clone();
        for endpoint in self.endpoints.iter().flatten() {
            totals.add(&endpoint.arrivals(now));
        }
        totals
    }

    pub(crate) fn gaps(&self, now: Time) -> impl Iterator<Item = (u32, Gap)> + '_ {
        let endpoints = self.endpoints.iter().flatten();
        endpoints.flat_map(move |endpoint| endpoint.listener.gaps(now).map(move |gap| (endpoint.id, gap)))
    }

    /// Reads packets of the endpoint and judges them, by the time at which the kernel had them: how late this
    /// thread comes to read them is none of the network's.
    pub(crate) fn hear(&mut self, slot: usize) {
        let Some(endpoint) = self.endpoints.get_mut(slot).and_then(Option::as_mut) else { return };
        if endpoint.socket.receive_batch(&mut self.incoming).is_err() {
            return;
        }
        let (now, wall) = (monotonic(), realtime());
        for datagram in self.incoming.iter() {
            let waited = datagram.stamp.map_or(Duration::ZERO, |stamp| wall.saturating_sub(stamp));
            let arrived = now - waited;
            let packet = stamp_untrusted(datagram.bytes, self.run);
            if endpoint.listener.hear(packet, arrived) == Finding::Right {
                self.timeline.count(arrived);
            }
        }
    }

    /// Sends what is due in one slot.
    pub(crate) fn send_slot(&mut self) {
        for slot in self.wheel.turn(monotonic()).unwrap_or_default() {
            if let Some(endpoint) = self.endpoints.get_mut(*slot).and_then(Option::as_mut) {
                endpoint.send(self.run);
            }
        }
    }

    fn endpoint(&self, slot: usize) -> Option<&Endpoint> {
        self.endpoints.get(slot)?.as_ref()
    }

    fn with(&mut self, slot: usize, change: impl FnOnce(&mut Endpoint)) -> bool {
        self.endpoints.get_mut(slot).and_then(Option::as_mut).map(change).is_some()
    }
}

impl Endpoint {
    fn send(&mut self, run: u64) {
        let Some(remote) = self.remote else { return };
        let stamp = Stamp { run, sender: self.id, number: self.sent, sent_at: monotonic() };
        match self.socket.send_to(&packet(&stamp), remote) {
            Ok(()) => self.sent += 1,
            // The number is used again, so that the listener does not take our own failure for the network's.
            Err(_) => self.refused += 1,
        }
    }

    fn arrivals(&self, now: Time) -> Arrivals {
        Arrivals {
            sent: self.sent,
            refused: self.refused,
            counts: self.listener.counts(),
            latency: self.listener.latency().clone(),
            longest_gap: self.listener.longest_gap(now).map(|gap| (gap.began, gap.length(now))),
        }
    }
}
