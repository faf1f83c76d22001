//! A packet through a lane, before a call depends on it.

use std::net::{IpAddr, SocketAddr};

use mediaha_media::{Clocks, Datapath, Interface, PortPair, Route};
use mediaha_time::{Duration, Time};

use super::course::Course;
use super::lane::Way;
use super::lanes::Lanes;
use super::no_lanes::NoLanes;
use crate::sys::udp::{Options, UdpSocket};
use crate::sys::{Epoll, Events, Trigger, monotonic};

/// The header of an RTP packet, and words.
const PACKET: &[u8] = b"\x80\x00\x00\x01\x00\x00\x00\xa0\x00\x00\x00\x07mediaha rehearses";
/// Long for a datagram that does not leave this host.
const PATIENCE: Duration = Duration::from_millis(250);
/// A host that is busy with more packets than it can take may drop ours, and needs a server that starts all the more.
const TRIES: usize = 8;

/// Sees a packet through on `address`, between two parties on this host.
///
/// # Errors
/// How far it came.
pub(super) fn rehearse(address: IpAddr, under: &mut dyn Datapath, lanes: &Lanes) -> Result<(), NoLanes> {
    let in_use = |ports: &PortPair| [ports.rtp, ports.rtcp].into_iter().any(|port| lanes.is_open(port));
    let mut passed_over = Vec::new();
    let opened = loop {
        match under.open(&Interface::plain(address)) {
            // Flows that a dead process has left.
            Ok(ports) if in_use(&ports) => passed_over.push(ports),
            opened => break opened,
        }
    };
    let came = opened.map_or(Err(NoLanes::Undelivered { address, what: "no port is free" }), |ports| {
        passed_over.push(ports);
        by_lane(ports.rtp, ports.rtcp, lanes)
    });
    for ports in passed_over {
        under.close(ports);
    }
    came
}

fn by_lane(port: SocketAddr, from: SocketAddr, lanes: &Lanes) -> Result<(), NoLanes> {
    let address = port.ip();
    let lost = |what| NoLanes::Undelivered { address, what };
    let socket = || {
        let socket = UdpSocket::bind((address, 0).into(), &Options::default()).ok()?;
        socket.local_address().ok().map(|bound| (socket, bound))
    };
    let ((speaker, source), (listener, to)) =
        socket().zip(socket()).ok_or_else(|| lost("no socket could be bound"))?;
    let lane = lanes.at(port).ok_or_else(|| lost("the port has no lane"))?;
    lane.clear();
    let route = Route { source, from, to };
    lane.arm(Way { local: port, route, course: Course::Here, flags: 0 }, &Clocks::default());
    lane.open(0, None);
    let mut heard = Err(lost("no datagram could be sent"));
    for _ in 0..TRIES {
        if speaker.send_to(PACKET, port).is_ok() {
            heard = hears(&listener, from).ok_or_else(|| lost("a packet for a lane did not arrive"));
        }
        if heard.is_ok() {
            break;
        }
    }
    let counted = lane.account().figures.packets;
    lane.clear();
    heard?;
    if counted > 0 { Ok(()) } else { Err(lost("a packet for a lane was not counted")) }
}

/// Whether the packet comes, from there.
fn hears(listener: &UdpSocket, from: SocketAddr) -> Option<()> {
    let give_up_at = monotonic() + PATIENCE;
    let mut buffer = [0; 64];
    loop {
        readable(listener, give_up_at)?;
        let received = listener.receive_from(&mut buffer);
        if received.is_ok_and(|received| received == (PACKET.len(), from)) && buffer.starts_with(PACKET) {
            return Some(());
        }
    }
}

/// Waits until the socket has something; `None` if it has not by then.
fn readable(socket: &UdpSocket, give_up_at: Time) -> Option<()> {
    let (epoll, mut events) = (Epoll::new().ok()?, Events::new(1));
    epoll.add(socket, 0, Trigger::Level).ok()?;
    epoll.wait(&mut events, Some(give_up_at.since(monotonic()))).ok()?;
    (!events.is_empty()).then_some(())
}
