//! A call that was on another server is taken over with one request, and many calls with one datagram.

use crate::world::{CALLEE, CALLER, World, at, media, sdp};
use mediaha_ng::bundle::{self, Bundle};
use mediaha_ng::{Adoption, Datagram, Media, Reply, Request, datagram_untrusted, reply_untrusted};

fn adoption(call_id: &str, answer: Option<&str>) -> Request {
    let offer = Media { call_id: call_id.into(), ..media("a", Some("b"), &sdp(CALLER)) };
    Request::Adopt(Adoption { offer, answer_sdp: answer.map(Into::into) })
}

fn datagram(cookie: &str, request: &Request) -> Vec<u8> {
    Datagram::asking(cookie.into(), request).to_bytes()
}

/// Sends datagrams as one bundle; gives the cookies and replies that come back.
fn ask_all(world: &mut World, datagrams: &[Vec<u8>]) -> Vec<(String, Reply)> {
    let mut requests = Bundle::default();
    for one in datagrams {
        requests.add(one.clone(), 60_000).unwrap();
    }
    let bytes = requests.into_requests(b"bundle");
    let reply = world.controller.handle(&bytes, at("192.0.2.1:9"), &mut world.datapath, world.now).unwrap();
    let reply = datagram_untrusted(&reply).unwrap();
    assert_eq!(reply.cookie, b"bundle");
    let replies = bundle::replies(&reply.body).unwrap().map(|one| datagram_untrusted(one).unwrap());
    let told = |one: Datagram| (String::from_utf8(one.cookie).unwrap(), reply_untrusted(&one.body).unwrap());
    replies.map(told).collect()
}

#[test]
fn both_parties_are_told_at_once() {
    let mut world = World::new();
    let Reply::Adopted { sdp, answer_sdp } = world.ask(&adoption("call", Some(&crate::world::sdp(CALLEE)))) else {
        panic!("not adopted");
    };
    assert_ne!(sdp, answer_sdp);
    let by_offer_and_answer = {
        let mut world = World::new();
        world.ask(&Request::Offer(media("a", Some("b"), &crate::world::sdp(CALLER))));
        world.ask(&Request::Answer(media("a", Some("b"), &crate::world::sdp(CALLEE))));
        world.datapath.plans().next().map(|(_, plan)| *plan)
    };
    assert_eq!(
        world.datapath.plans().next().map(|(_, plan)| *plan),
        by_offer_and_answer,
        "as if offered and answered"
    );
}

/// Seen on a busy machine: calls of a dead server were silent for four seconds, as the other one had been behind for a moment.
#[test]
fn a_call_that_has_lost_its_server_is_taken_where_no_new_one_is() {
    let mut world = World::with(30_000..=30_999, |config| {
        config.busy_permille_max = 900;
        config.sessions_max = 3;
    });
    let new = |call: &str| Request::Offer(Media { call_id: call.into(), ..media("a", None, &sdp(CALLER)) });
    world.controller.drain(true);
    assert_eq!(world.ask(&new("n1")), Reply::error("Parallel session limit reached"));
    assert!(matches!(world.ask(&adoption("call", Some(&sdp(CALLEE)))), Reply::Adopted { .. }), "it drains");
    world.controller.drain(false);
    world.datapath.pretend_behind();
    assert_eq!(world.ask(&new("n2")), Reply::error("Load limit exceeded"));
    assert!(matches!(world.ask(&adoption("c2", Some(&sdp(CALLEE)))), Reply::Adopted { .. }), "it was behind");
    world.datapath.pretend_busy(999);
    assert!(matches!(world.ask(&adoption("c3", Some(&sdp(CALLEE)))), Reply::Adopted { .. }), "it is nearly full");
    assert_eq!(world.ask(&adoption("c4", None)), Reply::error("Parallel session limit reached"));
    world.delete();
    world.datapath.pretend_busy(1_000);
    assert_eq!(world.ask(&adoption("c5", None)), Reply::error("Load limit exceeded"), "it is full");
}

#[test]
fn a_call_that_rings_is_adopted_without_an_answer() {
    let mut world = World::new();
    assert!(matches!(world.ask(&adoption("call", None)), Reply::Sdp(_)));
    world.answer("a", "b", &sdp(CALLEE));
    assert_eq!(world.controller.sessions(), 1);
}

#[test]
fn an_answer_that_is_no_good_leaves_nothing_of_the_call() {
    let mut world = World::new();
    assert_eq!(world.ask(&adoption("call", Some("no sdp"))), Reply::error("Failed to parse SDP"));
    assert_eq!(world.controller.sessions(), 0);
    assert!(world.datapath.is_empty());
}

#[test]
fn one_bad_request_in_a_bundle_does_not_harm_the_others() {
    let mut world = World::new();
    let answer = sdp(CALLEE);
    let good = |number: u8| datagram(&format!("c{number}"), &adoption(&format!("call-{number}"), Some(&answer)));
    let bad = datagram("c2", &adoption("call-2", Some("no sdp")));
    let told = ask_all(&mut world, &[good(1), bad, b"c3 nonsense".to_vec(), good(4)]);
    let cookies: Vec<&str> = told.iter().map(|(cookie, _)| cookie.as_str()).collect();
    assert_eq!(cookies, ["c1", "c2", "c3", "c4"]);
    let adopted: Vec<bool> = told.iter().map(|(_, reply)| matches!(reply, Reply::Adopted { .. })).collect();
    assert_eq!(adopted, [true, false, false, true]);
    assert_eq!(world.controller.sessions(), 2);
}

#[test]
fn what_comes_again_in_another_bundle_or_alone_is_done_once() {
    let mut world = World::new();
    let one = datagram("c1", &adoption("call-1", Some(&sdp(CALLEE))));
    let two = datagram("c2", &adoption("call-2", Some(&sdp(CALLEE))));
    let first = ask_all(&mut world, &[one.clone(), two.clone()]);
    let again = ask_all(&mut world, &[two, one.clone()]);
    assert_eq!(again.iter().rev().cloned().collect::<Vec<_>>(), first);
    let alone = world.controller.handle(&one, at("192.0.2.1:9"), &mut world.datapath, world.now).unwrap();
    assert_eq!(reply_untrusted(&datagram_untrusted(&alone).unwrap().body), Ok(first[0].1.clone()));
    assert_eq!(world.controller.statistics(&world.datapath).duplicates, 3);
}

#[test]
fn a_bundle_within_a_bundle_is_nobodys_command() {
    let mut world = World::new();
    let mut inner = Bundle::default();
    for cookie in ["c1", "c2"] {
        inner.add(datagram(cookie, &Request::Ping), 60_000).unwrap();
    }
    let ping = datagram("c3", &Request::Ping);
    let told = ask_all(&mut world, &[inner.into_requests(b"inner"), ping]);
    assert_eq!(told[0], ("inner".to_owned(), Reply::error("Unrecognized command")));
    assert!(matches!(told[1].1, Reply::Pong { adopts: true, .. }));
}
