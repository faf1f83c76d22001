//! A server that answers and forwards nothing, or too late, is found by the packets that the pool sends through it.

use mediaha_failover::{Command, ServerState};
use mediaha_time::Duration;

use super::server::is_probe;
use super::world::World;

fn new_call(world: &mut World, call: &str, list: &[&str]) -> Option<String> {
    let token = world.offer_of(call, "caller", None, "a1", list);
    world.run_ms(20);
    world.anchored(token)
}

#[test]
fn its_calls_go_elsewhere_and_new_ones_too_until_it_has_forwarded_for_a_while() {
    let mut world = World::probed(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    world.ring("r", &["a", "b"]);
    world.server("a").gray = true;
    world.run_ms(1_000);
    assert_eq!((world.places("c"), world.places("r")), (vec!["b"], vec!["b"]));
    assert_eq!(world.moves().len(), 2);
    assert_eq!(world.state("a"), ServerState::Suspect);
    assert_eq!(new_call(&mut world, "new", &["a", "b"]).as_deref(), Some("b"));
    assert_eq!(new_call(&mut world, "only", &["a"]).as_deref(), Some("a"), "last, not out");
    world.server("a").gray = false;
    world.run_ms(1_000);
    assert_eq!(world.state("a"), ServerState::Suspect, "on probation");
    world.run_ms(2_000);
    assert_eq!(world.state("a"), ServerState::Usable);
    assert_eq!(new_call(&mut world, "again", &["a", "b"]).as_deref(), Some("a"));
    assert_eq!(world.moves().len(), 2, "what was moved stays");
}

#[test]
fn one_that_forwards_too_late_is_as_bad() {
    let mut world = World::probed(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    world.server("a").late = Duration::from_millis(400);
    world.run_ms(2_000);
    assert_eq!(world.places("c"), ["b"]);
}

/// As when one of its workers is stuck: every other packet came back, and it was called well.
#[test]
fn one_that_forwards_one_way_alone_is_no_better() {
    let mut world = World::probed(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    world.server("a").gray_one_way = true;
    world.run_ms(2_500);
    assert_eq!((world.places("c"), world.state("a")), (vec!["b"], ServerState::Suspect));
    world.run_ms(10_000);
    assert_eq!(world.state("a"), ServerState::Suspect, "half of its packets are no proof of health");
    world.server("a").gray_one_way = false;
    world.run_ms(4_000);
    assert_eq!((world.state("a"), world.moves().len()), (ServerState::Usable, 1));
}

/// Found with a real server: of packets that followed one another quickly, those that were missed were forgotten uncounted.
#[test]
fn many_packets_on_their_way_are_all_counted() {
    let mut world = World::probed_every(20, &["a", "b"]);
    world.talk("c", &["a", "b"]);
    world.server("a").gray = true;
    world.run_ms(1_000);
    assert_eq!(world.places("c"), ["b"]);
}

#[test]
fn a_few_lost_packets_are_no_reason() {
    let mut world = World::probed(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    for _ in 0..5 {
        world.server("a").gray = true;
        world.run_ms(210);
        world.server("a").gray = false;
        world.run_ms(300);
    }
    assert_eq!((world.places("c"), world.state("a")), (vec!["a"], ServerState::Usable));
}

#[test]
fn when_nothing_comes_through_anywhere_the_fault_is_ours_and_no_call_is_moved() {
    let mut world = World::probed(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    world.server("a").gray = true;
    world.server("b").gray = true;
    world.run_ms(3_000);
    assert_eq!((world.places("c"), world.moves().len()), (vec!["a"], 0));
    world.server("b").gray = false;
    world.run_ms(3_000);
    assert_eq!(world.places("c"), ["b"], "now it is known to be a's");
}

#[test]
fn one_whose_packets_never_came_back_is_left_alone() {
    let mut world = World::probed(&["b", "x"]);
    world.server("x").gray = true;
    world.crash("x");
    world.command(Command::Died { server: "x".into(), why: "killed".into() });
    world.start("x");
    world.run_ms(5_000);
    assert_eq!(world.state("x"), ServerState::Usable, "nothing is known of this life's media");
    assert!(world.server("x").calls.is_empty(), "no session is kept that leads nowhere");
}

#[test]
fn a_server_that_forgot_the_session_without_a_word_is_asked_for_it_again() {
    let mut world = World::probed(&["a", "b"]);
    world.server("a").is_foreign = true;
    world.talk("c", &["a", "b"]);
    world.server("a").calls.retain(|call, _| !is_probe(call));
    world.run_ms(3_000);
    assert_eq!((world.places("c"), world.state("a")), (vec!["a"], ServerState::Usable));
    assert!(world.server("a").calls.keys().any(|call| is_probe(call)));
}

/// Found by seed 100147: packets that were still on their way when the session was asked for again made it gray as soon as it had it.
#[test]
fn what_was_missed_for_want_of_the_session_is_not_held_against_a_server_that_has_it_again() {
    let mut world = World::probed_every(20, &["a", "b"]);
    world.server("a").is_foreign = true;
    world.server("a").slow = Duration::from_millis(150);
    world.server("a").calls.retain(|call, _| !is_probe(call));
    let before = world.said_at("a", ServerState::Suspect);
    world.run_ms(3_000);
    assert!(world.server("a").calls.keys().any(|call| is_probe(call)));
    assert_eq!(world.said_at("a", ServerState::Suspect), before, "{:#?}", world.events);
}

#[test]
fn a_pool_that_was_stopped_itself_blames_nobody() {
    let mut world = World::probed(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    for _ in 0..20 {
        world.stall_ms(300);
        world.run_ms(30);
    }
    world.run_ms(100);
    assert_eq!((world.places("c"), world.moves().len()), (vec!["a"], 0));
}

/// Found on a machine at a load of 20: what was on its way was forgotten with each stop, so that nothing was ever missed.
#[test]
fn a_pool_that_is_stopped_time_and_again_still_finds_out() {
    let mut world = World::probed(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    world.server("a").gray = true;
    for _ in 0..60 {
        world.run_ms(90);
        world.run_late(60, Duration::from_millis(25));
    }
    assert_eq!((world.places("c"), world.state("a")), (vec!["b"], ServerState::Suspect));
}

#[test]
fn a_server_that_hangs_is_for_the_heartbeat_to_judge() {
    let mut world = World::probed(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    world.hang("a");
    world.run_ms(1_000);
    assert_eq!((world.places("c").contains(&"b"), world.state("a")), (true, ServerState::Dead));
    world.resume("a");
    world.run_ms(5_000);
    assert_eq!((world.places("c"), world.state("a")), (vec!["b"], ServerState::Usable));
    assert!(world.server("a").calls.keys().any(|call| is_probe(call)), "it is probed again");
}

/// Found by seed 403658: what had been seen of the server was forgotten, so that nothing was expected of it afterwards.
#[test]
fn one_that_drains_for_a_while_is_found_out_all_the_same() {
    let mut world = World::probed(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    world.server("a").gray = true;
    world.run_ms(300);
    world.server("a").draining = true;
    world.run_ms(1_000);
    assert!(!world.server("a").calls.keys().any(|call| is_probe(call)), "no session keeps it from ending");
    world.server("a").draining = false;
    world.run_ms(2_000);
    assert_eq!((world.places("c"), world.state("a")), (vec!["b"], ServerState::Suspect));
    world.server("a").draining = true;
    world.run_ms(1_000);
    world.server("a").draining = false;
    world.run_ms(200);
    assert_eq!(new_call(&mut world, "new", &["a", "b"]).as_deref(), Some("b"), "it is no better than before");
}

/// Found by seed 501385.
#[test]
fn one_that_is_not_configured_for_a_while_is_found_out_all_the_same() {
    let mut world = World::probed(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    world.server("a").gray = true;
    world.run_ms(300);
    world.configure(&["b"]);
    world.run_ms(500);
    world.configure(&["a", "b"]);
    world.run_ms(2_000);
    assert_eq!((world.places("c"), world.state("a")), (vec!["b"], ServerState::Suspect));
}

#[test]
fn one_that_drains_keeps_no_session_of_ours_and_one_that_is_no_longer_configured_neither() {
    let mut world = World::probed(&["a", "b"]);
    world.server("a").draining = true;
    world.run_ms(200);
    assert!(world.server("a").calls.is_empty());
    world.configure(&["a"]);
    world.run_ms(200);
    assert!(world.server("b").calls.is_empty());
    assert_eq!(world.server("b").asked_for_calls(), [""; 0]);
}
