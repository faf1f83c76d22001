//! Calls under way, past the relay's workers.

use mediaha_media::{Cause, Side};
use mediaha_net::relay::{self, DatapathChoice, RelayConfig};
use mediaha_net::sys::{monotonic, seed};
use mediaha_net::{Failure, Records};
use mediaha_time::Duration;

use crate::common::{Party, eventually, ports, rtcp, rtp};
use crate::world::{Call, DSCP, LONG_AGO, Relay, V4, V6, kernel_forwards};

stories! {
    reports_of_a_call_under_way_go_their_way_and_are_counted,
}

/// Lets both parties talk until the kernel forwards what they say; returns the next number.
fn established(relay: &Relay, call: &Call, first: u16) -> u16 {
    let mut next = first;
    eventually("the kernel forwards", || {
        Relay::talks_both_ways(call, next);
        next += 1;
        relay.datapath.flows() == Some(2)
    });
    next
}

#[test]
fn an_established_flow_is_forwarded_by_the_kernel_and_counted_as_ever() {
    if !kernel_forwards() {
        return;
    }
    for address in [V4, V6] {
        let mut relay = Relay::new(DatapathChoice::Kernel);
        let mut call = relay.call([address, address], monotonic() - LONG_AGO);
        let next = established(&relay, &call, 1);
        let (received, before) = (relay.tally().received, monotonic());
        // Numbers 50 and 51 are lost, 70 comes twice.
        let numbers = (next..100).filter(|number| !(50..52).contains(number)).chain([70]);
        for number in numbers {
            Relay::talks_both_ways(&call, number);
        }
        assert_eq!(relay.tally().received, received, "nothing went up");
        for side in Side::BOTH {
            let counters = relay.counters(&call, side);
            assert_eq!((counters.packets, counters.bytes), (98, 98 * 172));
            assert_eq!((counters.lost, counters.ssrc, counters.ssrc_changes), (1, Some(0x1234_5678), 0));
            assert!(counters.last_seen.is_some_and(|seen| seen > before));
            assert!(counters.jitter_ns > 0);
        }
        // A stranger is dropped and counted there; what looks like nothing goes up, as does what is too long for one packet.
        let stranger = Party::at(address);
        stranger.send(&rtp(1), call.ports[0].rtp);
        stranger.send(b"no RTP at all", call.ports[0].rtp);
        // The second one may be a stranger's to what is underneath, before it is looked at.
        eventually("counted", || relay.counters(&call, Side::A).dropped.iter().sum::<u64>() == 2);
        // A party that is told of another one is recalled at once, and its account goes on.
        call.plan.sides[1].remote = Some(stranger.address());
        relay.datapath.install(call.stream, call.plan, monotonic());
        let mut number = 100;
        eventually("the other party hears", || {
            number += 1;
            call.parties[0].send(&rtp(number), call.ports[0].rtp);
            !stranger.hears_nothing()
        });
        let (heard, from) = stranger.hear();
        assert!(from == call.ports[1].rtp && (101..=number).any(|number| heard == rtp(number)));
        assert_eq!(relay.counters(&call, Side::A).lost, 2, "100 has not come");
        assert_eq!(relay.datapath.flows(), Some(0), "the window is open again");
    }
}

#[test]
fn a_server_of_one_address_family_forwards_in_the_kernel_too() {
    if !kernel_forwards() {
        return;
    }
    for address in [V4, V6] {
        let (name, seed, ports) = ("relay-test".to_owned(), seed().unwrap(), ports(4));
        let (coalesce, addresses) = (Duration::ZERO, vec![address]);
        let config = RelayConfig { name, addresses, ports, workers: 1, coalesce, dscp: DSCP, seed };
        let (records, failure) = (Records::new().unwrap(), Failure::new().unwrap());
        let (datapath, why) = relay::start(DatapathChoice::Kernel, &config, &records, &failure).unwrap();
        assert_eq!((datapath.name(), datapath.flows()), ("kernel", Some(0)), "{why}");
        assert!(!why.contains("refused"), "{why}");
    }
}

#[test]
fn a_packet_that_is_not_for_the_kernel_takes_the_flow_up_and_back() {
    if !kernel_forwards() {
        return;
    }
    let mut relay = Relay::new(DatapathChoice::Kernel);
    let call = relay.call([V6, V6], monotonic() - LONG_AGO);
    let next = established(&relay, &call, 1);
    let mut long = rtp(next);
    long.resize(40_000, 0xa5);
    call.parties[0].send(&long, call.ports[0].rtp);
    let mut buffer = vec![0; 70_000];
    let (heard, _) = call.parties[1].0.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..heard], long);
    for number in next + 1..next + 20 {
        Relay::talks_both_ways(&call, number);
    }
    assert_eq!(relay.counters(&call, Side::A).lost, 0);
    assert_eq!(relay.counters(&call, Side::A).packets, u64::from(next) + 19);
}

#[test]
fn a_flood_keeps_its_order_while_the_kernel_takes_over() {
    if !kernel_forwards() {
        return;
    }
    let mut relay = Relay::new(DatapathChoice::Kernel);
    for round in 0..40 {
        let call = relay.call([V4, V4], monotonic() - LONG_AGO);
        for sequence in 0..60 {
            call.parties[0].send(&rtp(sequence), call.ports[0].rtp);
        }
        for sequence in 0..60 {
            assert_eq!(call.parties[1].hear().0, rtp(sequence), "in round {round}");
        }
        relay.datapath.remove(call.stream);
        call.ports.into_iter().for_each(|pair| relay.datapath.close(pair));
    }
}

fn reports_of_a_call_under_way_go_their_way_and_are_counted(choice: DatapathChoice) {
    let mut relay = Relay::new(choice);
    for address in [V4, V6] {
        for mux in [[false, false], [true, true], [true, false]] {
            let mut call = relay.call([address; 2], monotonic() - LONG_AGO);
            let reporters = [Party::at(address), Party::at(address)];
            for side in Side::BOTH {
                call.plan.sides[side.index()].rtcp_mux = mux[side.index()];
                call.plan.sides[side.index()].remote_rtcp = Some(reporters[side.index()].address());
                // As if it had been so from the beginning.
                call.plan.sides[side.index()].reopen = false;
            }
            relay.datapath.install(call.stream, call.plan, monotonic() - LONG_AGO);
            let who = |side: Side| {
                if mux[side.index()] { &call.parties[side.index()] } else { &reporters[side.index()] }
            };
            let port = |side: Side| {
                if mux[side.index()] { call.ports[side.index()].rtp } else { call.ports[side.index()].rtcp }
            };
            let stranger = Party::at(address);
            for number in 0..40_u16 {
                Relay::talks_both_ways(&call, number);
                for side in Side::BOTH {
                    let report = rtcp(number.into());
                    who(side).send(&report, port(side));
                    assert_eq!(
                        who(side.other()).hear(),
                        (report, port(side.other())),
                        "{address} {mux:?} {number}"
                    );
                }
                if number >= 20 {
                    stranger.send(&rtcp(666), port(Side::A));
                }
            }
            eventually("counted", || relay.counters(&call, Side::A).dropped(Cause::Stranger) == 20);
            for side in Side::BOTH {
                let counters = relay.counters(&call, side);
                assert_eq!((counters.packets, counters.rtcp_packets, counters.rtcp_bytes), (40, 40, 320));
                assert_eq!((counters.bytes, counters.lost), (40 * 172, 0));
            }
            assert!(reporters.iter().chain([&stranger]).all(Party::hears_nothing));
        }
    }
}

#[test]
fn the_next_call_at_the_same_ports_has_nothing_of_the_flows_before() {
    if !kernel_forwards() {
        return;
    }
    for address in [V4, V6] {
        let mut relay = Relay::with(DatapathChoice::Kernel, 1, ports(4));
        let former = relay.call([address; 2], monotonic() - LONG_AGO);
        established(&relay, &former, 1);
        relay.datapath.remove(former.stream);
        former.ports.into_iter().for_each(|pair| relay.datapath.close(pair));
        let mut call = relay.call([address; 2], monotonic() - LONG_AGO);
        // The former parties are on the same host, which would be good enough for one that was not heard yet.
        call.plan.sides.iter_mut().for_each(|side| side.strict_source = true);
        relay.datapath.install(call.stream, call.plan, monotonic());
        assert!(call.ports.iter().all(|pair| former.ports.contains(pair)), "there are no others");
        for number in 0..30 {
            former
                .parties
                .iter()
                .for_each(|party| former.ports.iter().for_each(|pair| party.send(&rtp(666), pair.rtp)));
            Relay::talks_both_ways(&call, number);
        }
        assert!(former.parties.iter().chain(&call.parties).all(Party::hears_nothing));
        assert_eq!((relay.counters(&call, Side::A).packets, relay.counters(&call, Side::A).lost), (30, 0));
    }
}
