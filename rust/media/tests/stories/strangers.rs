//! Strangers who send to the ports of a call at the worst moment: none of them gets the place of a party.

use std::net::SocketAddr;

use crate::world::{CALLEE, RTCP, RTP, STRANGER, Sdp, World, at, sdp, sdp_with};

/// What the caller's SDP says, and where its packets come from.
const PRIVATE: &str = "192.168.7.7:4000";
const NAT: &str = "198.51.100.77:61000";

/// The packet of that number of the caller's.
fn spoken(number: u16) -> Vec<u8> {
    let mut packet = RTP.to_vec();
    packet[2..4].copy_from_slice(&number.to_be_bytes());
    packet
}

/// The same of somebody else.
fn forged(number: u16) -> Vec<u8> {
    let mut packet = spoken(number);
    packet[8..12].copy_from_slice(b"evil");
    packet
}

/// A call whose caller is behind a NAT, has talked for a second, and has said nothing for a minute since.
struct Call {
    world: World,
    answered: Sdp,
    offered: Sdp,
    callees: u16,
}

impl Call {
    fn with_a_silent_caller() -> Self {
        let mut world = World::new();
        let offered = world.offer("a", None, &sdp(PRIVATE));
        let answered = world.answer("a", "b", &sdp(CALLEE));
        for number in 0..50 {
            assert_eq!(world.send(&spoken(number), NAT, answered.rtp(0)), Some(at(CALLEE)));
            world.wait(20);
        }
        world.wait(60_000);
        Self { world, answered, offered, callees: 0 }
    }

    /// Whoever sends to the caller's port is not heard, nor does he hear the callee.
    fn is_flooded_for(&mut self, millis: u16) {
        for number in 0..millis {
            self.world.wait(1);
            assert_eq!(self.world.send(&forged(number), STRANGER, self.answered.rtp(0)), None);
            assert_ne!(self.callee_is_heard_at(), Some(at(STRANGER)));
        }
    }

    fn callee_is_heard_at(&mut self) -> Option<SocketAddr> {
        self.callees += 1;
        self.world.send(&spoken(self.callees), CALLEE, self.offered.rtp(0))
    }
}

#[test]
fn a_silent_party_behind_a_nat_keeps_its_place_whoever_refreshes_or_holds_the_call() {
    for (caller, callee) in [("", ""), ("sendonly", "recvonly"), ("", "inactive")] {
        let mut call = Call::with_a_silent_caller();
        call.world.offer("a", Some("b"), &sdp_with(PRIVATE, &[caller]));
        call.is_flooded_for(900);
        call.world.answer("a", "b", &sdp_with(CALLEE, &[callee]));
        call.is_flooded_for(2_000);
        call.world.offer("b", Some("a"), &sdp(CALLEE));
        call.is_flooded_for(100);
        call.world.answer("b", "a", &sdp(PRIVATE));
        call.is_flooded_for(4_000);
        assert_eq!(call.callee_is_heard_at(), Some(at(NAT)));
        assert_eq!(call.world.send(&spoken(50), NAT, call.answered.rtp(0)), Some(at(CALLEE)));
    }
}

#[test]
fn a_party_that_is_held_by_the_unspecified_address_keeps_its_place() {
    let mut call = Call::with_a_silent_caller();
    call.world.offer("a", Some("b"), &sdp("0.0.0.0:4000"));
    call.world.answer("a", "b", &sdp(CALLEE));
    call.is_flooded_for(4_000);
    call.world.offer("a", Some("b"), &sdp(PRIVATE));
    call.is_flooded_for(500);
    assert_eq!(call.callee_is_heard_at(), Some(at(NAT)));
}

/// The phone has another address in each network, and its packets go on as they were; or it begins them anew.
#[test]
fn a_phone_that_changes_its_network_and_says_so_is_heard_from_its_first_packet() {
    const OTHER_NAT: &str = "192.0.2.200:9000";
    for first in [spoken(90), forged(1)] {
        let mut call = Call::with_a_silent_caller();
        call.world.offer("a", Some("b"), &sdp("10.9.8.7:4000"));
        assert_eq!(call.world.send(&first, OTHER_NAT, call.answered.rtp(0)), Some(at(CALLEE)));
        assert_eq!(call.callee_is_heard_at(), Some(at(OTHER_NAT)));
    }
}

#[test]
fn a_phone_that_changes_its_network_amid_a_flood_is_heard_from_its_first_packet() {
    const OTHER_NAT: &str = "192.0.2.200:9000";
    for says in [PRIVATE, "10.9.8.7:4000"] {
        let mut call = Call::with_a_silent_caller();
        call.world.offer("a", Some("b"), &sdp(says));
        call.world.send(&forged(1), STRANGER, call.answered.rtp(0));
        assert_eq!(call.world.send(&spoken(90), OTHER_NAT, call.answered.rtp(0)), Some(at(CALLEE)));
        call.is_flooded_for(4_000);
        assert_eq!(call.callee_is_heard_at(), Some(at(OTHER_NAT)));
    }
}

#[test]
fn a_forged_report_does_not_have_the_other_partys_reports_sent_to_a_victim() {
    const VICTIM: &str = "203.0.113.99:4001";
    let mut world = World::new();
    let offered = world.offer("a", None, &sdp(PRIVATE));
    let answered = world.answer("a", "b", &sdp(CALLEE));
    let reports_to = |world: &mut World, source| {
        world.send(&RTCP, source, answered.rtcp(0));
        world.send(&RTCP, "198.51.100.2:5001", offered.rtcp(0))
    };
    assert_eq!(reports_to(&mut world, VICTIM), Some(at("192.168.7.7:4001")), "before anything is heard");
    world.speak(NAT, &answered);
    assert_eq!(reports_to(&mut world, VICTIM), Some(at("192.168.7.7:4001")));
    world.wait(5_000);
    let reports = "198.51.100.77:61001";
    assert_eq!(reports_to(&mut world, reports), Some(at(reports)), "the first report comes after the window");
    world.offer("a", Some("b"), &sdp(PRIVATE));
    world.wait(1_000);
    assert_eq!(reports_to(&mut world, VICTIM), Some(at(reports)));
}

#[test]
fn reports_that_are_signalled_to_come_from_another_host_are_believed_from_there_alone() {
    let mut world = World::new();
    let offered = world.offer(
        "a",
        None,
        &sdp_with("198.51.100.1:4000", &["rtcp:4009"]).replace("rtcp:4009", "rtcp:4009 IN IP4 198.51.100.3"),
    );
    let answered = world.answer("a", "b", &sdp(CALLEE));
    world.speak("198.51.100.1:4000", &answered);
    assert_eq!(world.send(&RTCP, "198.51.100.1:4001", answered.rtcp(0)), None);
    assert_eq!(world.send(&RTCP, "198.51.100.3:61000", answered.rtcp(0)), Some(at("198.51.100.2:5001")));
    assert_eq!(world.send(&RTCP, "198.51.100.2:5001", offered.rtcp(0)), Some(at("198.51.100.3:61000")));
}
