//! A server dies, and its successor goes on from what was written down.

use mediaha_media::testing::TableDatapath;
use mediaha_media::{Controller, ControllerConfig, Unadoptable, Written};
use mediaha_ng::{Block, Blockable, Named, Reply, Request};
use mediaha_time::Time;
use proptest::prelude::*;

use crate::world::{CALLEE, CALLER, STRANGER, World, sdp};

/// A world in which changes are written down as they happen, each in place of the one before.
fn world() -> World {
    let mut world = World::new();
    world.controller.note_changes();
    world
}

fn written(world: &World, call_ids: &[&[u8]]) -> Written {
    let calls = call_ids.iter().filter_map(|id| world.controller.written_call(id)).collect();
    Written { ledger: world.controller.written_ledger(), calls }
}

fn config() -> ControllerConfig {
    let interfaces = ["pub/10.0.0.1!203.0.113.1", "pub/2001:db8::1", "priv/192.168.0.1"];
    ControllerConfig::new(interfaces.map(|text| text.parse().unwrap()).to_vec(), b"instance".to_vec())
}

/// The same world with a successor in the place of the server that was killed.
fn succeed(world: World, written: &Written) -> World {
    let mut datapath = world.datapath.killed();
    let controller = Controller::adopt(config(), written, &mut datapath, world.now).unwrap();
    World { controller, datapath, ..world }
}

#[test]
fn a_call_goes_on_as_if_nothing_had_happened() {
    let mut world = world();
    let (offered, answered) = world.call();
    world.speak(CALLER, &answered).unwrap();
    world.speak(CALLEE, &offered).unwrap();
    world.wait(4_000);
    let before = world.query();
    let written = written(&world, &[b"call"]);
    let mut world = succeed(world, &written);
    assert_eq!(world.query(), before, "tags, ports, counters, times");
    assert_eq!(world.speak(CALLER, &answered), Some(CALLEE.parse().unwrap()));
    assert_eq!(world.speak(STRANGER, &answered), None, "what was learnt is not learnt anew");
    let again = world.offer("b", Some("a"), &sdp(CALLEE));
    assert_eq!(again.rtp(0), answered.rtp(0), "a further offer finds the call and its ports");
    world.delete();
    assert!(world.datapath.is_empty());
}

#[test]
fn why_packets_go_the_way_they_go_is_still_known() {
    let mut datapath = TableDatapath::new(30_000..=30_999);
    let reason = "it costs least".to_owned();
    let first = Controller::new(ControllerConfig { datapath_reason: reason.clone(), ..config() });
    let left = Written { ledger: first.written_ledger(), calls: Vec::new() };
    let second = Controller::adopt(config(), &left, &mut datapath, Time::ZERO).unwrap();
    assert_eq!(second.datapath_reason(), reason);
}

#[test]
fn who_was_silenced_stays_so_and_can_be_heard_again() {
    let mut world = world();
    let (offered, answered) = world.call();
    let block = |party: Option<Named>, lifted: bool| {
        let (call_id, what) = (b"call".to_vec(), Blockable::Media);
        Request::Block(Block { call_id, what, lifted, party, to_tag: None, all: false })
    };
    let callee = || Some(Named::Tag(b"b".to_vec()));
    world.ask(&block(callee(), false));
    world.ask(&block(None, false));
    let written = written(&world, &[b"call"]);
    let mut world = succeed(world, &written);
    assert_eq!((world.speak(CALLER, &answered), world.speak(CALLEE, &offered)), (None, None));
    world.ask(&block(None, true));
    assert!(world.speak(CALLER, &answered).is_some());
    assert_eq!(world.speak(CALLEE, &offered), None, "that it was asked for the one party is not forgotten");
    world.ask(&block(callee(), true));
    assert!(world.speak(CALLEE, &offered).is_some());
}

#[test]
fn a_successor_ends_calls_when_its_predecessor_would_have() {
    let mut world = world();
    let (_, answered) = world.call();
    world.speak(CALLER, &answered);
    world.wait(30_000);
    let written = written(&world, &[b"call"]);
    let mut world = succeed(world, &written);
    world.wait(29_000);
    assert!(world.tick().is_empty());
    world.wait(1_100);
    assert_eq!(world.tick().len(), 1);
    assert!(world.datapath.is_empty());
}

#[test]
fn names_of_streams_and_sums_of_ended_calls_go_on() {
    let mut world = world();
    let (_, answered) = world.call();
    world.speak(CALLER, &answered);
    world.delete();
    let before = world.controller.statistics(&world.datapath);
    let nothing = written(&world, &[]);
    let mut world = succeed(world, &nothing);
    assert_eq!(world.controller.statistics(&world.datapath), before);
    world.call();
    let (id, _) = world.datapath.plans().next().unwrap();
    assert_eq!(id.0, 2, "the name of the ended stream is not used again");
}

#[test]
fn what_changes_is_told_once() {
    let mut world = world();
    world.call();
    assert!(world.controller.take_changed().iter().all(|id| id == b"call"));
    assert!(world.controller.take_changed().is_empty());
    world.query();
    world.tick();
    assert!(world.controller.take_changed().is_empty(), "a question changes nothing");
    world.delete();
    assert_eq!(world.controller.take_changed().last().map(Vec::as_slice), Some(&b"call"[..]));
    assert_eq!(world.controller.written_call(b"call"), None);
}

#[test]
fn what_contradicts_itself_is_not_adopted() {
    let mut world = world();
    world.call();
    let fine = written(&world, &[b"call"]);
    let adopt = |written: &Written, datapath: TableDatapath| {
        let mut datapath = datapath;
        Controller::adopt(config(), written, &mut datapath, world.now).map(drop).unwrap_err()
    };
    let twice = Written { calls: [fine.calls.clone(), fine.calls.clone()].concat(), ..fine.clone() };
    assert_eq!(adopt(&twice, TableDatapath::new(30_000..=30_999)), Unadoptable::Twice);
    assert_eq!(adopt(&fine, TableDatapath::new(40_000..=40_999)), Unadoptable::Ports);
    let other = Written { ledger: Vec::new(), ..fine.clone() };
    assert_eq!(adopt(&other, TableDatapath::new(30_000..=30_999)), Unadoptable::Ledger);
    let mut elsewhere = config();
    elsewhere.interfaces.truncate(1);
    elsewhere.interfaces[0].local = "10.0.0.9".parse().unwrap();
    let mut datapath = TableDatapath::new(30_000..=30_999);
    let refused = Controller::adopt(elsewhere, &fine, &mut datapath, world.now).map(drop);
    assert_eq!(refused, Err(Unadoptable::Call));
    assert!(datapath.is_empty());
}

proptest! {
    /// The checksum around the bytes is another one's work; here no bytes may do harm.
    #[test]
    fn a_call_that_is_cut_is_refused_and_one_that_is_changed_breaks_nothing(
        cut in any::<usize>(),
        flip in any::<usize>(),
        bit in 0_u8..8,
    ) {
        let mut world = world();
        world.call();
        let whole = written(&world, &[b"call"]);
        let (mut short, mut changed) = (whole.clone(), whole);
        let length = short.calls[0].len();
        short.calls[0].truncate(cut % length);
        changed.calls[0][flip % length] ^= 1 << bit;
        let mut datapath = TableDatapath::new(30_000..=30_999);
        let refused = Controller::adopt(config(), &short, &mut datapath, world.now).map(drop);
        prop_assert_eq!(refused, Err(Unadoptable::Call));
        let _ = Controller::adopt(config(), &changed, &mut datapath, world.now);
    }
}

#[test]
fn a_call_that_only_rings_is_answered_by_the_successor() {
    let mut world = world();
    let offered = world.offer("a", None, &sdp(CALLER));
    let written = written(&world, &[b"call"]);
    let mut world = succeed(world, &written);
    let answered = world.answer("a", "b", &sdp(CALLEE));
    assert_eq!(world.speak(CALLEE, &offered), Some(CALLER.parse().unwrap()));
    assert_eq!(world.speak(CALLER, &answered), Some(CALLEE.parse().unwrap()));
    assert!(matches!(world.delete(), Reply::Done(_)));
}
