//! A server that takes calls over with one request each is asked so; one that does not is asked in the common way.

use mediaha_failover::Command;
use mediaha_time::Duration;

use super::world::{World, names};

fn world(servers: &[&'static str]) -> World {
    let mut world = World::new(servers);
    for name in servers {
        world.server(name).adopts = true;
    }
    // Their next pongs say so.
    world.run_ms(100);
    world
}

fn died(world: &mut World, name: &str) {
    world.crash(name);
    world.command(Command::Died { server: name.into(), why: "killed".into() });
}

fn sdps(world: &World) -> Vec<(Option<String>, Option<String>)> {
    world.moves().into_iter().map(|(_, _, for_caller, for_callee)| (for_caller, for_callee)).collect()
}

#[test]
fn one_request_moves_a_call_and_both_parties_are_told() {
    let mut world = world(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    died(&mut world, "a");
    world.run_ms(5);
    assert_eq!(sdps(&world), [(Some("b1@b".into()), Some("a1@b".into()))]);
    assert_eq!(world.server("b").asked, ["adopt c a1 b1"]);
    let new = world.offer_of("new", "caller", None, "x1", &["b"]);
    world.run_ms(5);
    assert!(world.anchored(new).is_some());
    assert_eq!(world.server("b").asked[1], "offer new x1", "a new call is nobody's to be taken over");
}

#[test]
fn a_call_that_rings_is_adopted_without_an_answer_and_answered_there() {
    let mut world = world(&["a", "b"]);
    world.ring("c", &["a", "b"]);
    died(&mut world, "a");
    world.run_ms(5);
    assert_eq!(sdps(&world), [(None, Some("a1@b".into()))]);
    let answer = world.answer_of("c", "caller", "callee", "b1");
    world.run_ms(5);
    assert_eq!(world.anchored(answer).as_deref(), Some("b"));
    assert_eq!(world.server("b").asked, ["adopt c a1 -", "answer c b1"]);
}

#[test]
fn a_re_offer_that_waits_for_its_answer_follows_the_adoption() {
    let mut world = world(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    world.offer_of("c", "callee", Some("caller"), "b2", &[]);
    world.run_ms(5);
    died(&mut world, "a");
    world.run_ms(5);
    assert_eq!(world.server("b").asked, ["adopt c a1 b1", "offer c b2"]);
    assert_eq!(sdps(&world), [(Some("b2@b".into()), Some("a1@b".into()))]);
}

#[test]
fn a_server_that_has_another_program_by_now_is_asked_again_in_the_common_way() {
    let mut world = world(&["a", "b", "d"]);
    world.talk("c", &["a", "b", "d"]);
    world.server("b").adopts_no_more = true;
    died(&mut world, "a");
    world.run_ms(10);
    assert_eq!(sdps(&world), [(Some("b1@b".into()), Some("a1@b".into()))]);
    assert_eq!(world.server("b").asked, ["offer c a1", "answer c b1"]);
    assert_eq!(world.places("c"), ["b"]);
}

#[test]
fn a_server_that_takes_no_call_is_passed_over() {
    let mut world = world(&["a", "b", "d"]);
    world.talk("c", &["a", "b", "d"]);
    world.server("b").error = Some(mediaha_ng::reason::NO_PORTS);
    died(&mut world, "a");
    world.run_ms(10);
    assert_eq!(sdps(&world), [(Some("b1@d".into()), Some("a1@d".into()))]);
}

#[test]
fn the_next_server_dies_too_while_it_is_adopting() {
    let mut world = world(&["a", "b", "d"]);
    let calls = names(600);
    for call in &calls {
        world.talk(call, &["a", "b", "d"]);
    }
    world.server("b").slow = Duration::from_millis(2);
    died(&mut world, "a");
    world.run_ms(3);
    died(&mut world, "b");
    world.run_ms(100);
    for call in &calls {
        assert_eq!(world.places(call), ["d"]);
    }
}

/// Its adoption may have been done although nothing was heard of it: what it has of the call is deleted when it is back.
#[test]
fn a_server_that_hung_in_mid_adoption_deletes_what_it_took_later() {
    let mut world = world(&["a", "b", "d"]);
    world.talk("c", &["a", "b", "d"]);
    world.hang("b");
    died(&mut world, "a");
    world.run_ms(1_000);
    assert_eq!(sdps(&world), [(Some("b1@d".into()), Some("a1@d".into()))]);
    world.resume("b");
    world.run_ms(5_000);
    assert_eq!(world.places("c"), ["d"]);
}
