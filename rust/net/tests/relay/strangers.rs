//! Packets of somebody who is no party: none of them is forwarded, each is counted.

use std::net::UdpSocket;
use std::thread;

use mediaha_media::{Cause, Side};
use mediaha_net::relay::DatapathChoice;
use mediaha_net::sys::monotonic;
use mediaha_time::Duration;

use crate::common::{Party, eventually, rtcp, rtp};
use crate::world::{Call, LONG_AGO, Relay, V4, V6, certain, certain_of_host};

stories! {
    strangers_at_every_port_with_whatever_they_send_cost_no_call_a_packet,
    a_stranger_from_the_partys_host_is_none_until_the_party_is_heard,
    a_stranger_is_dropped_and_counted,
    a_stranger_is_counted_too_when_a_party_is_certain,
    a_flood_of_strangers_is_counted_to_the_last_packet_and_costs_none_of_the_partys,
    a_silent_party_behind_a_nat_keeps_its_place_in_a_flood_when_its_call_is_refreshed,
    a_port_of_the_relay_itself_is_a_party_only_where_it_was_named,
}

fn a_stranger_is_counted_too_when_a_party_is_certain(choice: DatapathChoice) {
    let mut relay = Relay::new(choice);
    let call = relay.call([V4, V4], monotonic() - LONG_AGO);
    Relay::talks_both_ways(&call, 1);
    certain(choice, call.ports[0].rtp);
    let stranger = Party::at(V4);
    for round in 2..50 {
        stranger.send(&rtp(666), call.ports[0].rtp);
        Relay::talks_both_ways(&call, round);
    }
    eventually("all counted", || relay.counters(&call, Side::A).dropped(Cause::Stranger) == 48);
    assert!(call.parties[1].hears_nothing() && stranger.hears_nothing());
}

fn a_flood_of_strangers_is_counted_to_the_last_packet_and_costs_none_of_the_partys(choice: DatapathChoice) {
    let mut relay = Relay::new(choice);
    let call = relay.call([V4, V4], monotonic() - LONG_AGO);
    Relay::talks_both_ways(&call, 1);
    certain(choice, call.ports[0].rtp);
    let stranger = Party::at(V4);
    for round in 2..102 {
        (0..200).for_each(|_| stranger.send(&rtp(666), call.ports[0].rtp));
        Relay::talks_both_ways(&call, round);
    }
    eventually("all counted", || relay.counters(&call, Side::A).dropped(Cause::Stranger) == 20_000);
    assert_eq!(relay.counters(&call, Side::A).packets, 101);
}

fn strangers_at_every_port_with_whatever_they_send_cost_no_call_a_packet(choice: DatapathChoice) {
    let mut relay = Relay::new(choice);
    let calls: Vec<Call> =
        [V4, V6].into_iter().map(|address| relay.call([address; 2], monotonic() - LONG_AGO)).collect();
    let jumbo = vec![0x80; 60_000];
    let odd: [&[u8]; 6] = [b"", b"\x80", &[0x16; 40], &rtcp(666), &rtp(666), &jumbo];
    for address in [V4, V6] {
        let stranger = Party::at(address);
        let call = &calls[usize::from(address == V6)];
        Relay::talks_both_ways(call, 1);
        call.ports.iter().for_each(|pair| certain(choice, pair.rtp));
        for sequence in 2..102 {
            for bytes in odd.into_iter().cycle().take(24) {
                // What is never heard of the party is its RTCP.
                call.plan.ports().into_iter().for_each(|port| stranger.send(bytes, port));
            }
            Relay::talks_both_ways(call, sequence);
        }
        let dropped = |relay: &Relay, side| relay.counters(call, side).dropped.iter().sum::<u64>();
        let mut sequence = 102..;
        eventually("all counted", || {
            // Sockets are looked at when they hear something.
            Relay::talks_both_ways(call, sequence.next().unwrap());
            // The kernel forwards even while the worker, and with it the queue of what is none of the calls', is behind.
            dropped(&relay, Side::A) + dropped(&relay, Side::B) == 9_600
        });
        assert!(relay.counters(call, Side::A).packets > 101);
    }
}

fn a_stranger_from_the_partys_host_is_none_until_the_party_is_heard(choice: DatapathChoice) {
    let mut relay = Relay::new(choice);
    let call = relay.call([V4, V4], monotonic() - LONG_AGO);
    let other = UdpSocket::bind("127.0.0.2:0").unwrap();
    certain_of_host(choice);
    other.send_to(&rtp(666), call.ports[0].rtp).unwrap();
    eventually("counted", || relay.counters(&call, Side::A).dropped(Cause::Stranger) == 1);
    // Behind the window a party may still show itself from a port that it did not announce, but from no other host.
    let unannounced = Party::at(V4);
    unannounced.send(&rtp(1), call.ports[0].rtp);
    assert_eq!(call.parties[1].hear().0, rtp(1));
}

fn a_silent_party_behind_a_nat_keeps_its_place_in_a_flood_when_its_call_is_refreshed(choice: DatapathChoice) {
    let mut relay = Relay::new(choice);
    let mut call = relay.call([V4, V4], monotonic());
    call.plan.sides[0].remote = Some("127.7.7.7:4000".parse().unwrap());
    let [signalled, proven] = [Duration::from_secs(2), Duration::from_millis(300)];
    relay.datapath.install(call.stream, call.plan, monotonic() - signalled);
    Relay::talks_both_ways(&call, 1);
    thread::sleep(proven);
    Relay::talks_both_ways(&call, 2);
    // Until the window is over, and the party silent.
    thread::sleep(Duration::from_millis(1_200));
    relay.datapath.install(call.stream, call.plan, monotonic());
    let stranger = UdpSocket::bind("127.0.0.2:0").unwrap();
    let mut forged = rtp(3);
    forged[8..12].copy_from_slice(b"evil");
    for _ in 0..50 {
        stranger.send_to(&forged, call.ports[0].rtp).unwrap();
    }
    eventually("counted", || relay.counters(&call, Side::A).dropped(Cause::Stranger) == 50);
    assert!(call.parties[1].hears_nothing());
    call.parties[1].send(&rtp(3), call.ports[1].rtp);
    assert_eq!(call.parties[0].hear().0, rtp(3));
    Relay::talks_both_ways(&call, 4);
}

fn a_stranger_is_dropped_and_counted(choice: DatapathChoice) {
    let mut relay = Relay::new(choice);
    let call = relay.call([V4, V4], monotonic());
    Relay::talks_both_ways(&call, 1);
    let stranger = Party::at(V4);
    stranger.send(&rtp(666), call.ports[0].rtp);
    stranger.send(b"no RTP at all", call.ports[0].rtp);
    eventually("counted", || relay.counters(&call, Side::A).dropped(Cause::Malformed) == 1);
    assert_eq!(relay.counters(&call, Side::A).dropped(Cause::Stranger), 1);
    assert!(call.parties[1].hears_nothing());
    Relay::talks_both_ways(&call, 2);
}

fn a_port_of_the_relay_itself_is_a_party_only_where_it_was_named(choice: DatapathChoice) {
    let mut relay = Relay::new(choice);
    for address in [V4, V6] {
        let [mut call, mut other] = [(); 2].map(|()| relay.call([address, address], monotonic()));
        // Somebody says that he listens where another call's callee, who has not spoken yet, is expected.
        other.plan.sides[1].remote = Some(call.ports[1].rtp);
        relay.datapath.install(other.stream, other.plan, monotonic());
        other.parties[0].send(&rtp(1), other.ports[0].rtp);
        eventually("counted", || relay.counters(&call, Side::B).dropped(Cause::Stranger) == 1);
        assert!(call.parties[0].hears_nothing());
        // A call that comes back to the relay is named on both of its ways.
        call.plan.sides[1].remote = Some(other.ports[1].rtp);
        relay.datapath.install(call.stream, call.plan, monotonic());
        other.parties[0].send(&rtp(2), other.ports[0].rtp);
        assert_eq!(call.parties[0].hear(), (rtp(2), call.ports[0].rtp));
        call.parties[0].send(&rtp(3), call.ports[0].rtp);
        assert_eq!(other.parties[0].hear(), (rtp(3), other.ports[0].rtp));
    }
}
