//! One stream with its sockets, as its worker keeps it: the way of a packet.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

use mediaha_media::{Believed, Component, Side, Stream, StreamPlan, Verdict};
use mediaha_time::{Duration, Time};

use super::datapath::Install;
use super::desk::{DATAGRAM_MAX, Desk};
use super::doorstep::{self, Doorstep};
use super::pair::SocketPair;
use super::watch::{Place, Watch};
use crate::relay::kernel::Risen;
use crate::relay::tally::Tally;
use crate::sys::udp::UdpSocket;

/// How often it is looked what the kernel has dropped at a flow's sockets. Each look takes four system calls.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A stream and the sockets of its two sides.
#[derive(Debug)]
pub(super) struct Flow {
    stream: Stream,
    pairs: [Arc<SocketPair>; 2],
    connected: [Option<Connected>; 2],
    /// Its sockets may have to be connected; the table looks at it from time to time.
    pub(super) unsettled: bool,
    drops: Drops,
}

/// What the kernel had dropped at the sockets of each side when it was last looked.
#[derive(Debug, Default)]
struct Drops {
    look_at: Time,
    known: [[u32; 2]; 2],
}

/// What the RTP socket of a side is connected to, and where everybody else is met.
#[derive(Debug)]
struct Connected {
    peer: SocketAddr,
    /// `None` for a socket that was found connected at an adoption: the doorstep of the process that is gone may still be there,
    /// and nobody else's fits beside it.
    doorstep: Option<Doorstep>,
}

impl Flow {
    pub(super) fn new(install: Install, desk: &mut Desk<'_>) -> Self {
        let mut stream = Stream::new(install.plan, install.counters, install.now).beside(desk.ours);
        if let Some(usher) = &mut desk.usher {
            usher.begins(&mut stream, desk.now);
        }
        let (connected, drops) = ([None, None], Drops::default());
        let mut flow = Self { stream, pairs: install.pairs, connected, unsettled: true, drops };
        for side in Side::BOTH {
            flow.take_over(side, install.now);
            flow.take_over_drops(side);
        }
        flow
    }

    /// A socket may have been connected by a process that is gone. It stays so only if its successor would connect it, too.
    fn take_over(&mut self, side: Side, now: Time) {
        let Some(peer) = self.pairs[side.index()].former_peer() else { return };
        if self.stream.believed(side, Component::Rtp, now) == Believed::Only(peer) {
            self.connected[side.index()] = Some(Connected { peer, doorstep: None });
        } else {
            // It fails for want of kernel memory only; then the next plan that opens the window does it.
            let _ = self.pairs[side.index()].socket(Component::Rtp).disconnect();
        }
    }

    /// Sockets of a process that is gone may have dropped packets before its death, which it has counted, and since.
    fn take_over_drops(&mut self, side: Side) {
        if !self.pairs[side.index()].is_inherited() {
            return;
        }
        let sockets =
            Component::BOTH.map(|component| self.pairs[side.index()].socket(component).drops().unwrap_or(0));
        self.drops.known[side.index()] = sockets;
        let dropped: u64 = sockets.into_iter().map(u64::from).sum();
        let more = dropped.saturating_sub(self.stream.overflowed_so_far(side));
        if more > 0 {
            self.stream.overflowed(side, more);
        }
    }

    /// Takes one datagram out of the socket at `place`, and forwards it if the stream says so. Returns false when none was
    /// there.
    #[inline]
    pub(super) fn forward_one(&mut self, place: Place, desk: &mut Desk<'_>) -> bool {
        let Place { side, component, doorstep } = place;
        if desk.now >= self.drops.look_at {
            self.look_for_drops(desk);
        }
        let socket = if doorstep {
            let Some(doorstep) = self.connected[side.index()].as_mut().and_then(|it| it.doorstep.as_mut()) else {
                return false;
            };
            self.stream.strangers(side, doorstep.turned_away().into());
            &doorstep.socket
        } else {
            self.pairs[side.index()].socket(component)
        };
        let (length, source) = match socket.receive_from(desk.buffer) {
            Ok(received) => received,
            Err(error) => {
                // Reading the error has taken it away. Nothing else is to be done about a party whose port is closed: it may
                // open it again, and control hears of its silence from the counters.
                if error.kind() == ErrorKind::ConnectionRefused {
                    desk.tally.refused.add(1);
                }
                return false;
            }
        };
        desk.tally.received.add(1);
        let bytes = &desk.buffer[..length.min(DATAGRAM_MAX)];
        let arrived = desk.arrived.unwrap_or_else(|| desk.stamps.arrival(socket.last_stamp()));
        let risen = Risen { side, component, bytes, source, arrived, now: desk.now };
        let (verdict, ticket) = risen.judge(&mut self.stream, desk.usher.as_deref_mut());
        if let Verdict::Forward { component: outgoing, to, .. } = verdict {
            if !self.send(side.other(), outgoing, bytes, to, desk.tally) {
                self.stream.unsent(side, component, bytes);
            }
            if let (Some(usher), Some(ticket)) = (&mut desk.usher, ticket) {
                usher.sent(&mut self.stream, ticket, desk.now);
            }
        }
        true
    }

    /// Counts what the kernel has dropped since the last look. A queue that was full has something to be read, so that none is
    /// forgotten as long as the flow is heard.
    fn look_for_drops(&mut self, desk: &Desk<'_>) {
        self.drops.look_at = desk.now + LOOK_EVERY;
        for side in Side::BOTH {
            for component in Component::BOTH {
                // A kernel that cannot tell drops them all the same.
                let Ok(drops) = self.pairs[side.index()].socket(component).drops() else { continue };
                let known = &mut self.drops.known[side.index()][component.index()];
                let more = drops.wrapping_sub(std::mem::replace(known, drops));
                if more > 0 {
                    self.stream.overflowed(side, more.into());
                    desk.tally.overflowed.add(more.into());
                }
            }
        }
    }

    /// Sends to the party on `side`; whether that could be done. A packet that the kernel does not take is dropped and counted: media that waits is worth
    /// nothing, and the others must not wait for it.
    #[inline]
    fn send(&self, side: Side, component: Component, bytes: &[u8], to: SocketAddr, tally: &Tally) -> bool {
        let socket = self.pairs[side.index()].socket(component);
        let connected = component == Component::Rtp && self.peer(side) == Some(to);
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
        sent.is_ok()
    }

    /// Takes a changed plan and, where a side's ports have changed, its new sockets. Returns for each side whether they did.
    pub(super) fn replan(
        &mut self,
        plan: &StreamPlan,
        pairs: [Arc<SocketPair>; 2],
        now: Time,
        desk: &mut Desk<'_>,
    ) -> [bool; 2] {
        if let Some(usher) = &mut desk.usher {
            usher.recall(&mut self.stream);
        }
        self.stream.replan(*plan, now);
        let changed = Side::BOTH.map(|side| !Arc::ptr_eq(&self.pairs[side.index()], &pairs[side.index()]));
        for side in Side::BOTH.into_iter().filter(|side| changed[side.index()]) {
            self.connected[side.index()] = None;
            self.drops.known[side.index()] = [0; 2];
        }
        self.pairs = pairs;
        changed
    }

    /// Connects each RTP socket to the only source that is still believed there, or disconnects it if there is no such.
    /// Returns whether both are connected, so that nothing is to be settled until the next plan.
    pub(super) fn settle(&mut self, watch: Watch<'_>, desk: &mut Desk<'_>) -> bool {
        for side in Side::BOTH {
            let wanted = match self.stream.believed(side, Component::Rtp, desk.now) {
                Believed::Only(source) => Some(source),
                Believed::Host(_) | Believed::Anybody => None,
            };
            match wanted {
                Some(peer) if self.peer(side) == Some(peer) => self.meet_strangers(side, watch),
                None if self.peer(side).is_none() => {}
                // A failure leaves a socket that works unconnected, too; it is tried again at the next occasion.
                Some(peer) => drop(self.connect(side, peer, watch)),
                None => self.disconnect(side, desk),
            }
        }
        self.connected.iter().flatten().filter(|connected| connected.doorstep.is_some()).count() == 2
    }

    /// What is forwarded.
    pub(super) fn plan(&self) -> &StreamPlan {
        self.stream.plan()
    }

    /// The sockets of one side.
    pub(super) fn pair(&self, side: Side) -> &SocketPair {
        &self.pairs[side.index()]
    }

    /// In this order: were the doorstep there before the socket is connected, it would get the party's own packets meanwhile.
    fn connect(&mut self, side: Side, peer: SocketAddr, watch: Watch<'_>) -> io::Result<()> {
        let socket = self.pairs[side.index()].socket(Component::Rtp);
        socket.connect(peer)?;
        if let Some(connected) = &mut self.connected[side.index()] {
            connected.peer = peer;
            return Ok(());
        }
        let met = self.doorstep(side, watch);
        if met.is_err() {
            // Without a doorstep strangers would go uncounted.
            socket.disconnect()?;
        }
        self.connected[side.index()] = Some(Connected { peer, doorstep: Some(met?) });
        Ok(())
    }

    /// Puts a doorstep beside a socket that was found connected; if that fails, it is tried again at the next occasion.
    fn meet_strangers(&mut self, side: Side, watch: Watch<'_>) {
        let missing = self.connected[side.index()].as_ref().is_some_and(|connected| connected.doorstep.is_none());
        if let (true, Ok(doorstep)) = (missing, self.doorstep(side, watch))
            && let Some(connected) = &mut self.connected[side.index()]
        {
            connected.doorstep = Some(doorstep);
        }
    }

    fn doorstep(&self, side: Side, watch: Watch<'_>) -> io::Result<Doorstep> {
        let doorstep = Doorstep::beside(self.pairs[side.index()].socket(Component::Rtp))?;
        watch.begin(&doorstep.socket, Place { side, component: Component::Rtp, doorstep: true })?;
        Ok(doorstep)
    }

    /// Whoever waits on the doorstep is judged like everybody from here on: it may be the party, from its new address.
    fn disconnect(&mut self, side: Side, desk: &mut Desk<'_>) {
        let pair = &self.pairs[side.index()];
        if pair.socket(Component::Rtp).disconnect().is_err() {
            return;
        }
        // What comes now may find either of the two, until the doorstep hears itself alone. Were it closed before, whatever it
        // had got in between would be lost.
        if let Some(doorstep) = self.connected[side.index()].as_ref().and_then(|it| it.doorstep.as_ref()) {
            let _ = doorstep.socket.connect(pair.ports().rtp);
        }
        let place = Place { side, component: Component::Rtp, doorstep: true };
        let mut waiting = 0..doorstep::WAITING_MAX;
        while waiting.next().is_some() && self.forward_one(place, desk) {}
        self.connected[side.index()] = None;
    }

    fn peer(&self, side: Side) -> Option<SocketAddr> {
        self.connected[side.index()].as_ref().map(|connected| connected.peer)
    }
}

#[inline]
fn send(socket: &UdpSocket, connected: bool, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
    if connected { socket.send(bytes) } else { socket.send_to(bytes, to) }
}
