//! Calls under way, past the relay's workers.

use mediaha_media::Side;
use mediaha_net::relay::{self, DatapathChoice, RelayConfig};
use mediaha_net::sys::{monotonic, seed};
use mediaha_net::{Failure, Records};
use mediaha_time::Duration;

use crate::common::{Party, eventually, ports, rtp};
use crate::world::{Call, DSCP, LONG_AGO, Relay, V4, V6, kernel_forwards};

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
        eventually("the other party hears", || {
            call.parties[0].send(&rtp(101), call.ports[0].rtp);
            !stranger.hears_nothing()
        });
        assert_eq!(stranger.hear(), (rtp(101), call.ports[1].rtp));
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
