//! Shows packets the way into the lanes: a worker's end of them.
//!
//! Nothing is told to it in advance. A packet that the worker has sent on, and whose like will go the same way, arms its lane.
//! Whenever the stream may judge otherwise from here on, the lanes are recalled first, and the worker knows at that moment all
//! that the kernel has learnt.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mediaha_media::{Component, Side, Stream, StreamPlan, Verdict, rtp};
use mediaha_time::{Duration, Time};

use super::course::{Course, Pilot};
use super::lane::{self, State, Way};
use super::lanes::{Lane, Lanes};
use crate::sys::netlink::Traffic;

/// For how long packets of a lane rise that had to be recalled because one of them was not for the kernel.
const REST: Duration = Duration::from_secs(1);
/// How many lanes rest at most; others are armed again at once.
const RESTING_MAX: usize = 4096;

/// One worker's.
#[derive(Debug)]
pub(in crate::relay) struct Usher {
    lanes: Arc<Lanes>,
    pilot: Pilot,
    traffic_class: u8,
    /// Until when.
    resting: HashMap<SocketAddr, Time>,
}

/// What is remembered of a packet until it has been sent.
#[derive(Clone, Copy, Debug)]
pub(in crate::relay) struct Ticket {
    side: Side,
    component: Component,
    /// Its first four bytes.
    tag: u32,
    turns: u64,
}

/// A packet that was not forwarded by the kernel.
#[derive(Clone, Copy)]
pub(in crate::relay) struct Risen<'a> {
    pub(in crate::relay) side: Side,
    pub(in crate::relay) component: Component,
    pub(in crate::relay) bytes: &'a [u8],
    pub(in crate::relay) source: SocketAddr,
    pub(in crate::relay) arrived: Time,
    pub(in crate::relay) now: Time,
}

impl Risen<'_> {
    /// What the stream says of it. Where there is an usher, also a ticket, to be shown to [`Usher::sent`].
    #[inline]
    pub(in crate::relay) fn judge(
        &self,
        stream: &mut Stream,
        usher: Option<&mut Usher>,
    ) -> (Verdict, Option<Ticket>) {
        let &Self { side, component, bytes, source, arrived, now } = self;
        let Some(usher) = usher else {
            return (stream.packet_since(side, component, bytes, source, arrived, now), None);
        };
        let ticket = usher.arrives(stream, self);
        let verdict = stream.packet_since(side, component, bytes, source, arrived, now);
        if let Some(ticket) = ticket {
            usher.judged(stream, ticket);
        }
        (verdict, ticket)
    }
}

impl Usher {
    /// # Errors
    /// The kernel's: it does not tell its routes.
    pub(in crate::relay) fn new(lanes: Arc<Lanes>, traffic_class: u8) -> io::Result<Self> {
        Ok(Self { lanes, pilot: Pilot::new()?, traffic_class, resting: HashMap::new() })
    }

    /// Before the stream is asked about a packet.
    fn arrives(&mut self, stream: &mut Stream, risen: &Risen<'_>) -> Option<Ticket> {
        let &Risen { side, component, bytes, source, now, .. } = risen;
        let port = stream.plan().side(side).local(component);
        let lane = self.lanes.at(port)?;
        let gate = lane.gate();
        match gate.state() {
            State::Idle | State::Armed => {}
            // Reports and handshakes are none of the account.
            State::Open if component == Component::Rtcp || rtp::is_rtcp(bytes) || !lane.source_is(source) => {}
            State::Open if rtp::header_untrusted(bytes).is_err() => {}
            State::Open => {
                take_over(lane, stream, side, component);
                self.rest(port, now);
            }
            State::Recalled => {
                take_over(lane, stream, side, component);
                if gate.is_refused() {
                    self.rest(port, now);
                }
            }
        }
        let tag = u32::from_ne_bytes(*bytes.first_chunk()?);
        Some(Ticket { side, component, tag, turns: stream.turns() })
    }

    /// When the stream has been asked.
    fn judged(&mut self, stream: &mut Stream, ticket: Ticket) {
        if stream.turns() != ticket.turns {
            self.recall(stream);
        }
    }

    /// To be called when a packet has been sent on, before the stream is asked about another one that came to the same port.
    pub(in crate::relay) fn sent(&mut self, stream: &mut Stream, ticket: Ticket, now: Time) {
        let Ticket { side, component, tag, .. } = ticket;
        let port = stream.plan().side(side).local(component);
        let state = self.lanes.at(port).map(|lane| lane.gate().state());
        let way = match state {
            Some(State::Idle) if !self.rests(port, now) => self.way(stream, side, component, now),
            _ => None,
        };
        let Some(lane) = self.lanes.at(port) else { return };
        if let Some(way) = way {
            lane.arm(way, &stream.plan().clocks);
        } else if state == Some(State::Armed) {
            lane.open(tag, stream.run(side).filter(|_| component == Component::Rtp));
        }
    }

    /// To be called when a stream begins: it may have been forwarded in a former life of the server, and not quite as it is to be
    /// now.
    pub(in crate::relay) fn begins(&mut self, stream: &mut Stream, now: Time) {
        for side in Side::BOTH {
            for component in Component::BOTH {
                let port = stream.plan().side(side).local(component);
                if self.lanes.at(port).is_none_or(|lane| lane.gate().state() == State::Idle) {
                    continue;
                }
                let way = self.way(stream, side, component, now);
                let Some(lane) = self.lanes.at(port) else { continue };
                if way.is_none_or(|way| !lane.leads(way, &stream.plan().clocks)) {
                    take_over(lane, stream, side, component);
                }
            }
        }
    }

    /// To be called before the stream gets another plan.
    pub(in crate::relay) fn recall(&mut self, stream: &mut Stream) {
        for side in Side::BOTH {
            for component in Component::BOTH {
                if let Some(lane) = self.lanes.at(stream.plan().side(side).local(component)) {
                    take_over(lane, stream, side, component);
                }
            }
        }
    }

    /// To be called when a stream is no more.
    pub(in crate::relay) fn gone(&mut self, plan: &StreamPlan) {
        let ports = plan.sides.iter().flat_map(|side| [side.local.rtp, side.local.rtcp]);
        ports.filter_map(|port| self.lanes.at(port)).for_each(Lane::idle);
    }

    fn way(&mut self, stream: &Stream, side: Side, component: Component, now: Time) -> Option<Way> {
        let route = stream.route(side, component, now)?;
        let local = stream.plan().side(side).local(component);
        // What a socket shows as an IPv4 address is one on the wire, too; from one family to the other is for the worker.
        if local.is_ipv4() != route.to.is_ipv4() || local.is_ipv4() != route.source.is_ipv4() {
            return None;
        }
        // An address that means something on one link only is not all that such a lane would have to know.
        if [route.source, route.to]
            .iter()
            .any(|address| matches!(address, SocketAddr::V6(it) if it.ip().is_unicast_link_local()))
        {
            return None;
        }
        let traffic = Traffic { from: route.from, to: route.to, class: self.traffic_class };
        let course = self.pilot.course(traffic, self.lanes.routes())?;
        let router = match course {
            Course::Here => 0,
            Course::Out { router: None, .. } => lane::ON_LINK,
            Course::Out { router: Some(router), .. } => self.lanes.router(router)?,
        };
        let mux = stream.plan().side(side).rtcp_mux;
        let through = stream.plan().side(side.other()).rtcp_mux;
        let flags = match component {
            Component::Rtcp => lane::RTCP,
            Component::Rtp if mux && through => lane::MUX | lane::THROUGH,
            Component::Rtp if mux => lane::MUX,
            Component::Rtp => 0,
        };
        Some(Way { local, route, course, flags: flags | router << lane::ROUTER_BITS })
    }

    fn rest(&mut self, port: SocketAddr, now: Time) {
        if self.resting.len() >= RESTING_MAX {
            self.resting.retain(|_, until| *until > now);
        }
        if self.resting.len() < RESTING_MAX {
            self.resting.insert(port, now + REST);
        }
    }

    fn rests(&self, port: SocketAddr, now: Time) -> bool {
        self.resting.get(&port).is_some_and(|&until| until > now)
    }
}

/// Lets packets rise, and the stream know what it has missed.
fn take_over(lane: Lane<'_>, stream: &mut Stream, side: Side, component: Component) {
    let forwarded = matches!(lane.gate().state(), State::Open | State::Recalled);
    lane.idle();
    if forwarded {
        let account = lane.account();
        let run = account.run.filter(|_| component == Component::Rtp);
        stream.forwarded_elsewhere(side, component, account.figures.last_seen, run);
    }
}
