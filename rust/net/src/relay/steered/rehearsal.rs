//! A datagram on its way through the switch and out again, before a call depends on it.
//!
//! That everything was granted does not mean that it works: a packet filter, for instance, may drop what raw sockets send.

use std::net::{IpAddr, SocketAddr};

use mediaha_media::Interface;
use mediaha_time::{Duration, Time};

use super::outlet::Outlet;
use super::switch::Switch;
use super::unsteerable::Unsteerable;
use crate::relay::port_book::PortBook;
use crate::relay::sockets::SocketPair;
use crate::relay::tally::Tally;
use crate::sys::transit::Arrivals;
use crate::sys::udp::{Options, UdpSocket};
use crate::sys::{Epoll, Events, Trigger, monotonic};

const WORDS: &[u8] = b"mediaha rehearses";
/// Long for a datagram that does not leave this host.
const PATIENCE: Duration = Duration::from_millis(500);

/// Sees a datagram through on `address`, by the inlet of this number.
///
/// # Errors
/// How far it came.
pub(super) fn rehearse(
    address: IpAddr,
    book: &mut PortBook,
    switch: &Switch,
    inlet: &UdpSocket,
    number: usize,
) -> Result<(), Unsteerable> {
    let free = |rtp| SocketPair::bind(address, rtp, 0).map(|pair| pair.ports());
    let Ok(ports) = book.open(&Interface::plain(address), monotonic(), free) else {
        return Err(Unsteerable::Undelivered { address, what: "no port is free" });
    };
    switch.steer(ports.rtp, number);
    let came = there_and_back(ports.rtp, inlet);
    switch.release(ports.rtp);
    book.close(address, ports.rtp.port(), monotonic());
    came
}

fn there_and_back(port: SocketAddr, inlet: &UdpSocket) -> Result<(), Unsteerable> {
    let address = port.ip();
    let lost = |what| Unsteerable::Undelivered { address, what };
    let mut outlet = Outlet::new(&[address], 1, 0).map_err(Unsteerable::raw)?;
    let party = UdpSocket::bind((address, 0).into(), &Options::default()).map_err(Unsteerable::Resources)?;
    let party_address = party.local_address().map_err(Unsteerable::Resources)?;
    let give_up_at = monotonic() + PATIENCE;

    party.send_to(WORDS, port).map_err(|_| lost("no datagram could be sent"))?;
    let mut arrivals = Arrivals::new(1);
    loop {
        readable(inlet, give_up_at).ok_or_else(|| lost("a datagram to a steered port did not arrive"))?;
        // Whatever else comes there is not for us.
        let Ok(_) = arrivals.receive(inlet) else { continue };
        let arrival = arrivals.at(0).map(|arrival| (arrival.bytes, arrival.source, arrival.destination));
        if arrival == Some((WORDS, party_address, port)) {
            break;
        }
    }

    let tally = Tally::default();
    outlet.push(&mut arrivals, 0, port, party_address, &tally);
    outlet.flush(&mut arrivals, &tally);
    let mut buffer = [0; WORDS.len()];
    loop {
        readable(&party, give_up_at).ok_or_else(|| lost("a datagram from a steered port did not arrive"))?;
        if party.receive_from(&mut buffer).is_ok_and(|received| received == (WORDS.len(), port)) && buffer == WORDS
        {
            return Ok(());
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
