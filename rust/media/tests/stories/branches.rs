//! Forked calls: one caller, several branches.

use crate::world::{CALLEE, CALLER, Sdp, World, at, media, sdp};
use mediaha_ng::{Delete, Media, Reply, Request};

fn on_branch(branch: &str, media: Media) -> Media {
    Media { via_branch: Some(branch.as_bytes().to_vec()), ..media }
}

#[test]
fn each_branch_has_ports_of_its_own() {
    let mut world = World::new();
    let one = Sdp::from(world.ask(&Request::Offer(on_branch("z1", media("a", None, &sdp(CALLER))))));
    let two = Sdp::from(world.ask(&Request::Offer(on_branch("z2", media("a", None, &sdp(CALLER))))));
    assert_ne!(one.rtp(0), two.rtp(0));
    let answer = on_branch("z1", media("a", Some("b"), &sdp(CALLEE)));
    let answered = Sdp::from(world.ask(&Request::Answer(answer)));
    assert_eq!(world.speak(CALLER, &answered), Some(at(CALLEE)));
    assert_eq!(world.speak(CALLEE, &one), Some(at(CALLER)));
    assert_eq!(world.controller.sessions(), 1);
}

#[test]
fn a_branch_that_is_deleted_leaves_the_others() {
    let mut world = World::new();
    for branch in ["z1", "z2"] {
        world.ask(&Request::Offer(on_branch(branch, media("a", None, &sdp(CALLER)))));
    }
    let delete = |branch: &str| {
        Request::Delete(Delete {
            call_id: b"call".to_vec(),
            from_tag: Some(b"a".to_vec()),
            via_branch: Some(branch.as_bytes().to_vec()),
            ..Delete::default()
        })
    };
    world.ask(&delete("z1"));
    assert_eq!((world.controller.sessions(), world.datapath.open_ports().count()), (1, 2));
    assert!(world.ask(&delete("z1")).is_unknown_call());
    world.ask(&delete("z2"));
    assert_eq!(world.controller.sessions(), 0);
    assert!(world.datapath.is_empty());
}

#[test]
fn a_caller_that_tries_for_ever_crowds_out_its_own_oldest_attempt() {
    let mut world = World::with(30_000..=30_999, |config| config.dialogues_max = 3);
    for attempt in 0..10 {
        let offer = on_branch(&format!("z{attempt}"), media("a", None, &sdp(CALLER)));
        assert!(matches!(world.ask(&Request::Offer(offer)), Reply::Sdp(_)));
    }
    assert_eq!(world.datapath.open_ports().count(), 6);
    world.delete();
    assert!(world.datapath.is_empty());
}

/// A proxy behind us forked the call, and all its branches have our one SDP: whoever answers last is connected.
#[test]
fn of_two_callees_with_the_same_sdp_the_last_to_answer_is_connected() {
    let mut world = World::new();
    world.offer("a", None, &sdp(CALLER));
    world.answer("a", "b1", &sdp("198.51.100.50:9000"));
    let answered = world.answer("a", "b2", &sdp(CALLEE));
    assert_eq!(world.speak(CALLER, &answered), Some(at(CALLEE)));
    assert_eq!(world.datapath.open_ports().count(), 2);
}
