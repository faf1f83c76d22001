//! Offers and answers again: re-INVITEs from either party, holds, streams that come and go, repetitions.

use crate::world::{CALLEE, CALLER, RTP, Sdp, World, at, media, sdp, sdp_with};
use mediaha_ng::{AddressFamily, Media, Reply, Request, reason};

#[test]
fn an_answer_whose_tags_are_the_wrong_way_around_is_taken() {
    let mut world = World::new();
    let offered = world.offer("a", None, &sdp(CALLER));
    let answered = world.answer("b", "a", &sdp(CALLEE));
    assert_eq!(world.speak(CALLER, &answered), Some(at(CALLEE)));
    assert_eq!(world.speak(CALLEE, &offered), Some(at(CALLER)));
    let again = world.offer("b", Some("a"), &sdp(CALLEE));
    assert_eq!(again.rtp(0), answered.rtp(0), "the other party has its own name");
}

#[test]
fn a_codec_that_is_taken_out_of_an_offer_is_not_shown_to_the_other_party() {
    let mut world = World::new();
    let both = sdp(CALLER).replace("RTP/AVP 0", "RTP/AVP 0 8");
    let mut offer = media("a", None, &both);
    offer.options.codecs.strip = vec![b"PCMU".to_vec()];
    let offered = Sdp::from(world.ask(&Request::Offer(offer)));
    assert_eq!(offered.section(0).formats, [b"8".to_vec()]);
    let mut answer = media("a", Some("b"), &both);
    answer.options.codecs.strip = vec![b"PCMU".to_vec()];
    let answered = Sdp::from(world.ask(&Request::Answer(answer)));
    assert_eq!(answered.section(0).formats.len(), 2, "an answer is the parties' business");
}

fn over(transport: &str, address: &str) -> String {
    sdp(address).replace("RTP/AVP", transport)
}

#[test]
fn each_party_sees_the_profile_that_it_is_asked_to_speak() {
    let mut world = World::new();
    let mut offer = media("a", None, &over("RTP/AVPF", CALLER));
    offer.options.transport_protocol = Some(b"RTP/AVP".to_vec());
    let offered = Sdp::from(world.ask(&Request::Offer(offer.clone())));
    assert_eq!(offered.section(0).protocol, b"RTP/AVP");
    let answered = world.answer("a", "b", &sdp(CALLEE));
    assert_eq!(answered.section(0).protocol, b"RTP/AVPF", "what it has offered");
    assert_eq!(world.answer("a", "b", &sdp(CALLEE)).section(0).protocol, b"RTP/AVPF", "and again");
    assert_eq!(world.speak(CALLER, &answered), Some(at(CALLEE)));

    let mut offer = media("b", Some("a"), &sdp(CALLEE));
    offer.options.transport_protocol = Some(b"RTP/AVPF".to_vec());
    assert_eq!(Sdp::from(world.ask(&Request::Offer(offer))).section(0).protocol, b"RTP/AVPF");
    assert_eq!(world.answer("b", "a", &over("RTP/AVPF", CALLER)).section(0).protocol, b"RTP/AVP");
}

#[test]
fn srtp_is_neither_added_nor_taken_away_and_who_asks_for_it_is_told() {
    let mut world = World::new();
    let asks = |from: &str, to: &str| {
        let mut offer = media("a", None, &over(from, CALLER));
        offer.options.transport_protocol = Some(to.as_bytes().to_vec());
        Request::Offer(offer)
    };
    for (from, to) in [("RTP/AVP", "RTP/SAVP"), ("RTP/SAVPF", "RTP/AVP"), ("UDP/TLS/RTP/SAVPF", "RTP/SAVPF")] {
        assert_eq!(world.ask(&asks(from, to)), Reply::error(reason::KEYS), "{from} {to}");
    }
    assert_eq!(world.controller.sessions(), 0);
    for (from, to) in [("RTP/SAVP", "RTP/SAVPF"), ("udptl", "RTP/AVP"), ("RTP/AVP", "what?")] {
        assert!(matches!(world.ask(&asks(from, to)), Reply::Sdp(_)), "{from} {to}");
        world.delete();
    }
}

#[test]
fn what_is_asked_for_in_vain_is_told_once() {
    let mut world = World::new();
    let mut offer = media("a", None, &sdp(CALLER));
    offer.options.unknown_flags = vec![b"loop-protect".to_vec(), vec![b'x'; 1_000]];
    offer.options.asymmetric = true;
    offer.options.ice = Some(b"force".to_vec());
    world.ask(&Request::Offer(offer.clone()));
    let told = world.controller.take_passed_over();
    let words: Vec<_> = told.iter().map(|word| String::from_utf8_lossy(word)).collect();
    assert_eq!((&*words[0], words[1].len(), &*words[2]), ("loop-protect", 64, "asymmetric"));
    assert_eq!(words.len(), 4);
    world.ask(&Request::Answer(Media { to_tag: Some(b"b".to_vec()), ..offer.clone() }));
    assert!(world.controller.take_passed_over().is_empty());
    for number in 0..1_000 {
        offer.options.unknown_flags = vec![format!("flag-{number}").into_bytes()];
        world.ask(&Request::Offer(offer.clone()));
    }
    assert!(world.controller.take_passed_over().len() < 100, "nobody would read more");
}

#[test]
fn who_may_send_stays_as_it_was_written_for_who_wants_it_so() {
    let mut world = World::new();
    let lines = |world: &mut World, sdp: &str, original: bool| {
        let mut offer = media("a", None, sdp);
        offer.options.original_sendrecv = original;
        let offered = Sdp::from(world.ask(&Request::Offer(offer))).0;
        String::from_utf8(offered)
            .unwrap()
            .lines()
            .filter(|line| line.ends_with("recv") || line.ends_with("only"))
            .count()
    };
    let session = sdp(CALLER).replace("t=0 0\r\n", "t=0 0\r\na=sendonly\r\n");
    for (text, usual, original) in [(sdp(CALLER), 1, 0), (sdp_with(CALLER, &["recvonly"]), 1, 1), (session, 1, 1)]
    {
        assert_eq!(lines(&mut world, &text, false), usual, "{text}");
        assert_eq!(lines(&mut world, &text, true), original, "{text}");
    }
}

#[test]
fn a_reoffer_keeps_the_ports() {
    let mut world = World::new();
    let (offered, answered) = world.call();
    assert_eq!(world.offer("a", Some("b"), &sdp(CALLER)).rtp(0), offered.rtp(0));
    assert_eq!(world.answer("a", "b", &sdp(CALLEE)).rtp(0), answered.rtp(0));
    assert_eq!(world.datapath.open_ports().count(), 2);
}

#[test]
fn the_callee_can_reoffer_and_the_caller_answer() {
    let mut world = World::new();
    let (offered, answered) = world.call();
    assert_eq!(world.offer("b", Some("a"), &sdp(CALLEE)).rtp(0), answered.rtp(0));
    assert_eq!(world.answer("b", "a", &sdp("198.51.100.1:4400")).rtp(0), offered.rtp(0));
    assert_eq!(world.speak(CALLEE, &offered), Some(at("198.51.100.1:4400")));
}

#[test]
fn an_offer_repeated_under_another_cookie_is_the_same_offer() {
    let mut world = World::new();
    let first = world.offer("a", None, &sdp(CALLER));
    let second = world.offer("a", None, &sdp(CALLER));
    assert_eq!(first, second);
    assert_eq!(world.controller.sessions(), 1);
    assert_eq!(world.datapath.open_ports().count(), 2);
}

#[test]
fn a_datagram_repeated_under_the_same_cookie_is_answered_from_memory() {
    let mut world = World::new();
    let offer = Request::Offer(media("a", None, &sdp(CALLER)));
    let first = world.ask_as("same", &offer);
    assert!(matches!(world.delete(), Reply::Done(_)));
    assert_eq!(world.ask_as("same", &offer), first);
    assert_eq!(world.controller.sessions(), 0, "a late copy of the offer does not bring the call back");
}

#[test]
fn an_answer_without_an_offer_is_refused() {
    let mut world = World::new();
    let reply = world.ask(&Request::Answer(media("a", Some("b"), &sdp(CALLEE))));
    assert_eq!(reply, Reply::error(reason::UNKNOWN_CALL));
    assert!(world.datapath.is_empty());
}

#[test]
fn a_second_answer_to_the_same_offer_replaces_the_first() {
    let mut world = World::new();
    world.offer("a", None, &sdp(CALLER));
    let early = world.answer("a", "b", &sdp("198.51.100.50:9000"));
    assert_eq!(world.speak(CALLER, &early), Some(at("198.51.100.50:9000")));
    let last = world.answer("a", "b", &sdp(CALLEE));
    assert_eq!(early.rtp(0), last.rtp(0));
    assert_eq!(world.speak(CALLER, &last), Some(at(CALLEE)));
}

#[test]
fn a_hold_and_its_end_keep_the_ports() {
    let mut world = World::new();
    let (offered, _) = world.call();
    let held = world.offer("a", Some("b"), &sdp_with(CALLER, &["sendonly"]));
    assert!(held.section(0).held);
    world.answer("a", "b", &sdp_with(CALLEE, &["recvonly"]));
    let back = world.offer("a", Some("b"), &sdp(CALLER));
    assert_eq!(back.rtp(0), offered.rtp(0));
}

#[test]
fn a_stream_that_is_switched_off_gives_its_ports_back() {
    let mut world = World::new();
    world.offer("a", None, &sdp_with(CALLER, &["", ""]));
    world.answer("a", "b", &sdp_with(CALLEE, &["", "off"]));
    assert_eq!(world.datapath.open_ports().count(), 2);
    let again = world.offer("a", Some("b"), &sdp_with(CALLER, &["", ""]));
    assert_eq!(world.datapath.open_ports().count(), 4);
    let answered = world.answer("a", "b", &sdp_with(CALLEE, &["", ""]));
    assert_eq!(world.send(&RTP, "198.51.100.1:4002", answered.rtp(1)), Some(at("198.51.100.2:5002")));
    assert_eq!(world.send(&RTP, "198.51.100.2:5002", again.rtp(1)), Some(at("198.51.100.1:4002")));
}

#[test]
fn a_stream_that_appears_later_leaves_the_first_alone() {
    let mut world = World::new();
    let (offered, answered) = world.call();
    let again = world.offer("b", Some("a"), &sdp_with(CALLEE, &["", ""]));
    assert_eq!(again.rtp(0), answered.rtp(0));
    world.answer("b", "a", &sdp_with(CALLER, &["", ""]));
    assert_eq!(world.speak(CALLEE, &offered), Some(at(CALLER)));
    world.offer("a", Some("b"), &sdp(CALLER));
    assert_eq!(world.datapath.open_ports().count(), 2, "a stream left out of an offer is gone");
}

#[test]
fn the_address_is_the_advertised_one_and_the_family_is_the_senders() {
    let mut world = World::new();
    assert_eq!(world.offer("a", None, &sdp(CALLER)).rtp(0).ip().to_string(), "203.0.113.1");
    let mut six = media("a6", None, &sdp("[2001:db8::a]:4000"));
    six.call_id = b"six".to_vec();
    assert_eq!(Sdp::from(world.ask(&Request::Offer(six))).rtp(0).ip().to_string(), "2001:db8::1");
}

#[test]
fn direction_and_address_family_choose_the_far_interface() {
    let mut world = World::new();
    let mut offer = media("a", None, &sdp(CALLER));
    offer.options.direction = Some((b"pub".to_vec(), b"priv".to_vec()));
    let offered = Sdp::from(world.ask(&Request::Offer(offer.clone())));
    assert_eq!(offered.rtp(0).ip().to_string(), "192.168.0.1");
    let answered = world.answer("a", "b", &sdp("192.168.0.9:5000"));
    assert_eq!(answered.rtp(0).ip().to_string(), "203.0.113.1");

    offer.options.direction = None;
    offer.options.address_family = Some(AddressFamily::V6);
    let again = Sdp::from(world.ask(&Request::Offer(offer)));
    assert_eq!(again.rtp(0).ip().to_string(), "2001:db8::1");
    assert_eq!(world.datapath.open_ports().count(), 2, "the port on the other interface was given back");
}

#[test]
fn a_party_that_goes_over_to_the_other_address_family_is_heard_and_reached_there() {
    let mut world = World::new();
    let (offered, _) = world.call();
    let there = "[2001:db8::a]:4000";
    let again = world.offer("a", Some("b"), &sdp(there));
    assert_eq!(again.rtp(0), offered.rtp(0), "the other party is where it was");
    let answered = world.answer("a", "b", &sdp(CALLEE));
    assert_eq!(answered.rtp(0).ip().to_string(), "2001:db8::1");
    assert_eq!(world.speak(there, &answered), Some(at(CALLEE)));
    assert_eq!(world.speak(CALLEE, &again), Some(at(there)));
    assert_eq!(world.datapath.open_ports().count(), 2);
    world.ask(&Request::Offer(media("a", Some("b"), &sdp("0.0.0.0:4000"))));
    let held = world.answer("a", "b", &sdp(CALLEE));
    assert_eq!(held.rtp(0), answered.rtp(0), "on hold by no address it is where it was");
}

#[test]
fn behind_a_proxy_the_address_of_the_sip_message_is_believed() {
    let mut world = World::new();
    let mut offer = media("a", None, &sdp("192.168.7.7:4000"));
    offer.options.trust_address = false;
    offer.options.received_from = Some([198, 51, 100, 1].into());
    let offered = Sdp::from(world.ask(&Request::Offer(offer)));
    assert_eq!(world.speak(CALLEE, &offered), Some(at(CALLER)));
}
