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
mod tests {
    use super::*;
    use crate::blocks::{Blocks, Events};
    use crate::clocks::Clocks;
    use crate::content::Content;
    use crate::plan::PortPair;

    const RTP: [u8; 14] = [0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 5, b'h', b'i'];
    const RTCP: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 5];

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn side(local: &str, rtcp: &str, remote: Option<&str>) -> SidePlan {
        SidePlan {
            local: PortPair { rtp: at(local), rtcp: at(rtcp) },
            remote: remote.map(at),
            remote_rtcp: remote.map(at).map(|it| SocketAddr::new(it.ip(), it.port() + 1)),
            rtcp_mux: false,
            strict_source: false,
            blocks: Blocks::default(),
            reopen: true,
        }
    }

    fn plan() -> StreamPlan {
        StreamPlan {
            sides: [
                side("10.0.0.1:30000", "10.0.0.1:30001", Some("198.51.100.1:4000")),
                side("10.0.0.1:30002", "10.0.0.1:30003", Some("198.51.100.2:5000")),
            ],
            clocks: Clocks::default(),
            events: Events::default(),
            wary: false,
            content: Content::Rtp,
        }
    }

    fn stream(plan: &StreamPlan) -> (Stream, StreamCounters) {
        let counters = StreamCounters::default();
        (Stream::new(*plan, counters.clone(), Time::ZERO), counters)
    }

    #[test]
    fn a_successor_goes_on_with_what_was_learnt_and_counted() {
        let (mut stream, counters) = stream(&plan());
        let (phone, stranger) = (at("203.0.113.7:7000"), at("203.0.113.66:666"));
        stream.packet(Side::A, Component::Rtp, &RTP, phone, Time::ZERO);
        let late = Time::from_millis(4_000);
        let mut successor = Stream::new(plan(), counters.clone(), late);
        assert_eq!(successor.believed(Side::A, Component::Rtp, late), Believed::Only(phone));
        let verdict = successor.packet(Side::A, Component::Rtp, &RTP, stranger, late);
        assert_eq!(verdict, Verdict::Drop(Cause::Stranger));
        let verdict = successor.packet(Side::B, Component::Rtp, &RTP, at("198.51.100.2:5000"), late);
        assert!(matches!(verdict, Verdict::Forward { to, .. } if to == phone), "{verdict:?}");
        successor.packet(Side::A, Component::Rtp, &RTP, phone, late);
        let [a, _] = counters.snapshot();
        assert_eq!((a.packets, a.ssrc_changes, a.dropped(Cause::Stranger)), (2, 0, 1));
    }

    #[test]
    fn a_successor_believes_an_address_that_its_predecessor_had_no_time_to_hear_of() {
        let (mut stream, counters) = stream(&plan());
        stream.packet(Side::A, Component::Rtp, &RTP, at("198.51.100.1:4000"), Time::ZERO);
        let mut moved = plan();
        moved.sides[0] = side("10.0.0.1:30000", "10.0.0.1:30001", Some("198.51.100.9:9000"));
        let late = Time::from_millis(4_000);
        let mut successor = Stream::new(moved, counters, late);
        let verdict = successor.packet(Side::B, Component::Rtp, &RTP, at("198.51.100.2:5000"), late);
        assert!(matches!(verdict, Verdict::Forward { to, .. } if to == at("198.51.100.9:9000")), "{verdict:?}");
    }

    #[test]
    fn a_packet_that_has_waited_is_as_late_as_it_came_and_is_believed_as_of_now() {
        let (mut stream, counters) = stream(&plan());
        let phone = at("198.51.100.1:4000");
        let (now, ms) = (Time::from_millis(4_000), Time::from_millis);
        stream.packet_since(Side::A, Component::Rtp, &RTP, phone, ms(20), ms(20));
        let second = [&[0x80, 0, 0, 2, 0, 0, 1, 64], &RTP[8..]].concat();
        stream.packet_since(Side::A, Component::Rtp, &second, phone, ms(40), now);
        let [a, _] = counters.snapshot();
        assert_eq!((a.packets, a.jitter_ns, a.last_seen), (2, 0, Some(ms(40))));
        let verdict = stream.packet_since(Side::B, Component::Rtp, &RTP, at("203.0.113.66:666"), ms(60), now);
        assert_eq!(verdict, Verdict::Drop(Cause::Stranger), "the window is over");
    }

    #[test]
    fn audio_and_reports_go_to_where_the_other_party_said() {
        let (mut stream, counters) = stream(&plan());
        let source = at("198.51.100.1:4000");
        assert_eq!(
            stream.packet(Side::A, Component::Rtp, &RTP, source, Time::ZERO),
            Verdict::Forward {
                from: at("10.0.0.1:30002"),
                component: Component::Rtp,
                to: at("198.51.100.2:5000")
            }
        );
        assert_eq!(
            stream.packet(Side::A, Component::Rtcp, &RTCP, at("198.51.100.1:4001"), Time::ZERO),
            Verdict::Forward {
                from: at("10.0.0.1:30003"),
                component: Component::Rtcp,
                to: at("198.51.100.2:5001")
            }
        );
        let [a, b] = counters.snapshot();
        assert_eq!((a.packets, a.bytes, a.rtcp_packets, a.rtcp_bytes), (1, 14, 1, 8));
        assert_eq!((a.ssrc, a.last_seen), (Some(5), Some(Time::ZERO)));
        let signalled = [Some(at("198.51.100.2:5000")), Some(at("198.51.100.2:5001"))];
        assert_eq!(b, crate::SideCounters { targets: signalled, ..Default::default() });
    }

    #[test]
    fn a_stranger_is_counted_and_hears_nothing() {
        let (mut stream, counters) = stream(&plan());
        let later = Time::from_millis(3_001);
        let stranger = at("203.0.113.66:666");
        assert_eq!(stream.packet(Side::A, Component::Rtp, &RTP, stranger, later), Verdict::Drop(Cause::Stranger));
        assert_eq!(counters.snapshot()[0].dropped(Cause::Stranger), 1);
        assert_eq!(counters.snapshot()[0].last_seen, None, "a stranger does not keep a call alive");
        let to_a = stream.packet(Side::B, Component::Rtp, &RTP, at("198.51.100.2:5000"), later);
        assert!(matches!(to_a, Verdict::Forward { to, .. } if to == at("198.51.100.1:4000")));
    }

    #[test]
    fn what_is_no_rtp_cannot_latch() {
        let (mut stream, counters) = stream(&plan());
        let stranger = at("203.0.113.66:666");
        for bytes in [&b""[..], &[0x80; 11], &[0x16; 40]] {
            let verdict = stream.packet(Side::A, Component::Rtp, bytes, stranger, Time::ZERO);
            assert_eq!(verdict, Verdict::Drop(Cause::Malformed));
        }
        assert_eq!(
            stream.packet(Side::A, Component::Rtcp, &RTP, stranger, Time::ZERO),
            Verdict::Drop(Cause::Malformed)
        );
        assert_eq!(counters.snapshot()[0].dropped(Cause::Malformed), 4);
    }

    #[test]
    fn a_multiplexing_party_talks_to_one_with_two_ports() {
        let mut plan = plan();
        plan.sides[0].rtcp_mux = true;
        let (mut stream, _) = stream(&plan);
        let report = stream.packet(Side::A, Component::Rtp, &RTCP, at("198.51.100.1:4000"), Time::ZERO);
        assert!(matches!(report, Verdict::Forward { component: Component::Rtcp, to, .. } if to.port() == 5001));
        let back = stream.packet(Side::B, Component::Rtcp, &RTCP, at("198.51.100.2:5001"), Time::ZERO);
        assert!(matches!(back, Verdict::Forward { component: Component::Rtp, to, .. } if to.port() == 4000));
    }

    #[test]
    fn early_audio_waits_for_an_address_and_is_counted() {
        let mut unanswered = plan();
        unanswered.sides[1].remote = None;
        unanswered.sides[1].remote_rtcp = None;
        let (mut stream, counters) = stream(&unanswered);
        let source = at("198.51.100.1:4000");
        let early = stream.packet(Side::A, Component::Rtp, &RTP, source, Time::ZERO);
        assert_eq!(early, Verdict::Drop(Cause::Unaddressed));
        assert_eq!(counters.snapshot()[0].dropped(Cause::Unaddressed), 1);
        stream.replan(plan(), Time::from_millis(900));
        let heard = stream.packet(Side::A, Component::Rtp, &RTP, source, Time::from_millis(901));
        assert!(matches!(heard, Verdict::Forward { .. }));
    }

    #[test]
    fn an_address_of_the_other_family_cannot_be_sent_to() {
        let mut mixed = plan();
        mixed.sides[1].remote = Some(at("[2001:db8::2]:5000"));
        let (mut stream, _) = stream(&mixed);
        let verdict = stream.packet(Side::A, Component::Rtp, &RTP, at("198.51.100.1:4000"), Time::ZERO);
        assert_eq!(verdict, Verdict::Drop(Cause::Unaddressed));
    }

    #[test]
    fn a_dtls_handshake_passes_between_the_parties_of_a_stream_that_is_keyed_by_it() {
        let hello = [&[22, 0xfe, 0xfd][..], &[0; 60]].concat();
        let mut keyed = plan();
        keyed.content = Content::DtlsRtp;
        let (mut stream, counters) = stream(&keyed);
        let behind_nat = at("203.0.113.1:61000");
        let to_b = stream.packet(Side::A, Component::Rtp, &hello, behind_nat, Time::ZERO);
        assert!(matches!(to_b, Verdict::Forward { to, .. } if to == at("198.51.100.2:5000")));
        let to_a = stream.packet(Side::B, Component::Rtp, &hello, at("198.51.100.2:5000"), Time::ZERO);
        assert!(
            matches!(to_a, Verdict::Forward { to, .. } if to == behind_nat),
            "the handshake comes before any RTP"
        );
        let rtcp = stream.packet(Side::A, Component::Rtcp, &hello, at("203.0.113.1:61001"), Time::ZERO);
        assert!(matches!(rtcp, Verdict::Forward { to, .. } if to == at("198.51.100.2:5001")));
        let later = Time::from_millis(3_001);
        let stranger = stream.packet(Side::A, Component::Rtp, &hello, at("203.0.113.66:666"), later);
        assert_eq!(stranger, Verdict::Drop(Cause::Stranger));
        let [a, _] = counters.snapshot();
        assert_eq!((a.dtls_packets, a.dtls_bytes, a.packets), (2, 126, 0));
    }

    #[test]
    fn phones_agree_on_keys_by_themselves_beside_their_packets() {
        let hello = [&[0x10, 0, 0, 1][..], b"ZRTP", &[7; 20]].concat();
        let (mut stream, counters) = stream(&plan());
        let phone = at("198.51.100.1:4000");
        let verdict = stream.packet(Side::A, Component::Rtp, &hello, phone, Time::ZERO);
        assert!(matches!(verdict, Verdict::Forward { to, .. } if to == at("198.51.100.2:5000")));
        for other in [&hello[..27], &[0x10; 40]] {
            let verdict = stream.packet(Side::A, Component::Rtp, other, phone, Time::ZERO);
            assert_eq!(verdict, Verdict::Drop(Cause::Malformed));
        }
        let [a, _] = counters.snapshot();
        assert_eq!((a.dtls_packets, a.packets), (1, 0));
    }

    #[test]
    fn connectivity_checks_are_neither_forwarded_nor_believed() {
        let check = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
        let (mut stream, counters) = stream(&plan());
        let verdict = stream.packet(Side::A, Component::Rtp, &check, at("203.0.113.66:666"), Time::ZERO);
        assert_eq!(verdict, Verdict::Drop(Cause::Stun));
        assert_eq!(counters.snapshot()[0].dropped(Cause::Stun), 1);
        assert_eq!(stream.parties[0].latches[0].target(), Some(at("198.51.100.1:4000")));
    }
}
