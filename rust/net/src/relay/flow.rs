//! One stream with its sockets, as its worker keeps it: the way of a packet.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;

use mediaha_media::{Component, Side, Stream, StreamPlan, Verdict};
use mediaha_time::Time;

use super::mailbox::Install;
use super::pair::SocketPair;
use super::tally::Tally;
use crate::sys::udp::UdpSocket;

/// Longer than any UDP datagram, so that none is ever cut.
pub(crate) const DATAGRAM_MAX: usize = 65_536;

/// A stream, the sockets of its two sides, and what their RTP sockets are connected to.
#[derive(Debug)]
pub(crate) struct Flow {
    stream: Stream,
    pairs: [Arc<SocketPair>; 2],
    connected: [Option<SocketAddr>; 2],
    /// Its sockets may have to be connected; the table looks at it from time to time.
    pub(crate) unsettled: bool,
}

impl Flow {
    pub(crate) fn new(install: Install) -> Self {
        let stream = Stream::new(install.plan, install.counters, install.now);
        Self { stream, pairs: install.pairs, connected: [None; 2], unsettled: true }
    }

    /// Takes one datagram out of the socket of `side` and `component`, and forwards it if the stream says so. Returns
    /// false when none was there.
    #[inline]
    pub(crate) fn forward_one(
        &mut self,
        side: Side,
        component: Component,
        buffer: &mut [u8],
        now: Time,
        tally: &Tally,
    ) -> bool {
        let (length, source) = match self.pairs[side.index()].socket(component).receive_from(buffer) {
            Ok(received) => received,
            Err(error) => {
                // Reading the error has taken it away. Nothing else is to be done about a party whose port is closed: it may
                // open it again, and control hears of its silence from the counters.
                if error.kind() == ErrorKind::ConnectionRefused {
                    tally.refused.add(1);
                }
                return false;
            }
        };
        tally.received.add(1);
        let bytes = &buffer[..length.min(DATAGRAM_MAX)];
        if let Verdict::Forward { component, to, .. } = self.stream.packet(side, component, bytes, source, now) {
            self.send(side.other(), component, bytes, to, tally);
        }
        true
    }

    /// Sends to the party on `side`. A packet that the kernel does not take is dropped and counted: media that waits is worth
    /// nothing, and the others must not wait for it.
    #[inline]
    fn send(&self, side: Side, component: Component, bytes: &[u8], to: SocketAddr, tally: &Tally) {
        let socket = self.pairs[side.index()].socket(component);
        let connected = component == Component::Rtp && self.connected[side.index()] == Some(to);
        let mut sent = send(socket, connected, bytes, to);
        if matches!(&sent, Err(error) if error.kind() == ErrorKind::ConnectionRefused) {
            // That was the answer to an earlier packet; this one has not been sent yet.
            tally.refused.add(1);
            sent = send(socket, connected, bytes, to);
        }
        match sent {
            Ok(()) => tally.sent.add(1),
            Err(_) => tally.unsent.add(1),
        }
    }

    /// Takes a changed plan and, where a side's ports have changed, its new sockets. Returns for each side whether they did.
    pub(crate) fn replan(&mut self, plan: &StreamPlan, pairs: [Arc<SocketPair>; 2], now: Time) -> [bool; 2] {
        self.stream.replan(*plan, now);
        let changed = Side::BOTH.map(|side| !Arc::ptr_eq(&self.pairs[side.index()], &pairs[side.index()]));
        for side in Side::BOTH.into_iter().filter(|side| changed[side.index()]) {
            self.connected[side.index()] = None;
        }
        self.pairs = pairs;
        changed
    }

    /// Connects each RTP socket to the only source that is still believed there, or disconnects it if there is no such.
    /// Returns whether both are connected, so that nothing is to be settled until the next plan.
    pub(crate) fn settle(&mut self, now: Time) -> bool {
        for side in Side::BOTH {
            let wanted = self.stream.only_source(side, Component::Rtp, now);
            let connected = &mut self.connected[side.index()];
            if *connected == wanted {
                continue;
            }
            let socket = self.pairs[side.index()].socket(Component::Rtp);
            // A failure leaves a socket that works unconnected, too; it is tried again at the next occasion.
            *connected = match wanted {
                Some(source) => socket.connect(source).is_ok().then_some(source),
                None if socket.disconnect().is_ok() => None,
                None => *connected,
            };
        }
        self.connected.iter().all(Option::is_some)
    }

    /// The sockets of one side.
    pub(crate) fn pair(&self, side: Side) -> &SocketPair {
        &self.pairs[side.index()]
    }
}

#[inline]
fn send(socket: &UdpSocket, connected: bool, bytes: &[u8], to: SocketAddr) -> std::io::Result<()> {
    if connected { socket.send(bytes) } else { socket.send_to(bytes, to) }
}
