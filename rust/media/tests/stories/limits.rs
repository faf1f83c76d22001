//! What is too much is refused in the words that clients know, and leaves nothing behind.

use crate::world::{CALLEE, CALLER, World, media, sdp, sdp_with};
use mediaha_ng::{Media, Reply, Request, reason};

fn other_call(number: u32) -> Media {
    Media { call_id: format!("other-{number}").into_bytes(), ..media("a", None, &sdp(CALLER)) }
}

#[test]
fn one_call_too_many() {
    let mut world = World::with(30_000..=30_999, |config| config.sessions_max = 2);
    assert!(matches!(world.ask(&Request::Offer(other_call(1))), Reply::Sdp(_)));
    assert!(matches!(world.ask(&Request::Offer(other_call(2))), Reply::Sdp(_)));
    let refused = world.ask(&Request::Offer(other_call(3)));
    assert_eq!(refused, Reply::error("Parallel session limit reached"));
    assert!(
        matches!(world.ask(&Request::Offer(other_call(1))), Reply::Sdp(_)),
        "a call that exists is no new one"
    );
}

#[test]
fn a_client_that_knows_load_limits_is_told_of_one() {
    let mut world = World::with(30_000..=30_999, |config| config.sessions_max = 0);
    let mut offer = other_call(1);
    offer.options.supports_load_limit = true;
    let message = b"Parallel session limit reached".to_vec();
    assert_eq!(world.ask(&Request::Offer(offer)), Reply::LoadLimit { message });
}

#[test]
fn ports_that_run_out_halfway_are_given_back() {
    let mut world = World::with(30_000..=30_005, |_| {});
    let two = media("a", None, &sdp_with(CALLER, &["", ""]));
    assert_eq!(world.ask(&Request::Offer(two)), Reply::error("Ran out of ports"));
    assert!(world.datapath.is_empty());
    assert_eq!(world.controller.sessions(), 0);
    world.call();
    let more = world.ask(&Request::Offer(media("a", Some("b"), &sdp_with(CALLER, &["", ""]))));
    assert_eq!(more, Reply::error("Ran out of ports"));
    assert_eq!(world.datapath.open_ports().count(), 2, "a refused re-offer leaves the call as it was");
}

#[test]
fn busy_workers_take_no_new_calls() {
    let mut world = World::with(30_000..=30_999, |config| config.busy_permille_max = 900);
    world.call();
    world.datapath.pretend_busy(950);
    assert_eq!(world.ask(&Request::Offer(other_call(1))), Reply::error("Load limit exceeded"));
    world.offer("a", Some("b"), &sdp(CALLER));
}

#[test]
fn a_draining_server_keeps_its_calls_and_takes_no_new_ones() {
    let mut world = World::new();
    world.call();
    world.controller.drain(true);
    assert_eq!(world.ask(&Request::Offer(other_call(1))), Reply::error(reason::SESSION_LIMIT));
    world.offer("b", Some("a"), &sdp(CALLEE));
    world.answer("b", "a", &sdp(CALLER));
    world.controller.drain(false);
    assert!(matches!(world.ask(&Request::Offer(other_call(1))), Reply::Sdp(_)));
}

#[test]
fn what_no_server_could_relay_is_the_callers_fault() {
    let mut world = World::with(30_000..=30_999, |config| {
        config.streams_max = 2;
        config.sdp_bytes_max = 1_000;
    });
    let long = sdp_with(CALLER, &["candidate ".repeat(200).as_str()]);
    for sdp in ["", "hello", &sdp_with(CALLER, &["", "", ""]), &long] {
        let reply = world.ask(&Request::Offer(media("a", None, sdp)));
        assert!(reply.is_callers_fault(), "{reply:?}");
    }
    assert!(world.datapath.is_empty());
    assert_eq!(world.controller.sessions(), 0);
}
