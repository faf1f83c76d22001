//! One `m=` line's two directions: what becomes of each packet.

use std::net::SocketAddr;
use std::sync::Arc;

use mediaha_time::Time;

use crate::counters::{Cause, StreamCounters};
use crate::demux::{Kind, kind_untrusted};
use crate::latch::{Believed, Evidence, Heard, Latch};
use crate::ours::Ours;
use crate::plan::{Component, Side, SidePlan, StreamPlan};
use crate::repeats::Repeats;
use crate::sequence::{Run, Sequence, Trace};

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is sent on unchanged.
    Forward {
        /// The local address of the other side to send it from.
        from: SocketAddr,
        /// Which of the other side's two ports that is.
        component: Component,
        /// Where it goes.
        to: SocketAddr,
    },
    /// It is not sent on. It has been counted.
    Drop(Cause),
}

/// A stream as its worker keeps it. Owned by exactly one worker, as nothing here is locked.
#[derive(Debug)]
pub struct Stream {
    plan: StreamPlan,
    parties: [Party; 2],
    counters: StreamCounters,
    ours: Option<Arc<Ours>>,
    /// How often packets to a party had to be sent elsewhere than before because of what was heard.
    turns: u64,
}

/// The way that packets take again and again: known to somebody who forwards them without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Who alone is believed at the port.
    pub source: SocketAddr,
    /// The local address of the other side to send from.
    pub from: SocketAddr,
    /// Where it goes, as long as [`Stream::turns`] stays the same and no other plan comes.
    pub to: SocketAddr,
}

/// What has been learnt about one party. Latches are indexed by [`Component::index`].
#[derive(Debug)]
struct Party {
    latches: [Latch; 2],
    sequence: Sequence,
    /// Its packets as they were before the learning window opened: whoever goes on with them is the party.
    before: Option<Trace>,
    repeats: Repeats,
}

impl Stream {
    /// A stream that goes on where the memory of its counters says that it stood; usually that is nowhere yet, and its
    /// learning windows open at `now`.
    #[must_use]
    pub fn new(plan: StreamPlan, counters: StreamCounters, now: Time) -> Self {
        let parties = Side::BOTH.map(|side| Party::new(&plan, side, &counters, now));
        let stream = Self { plan, parties, counters, ours: None, turns: 0 };
        stream.publish();
        stream
    }

    /// The same of a server whose ports these are. A packet that one of them has sent is no party's, unless its SDP names that
    /// port: a stream that learnt its own would send to itself for ever.
    #[must_use]
    pub fn beside(self, ours: &Arc<Ours>) -> Self {
        Self { ours: Some(Arc::clone(ours)), ..self }
    }

    /// Takes a changed plan. Latches and counters are kept; a side that says `reopen` may be learnt anew.
    pub fn replan(&mut self, plan: StreamPlan, now: Time) {
        for (party, side) in self.parties.iter_mut().zip(&plan.sides) {
            party.replan(side, now);
        }
        self.plan = plan;
        self.publish();
    }

    /// Decides on one packet that arrives now at the local port of `component` of `side`.
    pub fn packet(
        &mut self,
        side: Side,
        component: Component,
        bytes: &[u8],
        source: SocketAddr,
        now: Time,
    ) -> Verdict {
        self.packet_since(side, component, bytes, source, now, now)
    }

    /// The same of one that has waited to be looked at since it `arrived`. What is said of the network counts from then, such as
    /// jitter; who is believed is a matter of `now`. No allocation, no lock.
    pub fn packet_since(
        &mut self,
        side: Side,
        component: Component,
        bytes: &[u8],
        source: SocketAddr,
        arrived: Time,
        now: Time,
    ) -> Verdict {
        let kind = match kind_untrusted(&self.plan, side, component, bytes) {
            Ok(kind) => kind,
            Err(cause) => return self.drop(side, cause),
        };
        let party = &mut self.parties[side.index()];
        let (latch, before) = (&mut party.latches[component.index()], party.before);
        let evidence = |source: SocketAddr| Evidence {
            continues: matches!((&kind, before), (Kind::Rtp(header), Some(before)) if before.goes_on_with(header)),
            // Nothing can be sent to a port without a number.
            suspect: source.port() == 0 || self.ours.as_ref().is_some_and(|ours| ours.contains(source)),
        };
        match latch.judges(source, now, evidence) {
            Heard::Known => {}
            Heard::Learnt => self.learnt(side, component),
            Heard::Stranger => return self.drop(side, Cause::Stranger),
        }
        let party = &mut self.parties[side.index()];
        if party.repeats.is_one(bytes, now) {
            return self.drop(side, Cause::Repeated);
        }
        let counters = self.counters.side(side);
        counters.heard(arrived);
        if let Kind::Rtp(header) = &kind {
            party.sequence.arrived(header, self.plan.clocks.hertz(header.payload_type), arrived);
            counters.sequence(&party.sequence);
        }
        if self.withholds(side, &kind) {
            return self.drop(side, Cause::Blocked);
        }
        let (outgoing, to) = self.way_to(side.other(), component, &kind);
        let Some(to) = to else { return self.drop(side, Cause::Unaddressed) };
        match kind {
            Kind::Rtp(_) | Kind::Datagram => self.counters.side(side).rtp(bytes.len()),
            Kind::Rtcp => self.counters.side(side).rtcp(bytes.len()),
            Kind::Handshake => self.counters.side(side).dtls(bytes.len()),
        }
        Verdict::Forward { from: self.plan.side(side.other()).local(outgoing), component: outgoing, to }
    }

    /// Takes note that a packet which was to be forwarded could not be sent.
    pub fn unsent(&self, side: Side, component: Component, bytes: &[u8]) {
        if let Ok(kind) = kind_untrusted(&self.plan, side, component, bytes) {
            self.counters.side(side).unsent(&kind, bytes.len());
        }
    }

    /// Who can be believed at this port until the next [`Stream::replan`].
    #[must_use]
    pub fn believed(&self, side: Side, component: Component, now: Time) -> Believed {
        self.parties[side.index()].latches[component.index()].believed(now)
    }

    /// The way of the packets that arrive at this port: RTP at the even one, RTCP at the odd one. `None` while it may change by
    /// itself, or leads nowhere.
    #[must_use]
    pub fn route(&self, side: Side, component: Component, now: Time) -> Option<Route> {
        // Whoever forwards without asking knows RTP and nothing else, and forwards all of it, however often it comes.
        let repeats = self.parties[side.index()].repeats.any();
        if !self.plan.content.is_rtp() || !self.plan.side(side).blocks.is_empty() || repeats {
            return None;
        }
        let Believed::Only(source) = self.believed(side, component, now) else { return None };
        let outgoing = match component {
            Component::Rtp => Component::Rtp,
            Component::Rtcp => self.way_of_reports(side.other()),
        };
        let (outgoing, to) = self.way_out(side.other(), outgoing);
        Some(Route { source, from: self.plan.side(side.other()).local(outgoing), to: to? })
    }

    /// Changes whenever packets to either party may go elsewhere because of what was heard.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// The account of a party's packets, for somebody else to go on with.
    #[must_use]
    pub fn run(&self, side: Side) -> Option<Run> {
        self.parties[side.index()].sequence.run()
    }

    /// Takes note of what somebody else has forwarded: when the last packet came to this port, and how far the account of the
    /// party's packets has come.
    pub fn forwarded_elsewhere(
        &mut self,
        side: Side,
        component: Component,
        heard: Option<Time>,
        run: Option<Run>,
    ) {
        let party = &mut self.parties[side.index()];
        if let Some(heard) = heard {
            party.latches[component.index()].heard_elsewhere(heard);
        }
        if let Some(run) = run {
            party.sequence.resume(run);
        }
    }

    /// Counts packets that strangers sent to `side` and that were turned away before they could be looked at.
    pub fn strangers(&self, side: Side, packets: u64) {
        self.counters.side(side).drop(Cause::Stranger, packets);
    }

    /// Counts packets to `side` that the kernel dropped because those before them were waiting to be read.
    pub fn overflowed(&self, side: Side, packets: u64) {
        self.counters.side(side).drop(Cause::Overflow, packets);
    }

    /// How many packets were counted by [`Self::overflowed`], also in a former life.
    #[must_use]
    pub fn overflowed_so_far(&self, side: Side) -> u64 {
        self.counters.side(side).snapshot().dropped(Cause::Overflow)
    }

    /// How many packets of this side this stream knows the end of: forwarded, or dropped for any cause.
    #[must_use]
    pub fn accounted(&self, side: Side) -> u64 {
        self.counters.side(side).snapshot().accounted()
    }

    /// What this stream is doing.
    #[must_use]
    pub fn plan(&self) -> &StreamPlan {
        &self.plan
    }

    /// Packets to a party go elsewhere from here on.
    fn learnt(&mut self, side: Side, component: Component) {
        self.turns += 1;
        let party = &mut self.parties[side.index()];
        party.latches[component.index()].publish(self.counters.latch(side, component));
        if component == Component::Rtp && party.reports_follow(self.plan.side(side)) {
            party.latches[Component::Rtcp.index()].publish(self.counters.latch(side, Component::Rtcp));
        }
    }

    /// Whether a packet from `side` is the party's, and yet not for the other one. Reports go on, as the call does.
    fn withholds(&self, side: Side, kind: &Kind) -> bool {
        let blocks = self.plan.side(side).blocks;
        match kind {
            Kind::Rtp(header) => blocks.withholds(self.plan.events.has(header.payload_type)),
            Kind::Datagram => blocks.withholds(false),
            Kind::Rtcp | Kind::Handshake => false,
        }
    }

    /// The port to send from, and the address to send to; none while the party's is not known. `arrived` says which of the
    /// other side's ports it came to.
    fn way_to(&self, side: Side, arrived: Component, kind: &Kind) -> (Component, Option<SocketAddr>) {
        let component = match kind {
            Kind::Rtp(_) => Component::Rtp,
            Kind::Rtcp => self.way_of_reports(side),
            // Each port has a handshake of its own (RFC 5764 §4.1), which must not get into the other one's.
            Kind::Handshake | Kind::Datagram => arrived,
        };
        self.way_out(side, component)
    }

    fn way_of_reports(&self, side: Side) -> Component {
        if self.plan.side(side).rtcp_mux { Component::Rtp } else { Component::Rtcp }
    }

    fn way_out(&self, side: Side, component: Component) -> (Component, Option<SocketAddr>) {
        let to = self.parties[side.index()].latches[component.index()].target();
        // A socket of one address family cannot send to the other.
        let family = self.plan.side(side).local(component).is_ipv4();
        (component, to.filter(|to| to.is_ipv4() == family))
    }

    fn publish(&self) {
        for side in Side::BOTH {
            for component in Component::BOTH {
                let latch = &self.parties[side.index()].latches[component.index()];
                latch.publish(self.counters.latch(side, component));
            }
        }
    }

    fn drop(&self, side: Side, cause: Cause) -> Verdict {
        self.counters.side(side).drop(cause, 1);
        Verdict::Drop(cause)
    }
}

impl Party {
    fn new(plan: &StreamPlan, side: Side, counters: &StreamCounters, now: Time) -> Self {
        let (party, counted) = (plan.side(side), counters.side(side));
        let heard = counted.snapshot().last_seen;
        let latches = Component::BOTH.map(|component| {
            let (signalled, strict) = (party.remote(component), party.strict_source);
            let resumed = Latch::resumed(counters.latch(side, component), signalled, strict, heard, now);
            let latch = resumed.unwrap_or_else(|| {
                let latch = Latch::new(signalled, strict, now);
                if plan.wary { latch.wary(now) } else { latch }
            });
            if component == Component::Rtcp { latch.of_reports() } else { latch }
        });
        let mut known =
            Self { latches, sequence: counted.resumed_sequence(), before: None, repeats: Repeats::default() };
        known.reports_follow(party);
        known
    }

    fn replan(&mut self, plan: &SidePlan, now: Time) {
        if plan.reopen && !self.latches[Component::Rtp.index()].is_open(now) {
            self.before = self.sequence.trace();
        }
        for (latch, component) in self.latches.iter_mut().zip(Component::BOTH) {
            latch.replan(plan.remote(component), plan.strict_source, plan.reopen, now);
        }
        self.reports_follow(plan);
    }

    /// Expects reports from where the media comes from, if they were signalled to come from the same host. Whether whoever has
    /// sent them before is no longer believed.
    fn reports_follow(&mut self, plan: &SidePlan) -> bool {
        let [media, reports] = &mut self.latches;
        let together =
            plan.remote.zip(plan.remote_rtcp).is_some_and(|(media, reports)| media.ip() == reports.ip());
        media.held().filter(|_| together).is_some_and(|source| reports.follow(source.ip()))
    }
}

#[cfg(test)]
mod tests;
