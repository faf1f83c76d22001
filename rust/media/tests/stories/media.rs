//! RTP and RTCP through a call.

use crate::world::{CALLEE, CALLER, RTCP, STRANGER, World, at, media, sdp, sdp_with};
use mediaha_ng::Request;

#[test]
fn both_parties_hear_each_other_from_the_first_packet() {
    let mut world = World::new();
    let (offered, answered) = world.call();
    assert_eq!(world.speak(CALLER, &answered), Some(at(CALLEE)));
    assert_eq!(world.speak(CALLEE, &offered), Some(at(CALLER)));
    assert_eq!(world.send(&RTCP, "198.51.100.1:4001", answered.rtcp(0)), Some(at("198.51.100.2:5001")));
    assert_eq!(world.send(&RTCP, "198.51.100.2:5001", offered.rtcp(0)), Some(at("198.51.100.1:4001")));
}

#[test]
fn early_media_reaches_the_caller_before_the_answer() {
    let mut world = World::new();
    let offered = world.offer("a", None, &sdp(CALLER));
    assert_eq!(world.speak(CALLEE, &offered), Some(at(CALLER)));
}

/// A machine answers an audio call and finds that it is a fax (T.38): the same `m=` line, with another protocol.
#[test]
fn a_call_that_becomes_a_fax_goes_on_through_the_same_ports() {
    let mut world = World::new();
    let (offered, answered) = world.call();
    let fax = |address: &str| {
        sdp(address).replace("m=audio", "m=image").replace("RTP/AVP 0", "udptl t38\r\na=T38FaxVersion:0")
    };
    let (sender, machine) = ("198.51.100.1:4002", "198.51.100.2:5002");
    let offered_fax = world.offer("b", Some("a"), &fax(machine));
    let answered_fax = world.answer("b", "a", &fax(sender));
    assert_eq!((offered_fax.rtp(0), answered_fax.rtp(0)), (answered.rtp(0), offered.rtp(0)));
    let (udptl, nothing) = ([0, 0, 1, 6], []);
    assert_eq!(world.send(&udptl, sender, offered_fax.rtp(0)), Some(at(machine)));
    assert_eq!(world.send(&udptl, machine, answered_fax.rtp(0)), Some(at(sender)));
    assert_eq!(world.send(&nothing, sender, offered_fax.rtp(0)), None);
    world.wait(5_000);
    assert_eq!(world.send(&udptl, STRANGER, offered_fax.rtp(0)), None);
    world.offer("b", Some("a"), &sdp(CALLEE));
    world.answer("b", "a", &sdp(CALLER));
    assert_eq!(world.send(&udptl, CALLER, answered.rtp(0)), None, "it is a conversation again");
    assert_eq!(world.speak(CALLER, &answered), Some(at(CALLEE)));
}

/// A failover pool begins the calls of a dead server again on a fresh one: an offer with the caller's last SDP,
/// an answer with the callee's, and neither party has sent anything here before.
#[test]
fn a_call_created_again_on_a_fresh_server_forwards_both_ways_at_once() {
    let mut world = World::new();
    let offered = world.offer("a", Some("b"), &sdp(CALLER));
    let answered = world.answer("a", "b", &sdp(CALLEE));
    assert_eq!(world.speak(CALLEE, &offered), Some(at(CALLER)), "the caller is silent, and still hears");
    assert_eq!(world.speak(CALLER, &answered), Some(at(CALLEE)));
}

/// The server has died and come back, and gave a call the ports that another one had before: that one's parties go on
/// sending there until they are told better.
#[test]
fn a_call_created_again_soon_after_the_start_does_not_hear_the_calls_of_a_former_life() {
    let mut world = World::new();
    let offered = world.offer("a", Some("b"), &sdp(CALLER));
    let answered = world.answer("a", "b", &sdp(CALLEE));
    assert_eq!(world.speak(STRANGER, &answered), None);
    assert_eq!(world.speak(STRANGER, &offered), None);
    assert_eq!(world.speak(CALLER, &answered), Some(at(CALLEE)));
    assert_eq!(world.speak(CALLEE, &offered), Some(at(CALLER)));
    world.wait(600);
    assert_eq!(world.speak(STRANGER, &answered), None);
}

#[test]
fn a_phone_behind_a_nat_whose_call_is_created_again_is_heard_at_once_by_a_server_that_has_lived_for_a_while() {
    for (lived_ms, heard) in [(0, None), (10_000, Some(at(CALLEE)))] {
        let mut world = World::new();
        world.ask(&Request::Ping);
        world.wait(lived_ms);
        world.offer("a", Some("b"), &sdp("192.168.7.7:4000"));
        let answered = world.answer("a", "b", &sdp(CALLEE));
        assert_eq!(world.speak("198.51.100.77:61000", &answered), heard);
        world.wait(500);
        assert_eq!(world.speak("198.51.100.77:61000", &answered), Some(at(CALLEE)));
    }
}

#[test]
fn a_phone_behind_a_nat_is_answered_where_it_speaks_from() {
    let mut world = World::new();
    let offered = world.offer("a", None, &sdp("192.168.7.7:4000"));
    let answered = world.answer("a", "b", &sdp(CALLEE));
    assert_eq!(world.speak("198.51.100.77:61000", &answered), Some(at(CALLEE)));
    assert_eq!(world.speak(CALLEE, &offered), Some(at("198.51.100.77:61000")));
}

#[test]
fn a_stranger_hears_nothing_and_is_not_heard() {
    let mut world = World::new();
    let (offered, answered) = world.call();
    assert!(world.speak(CALLER, &answered).is_some());
    assert_eq!(world.speak(STRANGER, &answered), None);
    assert_eq!(world.speak(CALLEE, &offered), Some(at(CALLER)));
}

#[test]
fn strict_source_keeps_even_the_first_stranger_out() {
    let mut world = World::new();
    let mut offer = media("a", None, &sdp(CALLER));
    offer.options.strict_source = true;
    let offered = crate::world::Sdp::from(world.ask(&Request::Offer(offer)));
    let answered = world.answer("a", "b", &sdp(CALLEE));
    assert_eq!(world.speak(STRANGER, &answered), None);
    assert_eq!(world.speak(STRANGER, &offered), None);
    assert_eq!(world.speak(CALLER, &answered), Some(at(CALLEE)));
}

#[test]
fn multiplexed_reports_come_and_go_on_the_rtp_port() {
    let mut world = World::new();
    let offered = world.offer("a", None, &sdp_with(CALLER, &["rtcp-mux"]));
    assert!(offered.section(0).rtcp_mux);
    let answered = world.answer("a", "b", &sdp_with(CALLEE, &["rtcp-mux"]));
    assert!(answered.section(0).rtcp_mux);
    assert_eq!(world.send(&RTCP, CALLER, answered.rtp(0)), Some(at(CALLEE)));
    assert_eq!(world.send(&RTCP, CALLEE, offered.rtp(0)), Some(at(CALLER)));
}

#[test]
fn a_party_without_multiplexing_has_its_reports_on_their_own_port() {
    let mut world = World::new();
    let mut offer = media("a", None, &sdp_with(CALLER, &["rtcp-mux"]));
    offer.options.rtcp_mux.demux = true;
    let offered = crate::world::Sdp::from(world.ask(&Request::Offer(offer)));
    assert!(!offered.section(0).rtcp_mux);
    let answered = world.answer("a", "b", &sdp(CALLEE));
    assert!(answered.section(0).rtcp_mux);
    assert_eq!(world.send(&RTCP, CALLER, answered.rtp(0)), Some(at("198.51.100.2:5001")));
    assert_eq!(world.send(&RTCP, "198.51.100.2:5001", offered.rtcp(0)), Some(at(CALLER)));
}

#[test]
fn each_stream_of_a_call_has_its_own_way() {
    let mut world = World::new();
    let offered = world.offer("a", None, &sdp_with(CALLER, &["", ""]));
    let answered = world.answer("a", "b", &sdp_with(CALLEE, &["", ""]));
    let second = world.send(&crate::world::RTP, "198.51.100.1:4002", answered.rtp(1));
    assert_eq!(second, Some(at("198.51.100.2:5002")));
    assert_ne!(offered.rtp(0), offered.rtp(1));
}

#[test]
fn a_party_that_moves_is_sent_to_at_its_new_address_at_once() {
    let mut world = World::new();
    let (offered, answered) = world.call();
    world.speak(CALLER, &answered);
    world.speak(CALLEE, &offered);
    world.wait(60_000);
    let again = world.offer("b", Some("a"), &sdp("198.51.100.9:7000"));
    assert_eq!(again.rtp(0), answered.rtp(0), "the caller keeps the port that it knows");
    assert_eq!(world.speak(CALLER, &answered), Some(at("198.51.100.9:7000")));
}
