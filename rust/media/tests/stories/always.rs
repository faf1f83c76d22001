//! What must be true whatever clients ask, in whatever order.

use proptest::prelude::*;

use crate::world::{RTP, World, at, media, sdp_with};
use mediaha_media::StreamId;
use mediaha_ng::{Delete, Request};

#[derive(Clone, Debug)]
enum Step {
    Offer { call: u8, from: u8, to: Option<u8>, branch: Option<u8>, streams: Vec<u8> },
    Answer { call: u8, from: u8, to: u8, branch: Option<u8>, streams: Vec<u8> },
    Delete { call: u8, from: Option<u8>, to: Option<u8>, branch: Option<u8>, delay: u32 },
    Packet { port: u16, source: u8 },
    Wait { seconds: u16 },
}

fn step() -> impl Strategy<Value = Step> {
    let call = 0_u8..3;
    let tag = 0_u8..3;
    let streams = proptest::collection::vec(0_u8..5, 1..4);
    let branch = proptest::option::of(0_u8..2);
    prop_oneof![
        4 => (call.clone(), tag.clone(), proptest::option::of(tag.clone()), branch.clone(), streams.clone())
            .prop_map(|(call, from, to, branch, streams)| Step::Offer { call, from, to, branch, streams }),
        4 => (call.clone(), tag.clone(), tag.clone(), branch.clone(), streams)
            .prop_map(|(call, from, to, branch, streams)| Step::Answer { call, from, to, branch, streams }),
        1 => (call, proptest::option::of(tag.clone()), proptest::option::of(tag), branch, 0_u32..3)
            .prop_map(|(call, from, to, branch, delay)| Step::Delete { call, from, to, branch, delay }),
        4 => (0_u16..40, 0_u8..4).prop_map(|(port, source)| Step::Packet { port, source }),
        1 => (0_u16..200).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

fn name(prefix: &str, number: u8) -> Vec<u8> {
    format!("{prefix}{number}").into_bytes()
}

fn sdp_of(tag: u8, streams: &[u8]) -> String {
    let attributes: Vec<_> =
        streams.iter().map(|it| ["", "off", "rtcp-mux", "sendonly", "inactive"][usize::from(*it)]).collect();
    sdp_with(&format!("198.51.100.{tag}:4000"), &attributes)
}

fn take(world: &mut World, step: &Step) {
    match step {
        Step::Offer { call, from, to, branch, streams } => {
            let to = to.map(|to| format!("t{to}"));
            let mut offer = media(&format!("t{from}"), to.as_deref(), &sdp_of(*from, streams));
            offer.call_id = name("call", *call);
            offer.via_branch = branch.map(|branch| name("z", branch));
            world.ask(&Request::Offer(offer));
        }
        Step::Answer { call, from, to, branch, streams } => {
            let mut answer = media(&format!("t{from}"), Some(&format!("t{to}")), &sdp_of(*to, streams));
            answer.call_id = name("call", *call);
            answer.via_branch = branch.map(|branch| name("z", branch));
            world.ask(&Request::Answer(answer));
        }
        Step::Delete { call, from, to, branch, delay } => {
            world.ask(&Request::Delete(Delete {
                call_id: name("call", *call),
                from_tag: from.map(|from| name("t", from)),
                to_tag: to.map(|to| name("t", to)),
                via_branch: branch.map(|branch| name("z", branch)),
                delay_s: Some(*delay),
                fatal: false,
            }));
        }
        Step::Packet { port, source } => {
            let local = std::net::SocketAddr::new([10, 0, 0, 1].into(), 30_000 + port);
            let source = at(&format!("198.51.100.{source}:4000"));
            let _ = world.datapath.packet(local, &RTP, source, world.now);
        }
        Step::Wait { seconds } => {
            world.wait(u64::from(*seconds) * 1_000);
            world.tick();
        }
    }
}

proptest! {
    /// The table of ports panics at a port closed twice, closed under a stream, or shared by two; what is left to
    /// check is that each port belongs to a stream, and that none is left in the end.
    #[test]
    fn ports_never_leak(steps in proptest::collection::vec(step(), 1..60), ports in 0_u16..30) {
        let mut world = World::with(30_000..=30_003 + 2 * ports, |config| config.dialogues_max = 3);
        for step in &steps {
            take(&mut world, step);
            let used = 2 * world.datapath.plans().count();
            prop_assert_eq!(world.datapath.open_ports().count(), used);
        }
        while let Some(at) = world.controller.wake_at() {
            world.now = world.now.max(at);
            world.tick();
        }
        prop_assert_eq!(world.controller.sessions(), 0);
        prop_assert!(world.datapath.is_empty());
    }

    #[test]
    fn deleting_every_call_leaves_nothing(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in &steps {
            take(&mut world, step);
        }
        for call in 0..3 {
            let delete = Delete { call_id: name("call", call), delay_s: Some(0), ..Delete::default() };
            world.ask(&Request::Delete(delete));
        }
        prop_assert!(world.datapath.is_empty());
        prop_assert_eq!(world.controller.wake_at(), None);
    }

    #[test]
    fn no_datagram_breaks_the_server(datagrams in proptest::collection::vec(datagram(), 1..20)) {
        let mut world = World::new();
        for datagram in datagrams {
            let _ = world.controller.handle(&datagram, at("127.0.0.1:2"), &mut world.datapath, world.now);
        }
    }

    #[test]
    fn no_packet_breaks_a_stream(packets in proptest::collection::vec(packet(), 1..50)) {
        let mut world = World::new();
        world.call();
        let ports: Vec<_> = world.datapath.plans().flat_map(|(_, plan)| plan.sides).map(|it| it.local).collect();
        for (bytes, port, odd) in packets {
            let local = if odd { ports[port].rtcp } else { ports[port].rtp };
            prop_assert!(world.datapath.packet(local, &bytes, at("198.51.100.1:4000"), world.now).is_some());
        }
    }

    /// However often it is used, a name of a stream is used once.
    #[test]
    fn streams_are_never_named_twice(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        let mut gone = std::collections::BTreeSet::<StreamId>::new();
        let mut here = std::collections::BTreeSet::<StreamId>::new();
        for step in &steps {
            take(&mut world, step);
            let now: std::collections::BTreeSet<_> = world.datapath.plans().map(|(id, _)| id).collect();
            gone.extend(here.difference(&now));
            prop_assert!(gone.is_disjoint(&now));
            here = now;
        }
    }
}

/// Either noise, or noise behind a valid beginning.
fn datagram() -> impl Strategy<Value = Vec<u8>> {
    let start =
        prop_oneof![Just(""), Just("1 "), Just("1 d"), Just("1 d7:command5:offer"), Just("1 {\"command\":\"")];
    (start, proptest::collection::vec(any::<u8>(), 0..80))
        .prop_map(|(start, noise)| [start.as_bytes(), &noise].concat())
}

fn packet() -> impl Strategy<Value = (Vec<u8>, usize, bool)> {
    let first = prop_oneof![Just(0x80_u8), any::<u8>()];
    let bytes = (first, proptest::collection::vec(any::<u8>(), 0..60))
        .prop_map(|(first, rest)| [&[first][..], &rest].concat());
    (bytes, 0_usize..2, any::<bool>())
}
