//! A call is made: who is asked, in which order, and when the next.

use mediaha_failover::{Command, Event, Fault, Outcome, ServerState, Token};
use mediaha_time::{Duration, Time};

use super::world::World;

/// How long a command took until it was answered.
fn took(world: &World, wanted: Token, asked_at: Time) -> Duration {
    let answered = world.events.iter().find(|(_, event)| {
        matches!(event, Event::Anchored { token, .. } | Event::Refused { token, .. } if *token == wanted)
    });
    answered.unwrap().0.since(asked_at)
}

fn story(world: &World, wanted: Token) -> Vec<(String, Outcome)> {
    let of = |event: &Event| match event {
        Event::Anchored { token, story, .. } | Event::Refused { token, story, .. } if *token == wanted => {
            Some(story.iter().map(|attempt| (attempt.server.clone(), attempt.outcome.clone())).collect())
        }
        _ => None,
    };
    world.events.iter().find_map(|(_, event)| of(event)).unwrap()
}

#[test]
fn the_first_of_the_list_is_asked_and_nobody_else() {
    let mut world = World::new(&["a", "b"]);
    let token = world.offer_of("c", "caller", None, "a1", &["b", "a"]);
    world.run_ms(100);
    assert_eq!(world.anchored(token).as_deref(), Some("b"));
    assert!(world.server("a").asked.is_empty());
}

#[test]
fn a_black_hole_first_in_the_list_costs_a_hedge_and_then_nothing() {
    let mut world = World::new(&["a", "b"]);
    world.hang("a");
    let asked_at = world.now;
    let token = world.offer_of("c", "caller", None, "a1", &["a", "b"]);
    world.run_ms(400);
    assert_eq!(world.anchored(token).as_deref(), Some("b"));
    assert!(took(&world, token, asked_at) <= Duration::from_millis(22), "{:?}", took(&world, token, asked_at));
    let asked_at = world.now;
    let token = world.offer_of("d", "caller", None, "a1", &["a", "b"]);
    world.run_ms(20);
    assert!(took(&world, token, asked_at) <= Duration::from_millis(1), "{:?}", took(&world, token, asked_at));
}

#[test]
fn before_anybody_was_heard_all_are_asked() {
    let mut world = World::unheard(&["a", "b"]);
    world.crash("a");
    let token = world.offer_of("c", "caller", None, "a1", &["a", "b"]);
    world.run_ms(60);
    assert_eq!(world.anchored(token).as_deref(), Some("b"));
}

#[test]
fn a_whole_list_of_slow_servers_still_takes_the_call() {
    let mut world = World::new(&["a", "b"]);
    world.server("a").slow = Duration::from_millis(700);
    world.server("b").slow = Duration::from_millis(900);
    let token = world.offer_of("c", "caller", None, "a1", &["a", "b"]);
    world.run_ms(3_000);
    assert_eq!(world.anchored(token).as_deref(), Some("a"));
    assert_eq!(world.places("c"), ["a"], "the loser was told to delete");
    let outcomes = [("a".to_owned(), Outcome::Answered), ("b".to_owned(), Outcome::Overtaken)];
    assert_eq!(story(&world, token), outcomes);
}

#[test]
fn an_error_is_passed_over_at_once() {
    let mut world = World::new(&["a", "b"]);
    world.server("a").error = Some("Ran out of ports");
    let asked_at = world.now;
    let token = world.offer_of("c", "caller", None, "a1", &["a", "b"]);
    world.run_ms(20);
    assert_eq!(world.anchored(token).as_deref(), Some("b"));
    assert!(took(&world, token, asked_at) <= Duration::from_millis(2));
    assert_eq!(story(&world, token)[0].1, Outcome::Error("Ran out of ports".into()));
}

#[test]
fn a_fault_of_the_caller_is_told_at_once_and_nobody_else_is_bothered() {
    let mut world = World::new(&["a", "b"]);
    world.server("a").error = Some(mediaha_ng::reason::SDP_UNPARSABLE);
    let token = world.offer_of("c", "caller", None, "not SDP", &["a", "b"]);
    world.run_ms(100);
    assert_eq!(world.refused(token).unwrap().0, Fault::Caller);
    assert!(world.server("b").asked.is_empty());
    assert_eq!(world.pool.calls(), 0);
}

#[test]
fn nobody_alive_is_refused_at_once() {
    let mut world = World::new(&["a"]);
    world.crash("a");
    world.command(Command::Died { server: "a".into(), why: "exit status 1".into() });
    let token = world.offer_of("c", "caller", None, "a1", &["a"]);
    assert_eq!(world.refused(token).unwrap().0, Fault::NoServer);
}

#[test]
fn a_draining_server_takes_no_new_calls_and_keeps_its_old_ones() {
    let mut world = World::new(&["a", "b"]);
    world.talk("old", &["a", "b"]);
    world.server("a").draining = true;
    world.run_ms(100);
    assert_eq!(world.state("a"), ServerState::Draining);
    world.ring("new", &["a", "b"]);
    assert_eq!((world.places("old"), world.places("new")), (vec!["a"], vec!["b"]));
}

#[test]
fn the_server_that_dies_while_it_is_asked_is_passed_over() {
    let mut world = World::new(&["a", "b"]);
    world.server("a").slow = Duration::from_secs(10);
    world.server("b").slow = Duration::from_millis(300);
    let token = world.offer_of("c", "caller", None, "a1", &["a", "b"]);
    world.run_ms(3);
    world.crash("a");
    world.command(Command::Died { server: "a".into(), why: "killed".into() });
    world.run_ms(500);
    assert_eq!(world.anchored(token).as_deref(), Some("b"));
    assert_eq!(story(&world, token)[0].1, Outcome::Died("killed".into()));
}

#[test]
fn a_call_deleted_while_it_is_being_set_up_is_answered_and_leaves_nothing() {
    let mut world = World::new(&["a", "b"]);
    world.server("a").slow = Duration::from_millis(40);
    let offer = world.offer_of("c", "caller", None, "a1", &["a", "b"]);
    world.run_ms(1);
    let delete = world.delete("c");
    world.run_ms(3_000);
    assert_eq!(world.refused(offer).unwrap().0, Fault::UnknownCall);
    assert!(world.deleted(delete));
    assert!(world.places("c").is_empty());
}

#[test]
fn an_adopted_call_stays_where_it_is_or_is_created_anew() {
    let mut world = World::new(&["a", "b"]);
    let adopt = |world: &mut World, call: &str, current: Option<&str>| {
        let token = world.token();
        world.command(Command::Adopt {
            token,
            call_id: call.into(),
            from_tag: "caller".into(),
            to_tag: Some("callee".into()),
            from_sdp: "a1".into(),
            to_sdp: Some("b1".into()),
            to_family: None,
            servers: vec!["a".into(), "b".into()],
            current: current.map(Into::into),
        });
        world.run_ms(20);
        world.anchored(token)
    };
    assert_eq!(adopt(&mut world, "known", Some("b")).as_deref(), Some("b"));
    assert!(world.server("b").asked.is_empty());
    assert_eq!(adopt(&mut world, "lost", None).as_deref(), Some("a"));
    assert_eq!(world.moves().len(), 1);
    assert_eq!(world.places("lost"), ["a"]);
}
