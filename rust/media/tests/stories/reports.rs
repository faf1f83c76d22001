//! What a server tells about itself and its calls.

use mediaha_media::NoRoom;
use mediaha_ng::{Delete, Dictionary, Media, Reply, Request};

use crate::world::{CALLEE, CALLER, STRANGER, World, at, media, sdp};

fn body(reply: &Reply) -> Dictionary {
    reply.to_dictionary()
}

fn inner(dictionary: &Dictionary, path: &[&str]) -> Dictionary {
    path.iter().fold(dictionary.clone(), |it, key| it.get(key).unwrap().dictionary().unwrap().clone())
}

#[test]
fn a_ping_is_answered_with_who_and_how_full() {
    let mut world = World::with(30_000..=30_999, |config| config.sessions_max = 2);
    world.call();
    let pong = world.ask(&Request::Ping);
    let expected =
        Reply::Pong { instance: Some(b"instance".to_vec()), load: Some(50), draining: false, adopts: true };
    assert_eq!(pong, expected);
    world.controller.drain(true);
    assert!(matches!(world.ask(&Request::Ping), Reply::Pong { draining: true, .. }));
}

#[test]
fn deleting_what_is_not_there_is_no_error() {
    let mut world = World::new();
    let reply = world.delete();
    assert_eq!(body(&reply).text("result"), Some(&b"ok"[..]));
    assert_eq!(body(&reply).text("warning"), Some(&b"Call-ID not found or tags didn't match"[..]));
}

#[test]
fn deleting_what_is_not_there_is_an_error_to_who_wants_to_know() {
    let mut world = World::new();
    let delete = Delete { call_id: b"call".to_vec(), fatal: true, ..Delete::default() };
    let reply = world.ask(&Request::Delete(delete));
    assert_eq!(reply, Reply::error("Call-ID not found or tags didn't match"));
}

#[test]
fn tags_that_do_not_match_delete_nothing() {
    let mut world = World::new();
    world.call();
    let wrong = Delete { call_id: b"call".to_vec(), from_tag: Some(b"nobody".to_vec()), ..Delete::default() };
    assert!(world.ask(&Request::Delete(wrong)).is_unknown_call());
    let hangs_up = Delete {
        call_id: b"call".to_vec(),
        from_tag: Some(b"b".to_vec()),
        to_tag: Some(b"a".to_vec()),
        ..Delete::default()
    };
    assert!(!world.ask(&Request::Delete(hangs_up)).is_unknown_call());
    assert!(world.datapath.is_empty());
}

#[test]
fn a_query_tells_who_sent_what() {
    let mut world = World::new();
    let (offered, answered) = world.call();
    for _ in 0..3 {
        world.speak(CALLER, &answered);
    }
    world.speak(CALLEE, &offered);
    world.speak(STRANGER, &answered);
    let body = body(&world.query());
    assert_eq!(inner(&body, &["totals", "RTP"]).integer("packets"), Some(4));
    assert_eq!(inner(&body, &["totals", "RTP"]).integer("errors"), Some(1));
    let caller = inner(&body, &["tags", "a"]);
    assert_eq!(caller.text("in dialogue with"), Some(&b"b"[..]));
    let media = caller.get("medias").unwrap().list().unwrap()[0].dictionary().unwrap().clone();
    let stream = media.get("streams").unwrap().list().unwrap()[0].dictionary().unwrap().clone();
    assert_eq!(inner(&stream, &["stats"]).integer("packets"), Some(3));
    assert_eq!(inner(&stream, &["advertised endpoint"]).integer("port"), Some(i64::from(at(CALLER).port())));
    assert_eq!(stream.integer("local port"), Some(i64::from(answered.rtp(0).port())));
}

#[test]
fn what_an_ended_call_carried_stays_in_the_statistics() {
    let mut world = World::new();
    let (_, answered) = world.call();
    world.speak(CALLER, &answered);
    world.delete();
    let statistics = world.controller.statistics(&world.datapath);
    assert_eq!((statistics.packets, statistics.sessions, statistics.sessions_total), (1, 0, 1));
    let body = body(&world.ask(&Request::Statistics));
    assert_eq!(inner(&body, &["statistics", "totalstatistics"]).integer("relayedpackets"), Some(1));
}

#[test]
fn what_is_dropped_is_said_by_cause_and_whether_it_goes_on() {
    let mut world = World::new();
    let (_, answered) = world.call();
    let strangers = |world: &mut World, packets: u32| {
        world.wait(2_000);
        (0..packets).for_each(|_| assert_eq!(world.speak(STRANGER, &answered), None));
        world.controller.look(&world.datapath, world.now);
        let statistics = body(&world.ask(&Request::Statistics));
        let dropped = inner(&statistics, &["statistics", "dropped", "stranger"]).clone();
        ["count", "rate", "since", "last"].map(|key| dropped.integer(key))
    };
    world.speak(CALLER, &answered);
    assert_eq!(strangers(&mut world, 1), [Some(1), Some(0), None, None], "it may have been a former life's");
    assert_eq!(strangers(&mut world, 10), [Some(11), Some(5), Some(3), Some(5)]);
    assert_eq!(strangers(&mut world, 2), [Some(13), Some(1), Some(3), Some(7)]);
    assert_eq!(strangers(&mut world, 0), [Some(13), Some(0), Some(3), Some(7)], "it is over");
}

#[test]
fn why_a_new_call_would_be_refused_is_said_before_it_comes() {
    let mut world = World::with(30_000..=30_007, |config| {
        config.sessions_max = 2;
        config.busy_permille_max = 900;
    });
    let begin = |world: &mut World, call_id: &str| {
        world.ask(&Request::Offer(Media { call_id: call_id.into(), ..media("a", None, &sdp(CALLER)) }))
    };
    let refuses = |world: &mut World| {
        let statistics = body(&world.ask(&Request::Statistics));
        let current = inner(&statistics, &["statistics", "currentstatistics"]);
        current.text("refuses").map(|why| String::from_utf8(why.to_vec()).unwrap())
    };
    assert_eq!(refuses(&mut world), None);
    world.datapath.pretend_busy(900);
    assert_eq!(refuses(&mut world), Some(NoRoom::Busy.why().to_owned()));
    assert_eq!(begin(&mut world, "first"), Reply::error("Load limit exceeded"));
    world.datapath.pretend_busy(0);
    world.controller.drain(true);
    assert_eq!(refuses(&mut world), Some(NoRoom::Draining.why().to_owned()));
    world.controller.drain(false);
    begin(&mut world, "first");
    assert_eq!(refuses(&mut world), None);
    begin(&mut world, "second");
    assert_eq!(refuses(&mut world), Some(NoRoom::Sessions.why().to_owned()));
    let statistics = body(&world.ask(&Request::Statistics));
    assert_eq!(inner(&statistics, &["statistics", "refusedcalls", "load"]).integer("count"), Some(1));
}

#[test]
fn a_list_has_as_many_calls_as_were_asked_for() {
    let mut world = World::new();
    world.call();
    let calls = |reply: &Reply| body(reply).get("calls").unwrap().list().unwrap().len();
    assert_eq!(calls(&world.ask(&Request::List { limit: 32 })), 1);
    assert_eq!(calls(&world.ask(&Request::List { limit: 0 })), 0);
}

#[test]
fn an_unknown_call_and_an_unknown_command_are_said_to_be_so() {
    let mut world = World::new();
    assert_eq!(world.query(), Reply::error("Unknown call-id"));
    let reply = world.ask(&Request::Unsupported(b"dance".to_vec()));
    assert_eq!(reply, Reply::error("Unrecognized command"));
}

#[test]
fn a_probe_is_counted_among_no_calls_and_takes_no_call_its_place() {
    let mut world = World::with(30_000..=30_999, |config| config.sessions_max = 1);
    let probe = Media { call_id: b"mediaha-probe-1".to_vec(), ..media("a", Some("b"), &sdp(CALLER)) };
    assert!(matches!(world.ask(&Request::Offer(probe)), Reply::Sdp(_)));
    let counted = world.controller.statistics(&world.datapath);
    assert_eq!((counted.sessions, counted.streams, world.controller.sessions()), (0, 0, 0));
    world.call();
    assert_eq!(world.controller.sessions(), 1);
    world.ask(&Request::Delete(Delete { call_id: b"mediaha-probe-1".to_vec(), ..Delete::default() }));
    assert_eq!(world.controller.sessions(), 1);
}
