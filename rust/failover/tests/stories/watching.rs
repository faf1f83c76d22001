//! Is it dead, or slow, or is it us?

use mediaha_failover::{Command, Input, ServerState};
use mediaha_time::Duration;

use super::world::World;

#[test]
fn a_process_that_died_is_acted_on_at_once() {
    let mut world = World::new(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    world.crash("a");
    world.command(Command::Died { server: "a".into(), why: "exit status 1".into() });
    world.run_ms(2);
    assert_eq!(world.moves().len(), 1);
}

#[test]
fn a_closed_port_is_found_with_the_next_heartbeat() {
    let mut world = World::new(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    world.crash("a");
    world.run_ms(53);
    assert_eq!(world.state("a"), ServerState::Dead);
    assert_eq!(world.moves().len(), 1);
}

#[test]
fn one_refused_packet_is_no_death() {
    let mut world = World::new(&["a", "b"]);
    let server = world.pool.servers()[0].id;
    world.pool.handle(Input::Unreachable { server }, world.now);
    assert_eq!(world.state("a"), ServerState::Suspect);
    world.run_ms(100);
    assert_eq!(world.state("a"), ServerState::Usable);
}

#[test]
fn a_hung_server_is_found_dead_within_a_fifth_of_a_second() {
    let mut world = World::new(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    let hung_at = world.now;
    world.hang("a");
    world.run_ms(400);
    let dead_after = world.said_at("a", ServerState::Dead).unwrap().since(hung_at);
    assert!(dead_after >= Duration::from_millis(145), "{dead_after:?}");
    assert!(dead_after <= Duration::from_millis(225), "{dead_after:?}");
    assert_eq!(world.places("c"), ["a", "b"], "the hung one still has it");
}

#[test]
fn a_short_pause_of_a_server_moves_nothing() {
    let mut world = World::new(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    world.hang("a");
    world.run_ms(130);
    assert_eq!(world.state("a"), ServerState::Suspect);
    world.resume("a");
    world.run_ms(500);
    assert_eq!((world.state("a"), world.moves().len()), (ServerState::Usable, 0));
}

/// On a busy machine its answers were late before; a pause of the length that kills a punctual one says nothing about it.
#[test]
fn a_server_whose_answers_come_late_may_be_silent_for_longer() {
    let mut world = World::new(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    for _ in 0..5 {
        world.server("a").slow_pongs = Duration::from_millis(120);
        world.run_ms(60);
        world.server("a").slow_pongs = Duration::ZERO;
        world.run_ms(240);
    }
    world.hang("a");
    world.run_ms(230);
    world.resume("a");
    world.run_ms(500);
    assert_eq!((world.said_at("a", ServerState::Dead), world.moves().len()), (None, 0));
}

#[test]
fn and_not_for_ever() {
    let mut world = World::new(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    world.server("a").slow_pongs = Duration::from_millis(600);
    world.run_ms(3_000);
    world.server("a").slow_pongs = Duration::ZERO;
    world.run_ms(3_000);
    let hung_at = world.now;
    world.hang("a");
    world.run_ms(1_000);
    let dead_after = world.said_at("a", ServerState::Dead).unwrap().since(hung_at);
    assert!(dead_after <= Duration::from_millis(450), "{dead_after:?}");
}

/// Each of these is too short to be seen by itself.
#[test]
fn many_small_latenesses_of_the_pool_add_up_to_no_silence_of_a_server() {
    let mut world = World::new(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    for _ in 0..20 {
        world.hang("a");
        world.run_late(170, Duration::from_millis(19));
        world.resume("a");
        world.run_late(200, Duration::from_millis(19));
    }
    assert_eq!((world.said_at("a", ServerState::Dead), world.moves().len()), (None, 0));
}

#[test]
fn a_pool_that_is_late_still_finds_out_who_is_dead() {
    let mut world = World::new(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    world.hang("a");
    world.run_late(800, Duration::from_millis(19));
    assert_eq!((world.state("a"), world.moves().len()), (ServerState::Dead, 1));
}

#[test]
fn when_the_pool_itself_was_stopped_nobody_is_blamed() {
    let mut world = World::new(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    for _ in 0..5 {
        world.run_ms(130);
        world.stall_ms(1_500);
    }
    world.run_ms(300);
    for name in ["a", "b"] {
        assert_eq!(world.said_at(name, ServerState::Dead), None);
        assert_eq!(world.state(name), ServerState::Usable);
    }
}

/// Found by simulation: a suspect that had recovered during the stop was dead ten milliseconds after it.
#[test]
fn a_suspect_gets_another_chance_after_the_pool_was_stopped() {
    let mut world = World::new(&["a", "b"]);
    world.hang("a");
    world.run_ms(170);
    assert_eq!(world.state("a"), ServerState::Suspect);
    world.stall_ms(1_500);
    world.resume("a");
    world.run_ms(300);
    assert_eq!(world.said_at("a", ServerState::Dead), None);
}

#[test]
fn when_all_are_silent_the_fault_is_more_likely_ours() {
    let mut world = World::new(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    for name in ["a", "b"] {
        world.hang(name);
    }
    world.run_ms(1_500);
    assert_eq!([world.state("a"), world.state("b")], [ServerState::Suspect; 2]);
    let token = world.offer_of("d", "caller", None, "a1", &["a", "b"]);
    world.run_ms(300);
    world.resume("a");
    world.resume("b");
    world.run_ms(300);
    assert_eq!(world.anchored(token).as_deref(), Some("a"));
    assert_eq!((world.stranded(), world.moves().len()), (0, 0));
}

#[test]
fn a_server_that_came_back_is_on_probation_first() {
    let mut world = World::new(&["a", "b"]);
    world.crash("a");
    world.run_ms(200);
    world.start("a");
    world.run_ms(1_000);
    assert_eq!(world.state("a"), ServerState::Recovering);
    world.ring("early", &["a", "b"]);
    world.run_ms(1_500);
    assert_eq!(world.state("a"), ServerState::Usable);
    world.ring("late", &["a", "b"]);
    assert_eq!((world.places("early"), world.places("late")), (vec!["b"], vec!["a"]));
}

/// Found by simulation: two lost pings killed a server that was recovering, and the calls it had taken with it.
#[test]
fn a_recovering_server_may_miss_a_ping_or_two() {
    let mut world = World::new(&["a", "b"]);
    world.crash("a");
    world.run_ms(200);
    world.start("a");
    world.run_ms(500);
    world.hang("a");
    world.run_ms(140);
    world.resume("a");
    world.run_ms(100);
    assert_eq!(world.state("a"), ServerState::Recovering);
    world.run_ms(2_000);
    assert_eq!(world.state("a"), ServerState::Usable);
}

/// Found by simulation: a server that was told to drain, taken out, told not to, and put back, drained for ever.
#[test]
fn a_server_that_is_configured_no_longer_is_still_told_what_it_is_told() {
    let mut world = World::new(&["a"]);
    world.talk("c", &["a"]);
    world.command(Command::Drain { server: "a".into(), draining: true });
    world.configure(&[]);
    world.command(Command::Drain { server: "a".into(), draining: false });
    world.configure(&["a"]);
    world.run_ms(50);
    assert_eq!(world.state("a"), ServerState::Usable);
}

#[test]
fn a_process_that_another_one_takes_over_from_is_no_dead_server() {
    let mut world = World::new(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    world.hang("a");
    world.command(Command::Succeeding { server: "a".into(), why: "signal 9".into(), within_ms: 1_000 });
    world.run_ms(900);
    assert_eq!((world.state("a"), world.moves().len()), (ServerState::Suspect, 0), "its control port is silent");
    // It answers out of the same memory.
    world.resume("a");
    world.run_ms(200);
    assert_eq!((world.state("a"), world.moves().len()), (ServerState::Usable, 0));
    assert_eq!(world.places("c"), ["a"]);
}

#[test]
fn a_takeover_that_takes_too_long_is_a_death() {
    let mut world = World::new(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    world.hang("a");
    let began = world.now;
    world.command(Command::Succeeding { server: "a".into(), why: "signal 9".into(), within_ms: 500 });
    world.run_ms(800);
    let dead_after = world.said_at("a", ServerState::Dead).unwrap().since(began);
    assert!(dead_after >= Duration::from_millis(500), "{dead_after:?}");
    assert!(dead_after <= Duration::from_millis(600), "{dead_after:?}");
    assert_eq!(world.moves().len(), 1);
}

#[test]
fn a_takeover_that_fails_is_a_death_at_once_and_new_calls_do_not_wait_for_it() {
    let mut world = World::new(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    world.crash("a");
    world.command(Command::Succeeding { server: "a".into(), why: "signal 9".into(), within_ms: 1_000 });
    world.run_ms(100);
    assert!(world.moves().is_empty(), "a refused packet is no death meanwhile");
    world.talk("d", &["a", "b"]);
    assert_eq!(world.places("d"), ["b"]);
    world.command(Command::Died { server: "a".into(), why: "its table is damaged".into() });
    world.run_ms(2);
    assert_eq!(world.moves().len(), 1);
}

/// Seed 724 of the succeeded worlds.
#[test]
fn the_last_pong_of_the_process_that_is_gone_does_not_speak_for_the_next_one() {
    // In some of these moments it is on its way.
    for us in (0..60_000).step_by(200) {
        let mut world = World::new(&["a", "b"]);
        world.talk("c", &["a", "b"]);
        world.run(Duration::from_micros(us));
        world.hang("a");
        world.command(Command::Succeeding { server: "a".into(), why: "signal 9".into(), within_ms: 500 });
        world.run_ms(490);
        assert_eq!((world.state("a"), world.moves().len()), (ServerState::Suspect, 0), "after {us} µs");
    }
}

/// Seed 350 of the succeeded worlds: the pool woke again and again, and never later.
#[test]
fn what_the_process_that_is_gone_has_answered_makes_nobody_usable() {
    let mut world = World::new(&["a", "b"]);
    world.server("a").slow = Duration::from_millis(10);
    for call in ["c", "d", "e"] {
        world.ring(call, &["a"]);
    }
    for call in ["c", "d", "e"] {
        world.answer_of(call, "caller", "callee", "b1");
    }
    world.run_ms(5);
    world.hang("a");
    world.command(Command::Succeeding { server: "a".into(), why: "signal 9".into(), within_ms: 500 });
    world.run_ms(490);
    assert_eq!((world.state("a"), world.moves().len()), (ServerState::Suspect, 0));
    world.resume("a");
    world.run_ms(200);
    assert_eq!((world.state("a"), world.moves().len()), (ServerState::Usable, 0));
}
