//! What servers must delete, and when they are told.

use mediaha_failover::{Command, ServerState};
use mediaha_time::Duration;

use super::world::{World, names};

#[test]
fn a_server_that_comes_back_drops_what_was_moved_away_before_it_is_usable() {
    let mut world = World::new(&["a", "b"]);
    let calls = names(300);
    for call in &calls {
        world.talk(call, &["a", "b"]);
    }
    world.hang("a");
    world.run_ms(500);
    assert_eq!(world.moves().len(), 300);
    world.resume("a");
    world.run_ms(4_000);
    assert_eq!(world.state("a"), ServerState::Usable);
    for call in &calls {
        assert_eq!(world.places(call), ["b"]);
    }
}

#[test]
fn a_deletion_for_a_dead_server_is_answered_at_once_and_done_when_it_is_back() {
    let mut world = World::new(&["a"]);
    world.talk("c", &["a"]);
    world.hang("a");
    world.command(Command::Died { server: "a".into(), why: "hung".into() });
    let delete = world.delete("c");
    assert!(world.deleted(delete));
    world.resume("a");
    world.run_ms(100);
    assert!(world.places("c").is_empty());
}

#[test]
fn a_deletion_that_is_on_its_way_when_the_server_dies_is_answered() {
    let mut world = World::new(&["a"]);
    world.talk("c", &["a"]);
    world.hang("a");
    let delete = world.delete("c");
    world.run_ms(20);
    assert!(!world.deleted(delete));
    world.command(Command::Died { server: "a".into(), why: "killed".into() });
    assert!(world.deleted(delete));
}

#[test]
fn a_late_winner_is_told_to_delete_whatever_overtakes_what() {
    let mut world = World::new(&["a", "b"]);
    world.server("a").slow = Duration::from_millis(80);
    let token = world.offer_of("c", "caller", None, "a1", &["a", "b"]);
    world.run_ms(3_000);
    assert_eq!(world.anchored(token).as_deref(), Some("b"));
    assert_eq!(world.places("c"), ["b"]);
    let deletions = world.server("a").asked.iter().filter(|asked| *asked == "delete c").count();
    assert!(deletions >= 2, "once at once, and once more when no offer can be on its way");
}

#[test]
fn a_call_that_ends_and_begins_again_under_its_id_is_not_deleted_by_its_past() {
    let mut world = World::new(&["a"]);
    world.talk("c", &["a"]);
    let delete = world.delete("c");
    let offer = world.offer_of("c", "caller", None, "a9", &["a"]);
    world.run_ms(3_000);
    assert!(world.deleted(delete));
    assert_eq!(world.anchored(offer).as_deref(), Some("a"));
    assert_eq!(world.places("c"), ["a"]);
}

/// Found by simulation: the deletion that was owed was taken back for an offer, and forgotten when that was refused.
#[test]
fn a_full_server_that_still_has_the_call_from_before_is_told_to_delete_it() {
    let mut world = World::new(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    world.hang("a");
    world.run_ms(300);
    assert_eq!(world.moves().len(), 1);
    world.server("a").error = Some("Ran out of ports");
    world.crash("b");
    world.command(Command::Died { server: "b".into(), why: "killed".into() });
    world.resume("a");
    world.run_ms(100);
    world.delete("c");
    world.run_ms(3_000);
    assert!(world.places("c").is_empty());
}

/// Found by simulation: a dead server that was taken out of the configuration and put back had been forgotten.
#[test]
fn a_server_that_is_configured_again_is_told_what_it_missed() {
    let mut world = World::new(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    world.hang("a");
    world.run_ms(300);
    world.configure(&["b"]);
    world.run_ms(200);
    world.configure(&["a", "b"]);
    world.resume("a");
    world.run_ms(100);
    assert_eq!(world.places("c"), ["b"]);
}

#[test]
fn a_server_that_is_configured_no_longer_keeps_its_calls_to_their_end() {
    let mut world = World::new(&["a", "b"]);
    world.talk("c", &["a", "b"]);
    world.configure(&["b"]);
    world.run_ms(500);
    assert_eq!(world.places("c"), ["a"]);
    let token = world.offer_of("c", "caller", Some("callee"), "a2", &[]);
    world.run_ms(10);
    assert_eq!(world.anchored(token).as_deref(), Some("a"));
    world.delete("c");
    world.run_ms(200);
    assert!(world.places("c").is_empty());
    assert_eq!(world.pool.servers().len(), 1);
}
