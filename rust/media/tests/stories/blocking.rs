//! Parties that a client silences, and lets speak again.

use mediaha_media::Cause;
use mediaha_ng::{Block, Blockable, Dictionary, Media, Named, Query, Reply, Request, Value};

use crate::world::{CALLEE, CALLER, RTCP, RTP, Sdp, World, at, media, sdp, sdp_with};

/// The same packet as a telephone event.
const EVENT: [u8; 14] = [0x80, 101, 0, 2, 0, 0, 0, 160, 0, 0, 0, 5, b'1', b'0'];

fn block(what: Blockable) -> Block {
    Block { call_id: b"call".to_vec(), what, lifted: false, party: None, to_tag: None, all: false }
}

fn of(tag: &str, block: Block) -> Block {
    Block { party: Some(Named::Tag(tag.as_bytes().to_vec())), ..block }
}

fn lifted(block: Block) -> Block {
    Block { lifted: true, ..block }
}

impl World {
    fn block(&mut self, block: Block) {
        assert_eq!(self.ask(&Request::Block(block)), Reply::ok());
    }

    fn refused(&mut self, block: Block) -> Reply {
        self.ask(&Request::Block(block))
    }

    /// Who is heard by the other one: the caller, the callee.
    fn heard(&mut self, (offered, answered): &(Sdp, Sdp)) -> [bool; 2] {
        [self.speak(CALLER, answered), self.speak(CALLEE, offered)].map(|arrives| arrives.is_some())
    }

    fn dropped(&self) -> u64 {
        let dropped = self.controller.statistics(&self.datapath).dropped;
        Cause::ALL.into_iter().zip(dropped).find(|(cause, _)| *cause == Cause::Blocked).unwrap().1
    }
}

fn with_events(address: &str) -> String {
    sdp_with(address, &["rtpmap:101"]).replace("rtpmap:101", "rtpmap:101 telephone-event/8000")
}

/// A call of which a payload type means telephone events.
fn call_with_events(world: &mut World) -> (Sdp, Sdp) {
    (world.offer("a", None, &with_events(CALLER)), world.answer("a", "b", &with_events(CALLEE)))
}

#[test]
fn a_blocked_party_is_not_heard_until_it_is_unblocked() {
    let mut world = World::new();
    let call = world.call();
    world.block(of("a", block(Blockable::Media)));
    assert_eq!(world.heard(&call), [false, true]);
    assert_eq!(world.dropped(), 1);
    world.block(lifted(of("a", block(Blockable::Media))));
    assert_eq!(world.heard(&call), [true, true]);
}

#[test]
fn keys_are_blocked_by_themselves_and_reports_never() {
    let mut world = World::new();
    let (_, answered) = call_with_events(&mut world);
    let passes =
        |world: &mut World| [&RTP[..], &EVENT].map(|it| world.send(it, CALLER, answered.rtp(0)).is_some());
    assert_eq!(passes(&mut world), [true, true]);
    world.block(block(Blockable::Dtmf));
    assert_eq!(passes(&mut world), [true, false]);
    world.block(of("a", block(Blockable::Media)));
    assert_eq!(passes(&mut world), [false, false]);
    world.block(lifted(block(Blockable::Dtmf)));
    assert_eq!(passes(&mut world), [false, true]);
    assert!(world.send(&RTCP, CALLER, answered.rtcp(0)).is_some());
}

#[test]
fn unblocking_everybody_leaves_who_was_blocked_alone_unless_all_is_said() {
    let mut world = World::new();
    let call = world.call();
    world.block(of("b", block(Blockable::Media)));
    world.block(block(Blockable::Media));
    assert_eq!(world.heard(&call), [false, false]);
    world.block(lifted(block(Blockable::Media)));
    assert_eq!(world.heard(&call), [true, false]);
    world.block(Block { all: true, ..lifted(block(Blockable::Media)) });
    assert_eq!(world.heard(&call), [true, true]);
}

#[test]
fn silence_and_a_block_are_taken_back_one_by_one() {
    let mut world = World::new();
    let call = world.call();
    world.block(of("a", block(Blockable::Sound)));
    world.block(of("a", block(Blockable::Media)));
    world.block(lifted(of("a", block(Blockable::Media))));
    assert_eq!(world.heard(&call), [false, true]);
    world.block(lifted(of("a", block(Blockable::Sound))));
    assert_eq!(world.heard(&call), [true, true]);
}

#[test]
fn a_party_is_also_known_by_its_address_and_by_what_it_was_called() {
    let mut world = World::new();
    let mut offer = media("a", None, &sdp(CALLER));
    offer.options.label = Some(b"alice".to_vec());
    let mut answer = media("a", Some("b"), &sdp(CALLEE));
    answer.options.label = Some(b"bob".to_vec());
    let call = (world.ask(&Request::Offer(offer)).into(), world.ask(&Request::Answer(answer)).into());
    let label = |name: &[u8]| Some(Named::Label(name.to_vec()));
    world.block(Block { party: label(b"bob"), ..block(Blockable::Media) });
    assert_eq!(world.heard(&call), [true, false]);
    let address = Some(Named::Address(at(CALLER).ip().to_string().into_bytes()));
    world.block(Block { party: address, ..block(Blockable::Media) });
    assert_eq!(world.heard(&call), [false, false]);
    let nobody = Block { party: label(b"carol"), ..block(Blockable::Media) };
    assert_eq!(world.refused(nobody), Reply::error("No monologue matching the given label"));
    let nowhere = |text: &str| Some(Named::Address(text.as_bytes().to_vec()));
    let reply = world.refused(Block { party: nowhere("203.0.113.200"), ..block(Blockable::Media) });
    assert_eq!(reply, Reply::error("Failed to match address to any tag"));
    let reply = world.refused(Block { party: nowhere("nonsense"), ..block(Blockable::Media) });
    assert_eq!(reply, Reply::error("Failed to parse network address"));
}

#[test]
fn who_is_not_there_cannot_be_blocked_and_nobody_else_is_instead() {
    let mut world = World::new();
    let call = world.call();
    let stranger = world.refused(of("z", block(Blockable::Media)));
    assert_eq!(stranger, Reply::error("From-tag given, but no such tag exists"));
    let no_flow = Block { to_tag: Some(b"z".to_vec()), ..of("a", block(Blockable::Media)) };
    assert_eq!(world.refused(no_flow), Reply::error("Media flow not found"));
    let elsewhere = Block { call_id: b"another".to_vec(), ..block(Blockable::Media) };
    assert_eq!(world.refused(elsewhere), Reply::error("Unknown call-ID"));
    assert_eq!(world.heard(&call), [true, true]);
    world.block(Block { to_tag: Some(b"b".to_vec()), ..of("a", block(Blockable::Media)) });
    assert_eq!(world.heard(&call), [false, true]);
}

#[test]
fn a_block_outlives_a_hold_a_new_stream_and_a_new_branch() {
    let mut world = World::new();
    world.call();
    world.block(of("a", block(Blockable::Media)));
    world.offer("a", Some("b"), &sdp_with(CALLER, &["sendonly", ""]));
    let answered = world.answer("a", "b", &sdp_with(CALLEE, &["recvonly", ""]));
    assert_eq!(world.speak(CALLER, &answered), None);
    assert_eq!(world.send(&RTP, "198.51.100.1:4002", answered.rtp(1)), None, "the second stream is silent, too");
    let branch = Media { via_branch: Some(b"z2".to_vec()), ..media("a", None, &sdp(CALLER)) };
    world.ask(&Request::Offer(branch.clone()));
    let answer = Media { to_tag: Some(b"c".to_vec()), sdp: sdp(CALLEE).into_bytes(), ..branch };
    let answered = Sdp::from(world.ask(&Request::Answer(answer)));
    assert_eq!(world.speak(CALLER, &answered), None, "and so is the caller in another branch");
}

#[test]
fn a_block_teaches_nobody_new() {
    let mut world = World::new();
    let (offered, answered) = world.call();
    world.speak(CALLER, &answered);
    world.wait(10_000);
    world.speak(CALLER, &answered);
    world.block(of("b", block(Blockable::Media)));
    world.wait(1_000);
    assert_eq!(world.speak("203.0.113.66:666", &answered), None, "a stranger after a block is a stranger");
    world.block(lifted(of("b", block(Blockable::Media))));
    assert_eq!(world.speak(CALLEE, &offered), Some(at(CALLER)));
}

#[test]
fn a_query_says_who_is_blocked_and_where_each_is_heard_from() {
    let mut world = World::new();
    let (_, answered) = world.call();
    world.block(of("a", block(Blockable::Media)));
    world.speak("203.0.113.7:7000", &answered);
    let asked = |world: &mut World, tag: &str| -> Dictionary {
        let query = Query { call_id: b"call".to_vec(), from_tag: Some(tag.as_bytes().to_vec()), to_tag: None };
        world.ask(&Request::Query(query)).to_dictionary()
    };
    let tags = |body: &Dictionary| body.get("tags").and_then(Value::dictionary).unwrap().clone();
    let known = tags(&asked(&mut world, "a"));
    let first = |value: &Value| value.list().unwrap()[0].dictionary().unwrap().clone();
    let stream = first(known.get("a").and_then(Value::dictionary).unwrap().get("medias").unwrap());
    assert_eq!((stream.integer("blocked media"), stream.integer("blocked DTMF")), (Some(1), None));
    let rtp = first(stream.get("streams").unwrap());
    let endpoint = rtp.get("endpoint").and_then(Value::dictionary).unwrap();
    assert_eq!((endpoint.text("address"), endpoint.integer("port")), (Some(&b"203.0.113.7"[..]), Some(7_000)));
    assert_eq!(rtp.get("stats").and_then(Value::dictionary).unwrap().integer("errors"), Some(1));
    assert_eq!(known.len(), 2, "both parties of the dialogue");
    assert!(tags(&asked(&mut world, "z")).is_empty());
}
