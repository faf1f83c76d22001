//! Parties whose SDP names this server itself: media goes where it makes sense, and never round and round.

use std::net::SocketAddr;

use mediaha_media::Ours;
use mediaha_ng::{Media, Reply, Request};

use crate::world::{CALLEE, CALLER, RTP, STRANGER, Sdp, World, at, media, sdp};

/// Where packets of the world's server come from when they meet it again.
const NAT: &str = "203.0.113.1";
/// Where its requests are taken.
const CONTROL: &str = "10.0.0.1:2223";
/// More than any call takes.
const STEPS_MAX: usize = 20;

fn world() -> World {
    World::with(30_000..=30_999, |config| {
        config.ours = Ours::of(&config.interfaces, 30_000..=30_999);
        config.control = Some(at(CONTROL));
    })
}

/// The same SDP question of another call.
fn of(call: &str, media: Media) -> Media {
    Media { call_id: call.as_bytes().to_vec(), ..media }
}

fn offer(world: &mut World, call: &str, address: &str) -> Sdp {
    world.ask(&Request::Offer(of(call, media("a", None, &sdp(address))))).into()
}

fn answer(world: &mut World, call: &str, address: &str) -> Sdp {
    world.ask(&Request::Answer(of(call, media("a", Some("b"), &sdp(address))))).into()
}

/// Where a packet ends that is sent from there to where an SDP says; the last step is to somebody else, or to nobody.
fn travels(world: &mut World, source: &str, told: SocketAddr) -> Option<SocketAddr> {
    let (mut source, mut to) = (at(source), told);
    for _ in 0..STEPS_MAX {
        let (from, next) = world.forwarded(&RTP, source, to)?;
        if ![NAT, "10.0.0.1"].contains(&next.ip().to_string().as_str()) {
            return Some(next);
        }
        (source, to) = (from, next);
    }
    panic!("it goes round");
}

#[test]
fn a_call_that_comes_back_passes_through_two_calls() {
    let mut world = world();
    let outward = offer(&mut world, "out", CALLER);
    let homeward = offer(&mut world, "back", &outward.rtp(0).to_string());
    let for_us = answer(&mut world, "back", CALLEE);
    let for_caller = answer(&mut world, "out", &for_us.rtp(0).to_string());
    assert_eq!(travels(&mut world, CALLER, for_caller.rtp(0)), Some(at(CALLEE)));
    assert_eq!(travels(&mut world, CALLEE, homeward.rtp(0)), Some(at(CALLER)));
}

#[test]
fn a_call_whose_parties_both_name_its_own_ports_does_not_go_round() {
    let mut world = world();
    let heard_by_caller = offer(&mut world, "call", CALLER).rtp(0);
    let spoken_to = answer(&mut world, "call", CALLEE).rtp(0);
    offer(&mut world, "call", &heard_by_caller.to_string());
    answer(&mut world, "call", &spoken_to.to_string());
    for source in [STRANGER, CALLER, CALLEE] {
        travels(&mut world, source, spoken_to);
        travels(&mut world, source, heard_by_caller);
    }
}

#[test]
fn two_calls_whose_four_parties_name_each_others_ports_do_not_go_round() {
    let mut world = world();
    let calls = ["x", "y"].map(|call| {
        let for_callee = offer(&mut world, call, CALLER).rtp(0).to_string();
        (answer(&mut world, call, CALLEE).rtp(0).to_string(), for_callee)
    });
    let [(x_a, x_b), (y_a, y_b)] = calls;
    for (call, a, b) in [("x", &y_b, &y_a), ("y", &x_b, &x_a)] {
        offer(&mut world, call, a);
        answer(&mut world, call, b);
    }
    for told in [x_a, x_b, y_a, y_b] {
        for source in [CALLER, CALLEE, STRANGER] {
            travels(&mut world, source, at(&told));
        }
    }
}

/// What goes to one of its ports comes back from the other one, and both are named by our SDP: a circle that nobody can see.
#[test]
fn what_goes_round_through_somebody_elses_relay_comes_to_an_end() {
    const INWARD: &str = "192.0.2.50:7000";
    const OUTWARD: &str = "192.0.2.50:7002";
    let mut world = world();
    offer(&mut world, "call", OUTWARD);
    let told = answer(&mut world, "call", INWARD).rtp(0);
    let mut steps = 0;
    while world.forwarded(&RTP, at(OUTWARD), told).is_some() {
        world.wait(1);
        steps += 1;
        assert!(steps < 1_000, "it goes round");
    }
    world.wait(5_000);
    let mut spoken = RTP;
    for number in 0..1_000_u16 {
        spoken[2..4].copy_from_slice(&number.to_be_bytes());
        assert!(world.forwarded(&spoken, at(OUTWARD), told).is_some(), "all else goes on");
        world.wait(1);
    }
}

#[test]
fn no_port_of_ours_is_learnt_that_no_party_has_named() {
    let mut world = world();
    let for_callee = offer(&mut world, "call", CALLER);
    answer(&mut world, "call", CALLEE);
    assert_eq!(world.forwarded(&RTP, at("10.0.0.1:30500"), for_callee.rtp(0)), None);
    assert_eq!(world.forwarded(&RTP, at("203.0.113.66:0"), for_callee.rtp(0)), None, "nor one without a number");
    assert_eq!(travels(&mut world, STRANGER, for_callee.rtp(0)), Some(at(CALLER)), "a NAT's is, at first");
}

#[test]
fn what_no_single_host_listens_at_is_sent_nothing() {
    let mut world = world();
    let nowhere = ["255.255.255.255:4000", "0.0.0.0:4000", "[::ffff:198.51.100.1]:4000", CONTROL, "10.0.0.1:2222"];
    for (number, address) in nowhere.into_iter().enumerate() {
        let call = format!("call-{number}");
        offer(&mut world, &call, address);
        let callee = if address.starts_with('[') { "[2001:db8::2]:5000" } else { CALLEE };
        let reply = world.ask(&Request::Answer(of(&call, media("a", Some("b"), &sdp(callee)))));
        assert!(matches!(reply, Reply::Sdp(_)), "{address}");
    }
    for (_, plan) in world.datapath.plans() {
        // The last of them is where its reports would go to the control port, not its audio.
        assert!([None, Some(at("10.0.0.1:2222"))].contains(&plan.sides[0].remote));
        assert_ne!(plan.sides[0].remote_rtcp, Some(at(CONTROL)));
    }
}

#[test]
fn a_reply_that_nobody_asked_for_gets_no_reply() {
    let mut world = world();
    let pong =
        mediaha_ng::Datagram::asking(b"1".to_vec(), &Request::Ping).answered_by(&Reply::error("Unknown command"));
    let heard = world.controller.handle(&pong.to_bytes(), at(STRANGER), &mut world.datapath, world.now);
    assert_eq!(heard, None, "or two servers would never stop");
}
