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
        Verdict::Forward { from: at("10.0.0.1:30002"), component: Component::Rtp, to: at("198.51.100.2:5000") }
    );
    assert_eq!(
        stream.packet(Side::A, Component::Rtcp, &RTCP, at("198.51.100.1:4001"), Time::ZERO),
        Verdict::Forward { from: at("10.0.0.1:30003"), component: Component::Rtcp, to: at("198.51.100.2:5001") }
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
    assert!(matches!(to_a, Verdict::Forward { to, .. } if to == behind_nat), "the handshake comes before any RTP");
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
