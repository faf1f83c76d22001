//! Calls that the clock ends.

use crate::world::{CALLEE, CALLER, World, media, sdp, sdp_with};
use mediaha_media::ExpiryReason;
use mediaha_ng::{Delete, Reply, Request};

/// Lets time pass as a server does: it is woken when it asked to be.
fn reasons_within(world: &mut World, millis: u64) -> Vec<ExpiryReason> {
    let end = world.now + mediaha_time::Duration::from_millis(millis);
    let mut reasons = Vec::new();
    while let Some(at) = world.controller.wake_at().filter(|at| *at <= end) {
        world.now = world.now.max(at);
        reasons.extend(world.tick().into_iter().map(|expired| expired.reason));
    }
    world.now = end;
    reasons
}

#[test]
fn a_call_that_falls_silent_is_ended_after_a_minute() {
    let mut world = World::new();
    let (_, answered) = world.call();
    world.wait(50_000);
    world.speak(CALLER, &answered);
    assert_eq!(reasons_within(&mut world, 59_999), []);
    assert_eq!(reasons_within(&mut world, 1), [ExpiryReason::Silent]);
    assert!(world.datapath.is_empty());
    assert_eq!(world.controller.wake_at(), None);
}

#[test]
fn a_call_on_hold_may_be_silent_for_longer() {
    let mut world = World::new();
    world.call();
    world.offer("a", Some("b"), &sdp_with(CALLER, &["inactive"]));
    world.answer("a", "b", &sdp_with(CALLEE, &["inactive"]));
    assert_eq!(reasons_within(&mut world, 3_599_999), []);
    assert_eq!(reasons_within(&mut world, 1), [ExpiryReason::Held]);
    assert!(world.datapath.is_empty());
}

#[test]
fn an_offer_that_nobody_answers_is_forgotten() {
    let mut world = World::new();
    world.offer("a", None, &sdp(CALLER));
    assert_eq!(reasons_within(&mut world, 180_000), [ExpiryReason::Orphan]);
    assert!(world.datapath.is_empty());
}

#[test]
fn a_stranger_does_not_keep_a_call_alive() {
    let mut world = World::new();
    let (_, answered) = world.call();
    for _ in 0..59 {
        world.wait(1_000);
        if world.now > mediaha_time::Time::from_millis(5_000) {
            world.speak(crate::world::STRANGER, &answered);
        }
    }
    assert_eq!(reasons_within(&mut world, 1_000), [ExpiryReason::Silent]);
}

#[test]
fn a_delayed_delete_lets_the_last_words_through() {
    let mut world = World::new();
    let (_, answered) = world.call();
    let delete = Delete { call_id: b"call".to_vec(), delay_s: Some(2), ..Delete::default() };
    assert!(matches!(world.ask(&Request::Delete(delete)), Reply::Done(_)));
    assert!(world.speak(CALLER, &answered).is_some());
    assert_eq!(reasons_within(&mut world, 2_000), [ExpiryReason::Deleted]);
    assert!(world.datapath.is_empty());
}

#[test]
fn an_offer_calls_a_delayed_delete_off() {
    let mut world = World::new();
    world.call();
    let delete = Delete { call_id: b"call".to_vec(), delay_s: Some(2), ..Delete::default() };
    world.ask(&Request::Delete(delete));
    world.ask(&Request::Offer(media("a", Some("b"), &sdp(CALLER))));
    assert_eq!(reasons_within(&mut world, 59_000), []);
    assert_eq!(world.controller.sessions(), 1);
}

#[test]
fn thousands_of_calls_that_end_together_do_not_end_in_one_tick() {
    let mut world = World::with(10_000..=60_000, |_| {});
    for number in 0..1_000 {
        let mut offer = media("a", None, &sdp(CALLER));
        offer.call_id = format!("call-{number}").into_bytes();
        world.ask(&Request::Offer(offer));
    }
    world.wait(180_000);
    assert_eq!(world.tick().len(), 256);
    assert!(world.controller.wake_at().is_some_and(|at| at <= world.now));
    while !world.tick().is_empty() {}
    assert!(world.datapath.is_empty());
}
