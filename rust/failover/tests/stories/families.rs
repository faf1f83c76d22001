//! Parties that are reached by IPv4 and by IPv6: a server must have an address of each family that a call needs.

use mediaha_failover::AddressFamily::{V4, V6};
use mediaha_failover::Fault;

use crate::world::World;

const CALLER: &str = "c=IN IP4 192.0.2.1";
const CALLEE: &str = "c=IN IP6 2001:db8::2";

#[test]
fn a_server_without_the_callees_family_is_passed_over_and_asked_last_from_then_on() {
    let mut world = World::new(&["old", "new"]);
    world.server("old").only = Some(V4);
    let token = world.offer_to("c1", Some(V6), CALLER, &["old", "new"]);
    world.run_ms(20);
    assert_eq!(world.anchored(token).as_deref(), Some("new"));
    assert_eq!(world.server("old").asked, [format!("offer c1 {CALLER} to IP6"), "delete c1".to_owned()]);
    let token = world.offer_to("c2", Some(V6), CALLER, &["old", "new"]);
    world.run_ms(20);
    assert_eq!(world.anchored(token).as_deref(), Some("new"));
    assert_eq!(world.server("old").asked.len(), 2, "it is known by now");
    let token = world.offer_to("c3", Some(V4), CALLER, &["old", "new"]);
    world.run_ms(20);
    assert_eq!(world.anchored(token).as_deref(), Some("old"), "for IPv4 alone it is as good as ever");
}

#[test]
fn a_server_that_was_exchanged_is_asked_again() {
    let mut world = World::new(&["old", "new"]);
    world.server("old").only = Some(V4);
    world.offer_to("c1", Some(V6), CALLER, &["old", "new"]);
    world.run_ms(20);
    world.crash("old");
    world.run_ms(500);
    world.server("old").only = None;
    world.start("old");
    world.run_ms(10_000);
    let token = world.offer_to("c2", Some(V6), CALLER, &["old", "new"]);
    world.run_ms(20);
    assert_eq!(world.anchored(token).as_deref(), Some("old"));
}

#[test]
fn when_no_server_of_the_list_has_the_family_that_is_said() {
    let mut world = World::new(&["a", "b"]);
    for name in ["a", "b"] {
        world.server(name).only = Some(V4);
    }
    let token = world.offer_to("c1", Some(V6), CALLER, &["a", "b"]);
    world.run_ms(20);
    assert_eq!(
        world.refused(token),
        Some((Fault::Family, "every media server of the list lacks an IPv6 address".to_owned()))
    );
    world.run_ms(200);
    assert!(world.places("c1").is_empty());
}

#[test]
fn a_dead_server_that_may_have_the_family_makes_it_a_matter_of_time() {
    let mut world = World::new(&["a", "b"]);
    world.server("a").only = Some(V4);
    world.crash("b");
    world.run_ms(500);
    let token = world.offer_to("c1", Some(V6), CALLER, &["a", "b"]);
    world.run_ms(3_000);
    assert!(matches!(world.refused(token), Some((Fault::NoServer, _))), "{:?}", world.refused(token));
}

#[test]
fn the_callers_family_is_found_to_be_missing_with_the_answer_and_the_call_moves() {
    let mut world = World::new(&["old", "new"]);
    world.server("old").only = Some(V4);
    let token = world.offer_to("c1", Some(V4), "c=IN IP6 2001:db8::1", &["old", "new"]);
    world.run_ms(20);
    assert_eq!(world.anchored(token).as_deref(), Some("old"));
    let token = world.answer_to("c1", Some(V6), "c=IN IP4 192.0.2.2");
    world.run_ms(50);
    assert_eq!(world.anchored(token).as_deref(), Some("new"));
    assert_eq!(world.places("c1"), ["new"]);
    let [(from, to, _, for_callee)] = world.moves().try_into().unwrap();
    assert_eq!((from.as_str(), to.as_str()), ("old", "new"));
    assert!(for_callee.unwrap().ends_with("IP4 10.0.0.1"));
}

/// Whether the next server takes a call over with one request or is asked step by step.
#[test]
fn a_call_between_the_families_is_created_anew_with_both() {
    for adopts in [false, true] {
        let mut world = World::new(&["a", "old", "b"]);
        world.server("old").only = Some(V4);
        for name in ["old", "b"] {
            world.server(name).adopts = adopts;
        }
        world.run_ms(100);
        world.offer_to("c1", Some(V6), CALLER, &["a", "old", "b"]);
        world.run_ms(20);
        world.answer_to("c1", Some(V4), CALLEE);
        world.run_ms(20);
        world.crash("a");
        world.run_ms(1_000);
        let [(_, to, to_caller, for_callee)] = world.moves().try_into().unwrap();
        assert_eq!(to, "b", "the one before has no IPv6: {:?}", world.server("old").asked);
        assert!(to_caller.unwrap().ends_with("IP4 10.0.0.1"));
        assert!(for_callee.unwrap().ends_with("IP6 ::1"));
        assert_eq!(world.places("c1"), ["b"]);
    }
}

#[test]
fn a_server_that_has_forgotten_the_call_is_told_both_families_again() {
    let mut world = World::new(&["a"]);
    world.offer_to("c1", Some(V6), CALLER, &["a"]);
    world.run_ms(20);
    world.answer_to("c1", Some(V4), CALLEE);
    world.run_ms(20);
    world.crash("a");
    world.start("a");
    world.run_ms(5_000);
    let (_, _, to_caller, for_callee) = world.moves().pop().unwrap();
    assert!(to_caller.unwrap().ends_with("IP4 10.0.0.1"));
    assert!(for_callee.unwrap().ends_with("IP6 ::1"));
}
