//! What parties hear of each other.

use std::net::UdpSocket;

use mediaha_media::{Cause, Content, Side};
use mediaha_net::relay::DatapathChoice;
use mediaha_net::sys::monotonic;
use mediaha_time::Duration;

use crate::common::{Party, eventually, ports, rtcp, rtp};
use crate::world::{Call, LONG_AGO, Relay, V4, V6, certain};

stories! {
    packets_go_both_ways_within_and_between_the_address_families,
    packets_that_came_before_the_plan_are_forwarded_in_order,
    rtcp_takes_the_odd_ports_or_the_even_ones_when_multiplexed,
    a_party_that_moves_is_heard_at_once_though_its_old_place_was_certain,
    a_party_whose_port_is_closed_neither_stops_nor_spins_the_worker,
    two_workers_share_the_streams_and_keep_the_order_in_each,
    datagrams_of_every_length_arrive_whole_with_a_right_checksum,
    a_call_that_becomes_a_fax_and_a_conversation_again_is_forwarded_all_along,
    a_call_whose_ports_change_is_heard_at_the_new_ones_only,
    a_burst_longer_than_any_batch_keeps_its_order,
    a_packet_that_has_no_way_to_its_party_is_dropped_with_a_cause,
}

fn packets_go_both_ways_within_and_between_the_address_families(choice: DatapathChoice) {
    let mut relay = Relay::new(choice);
    for addresses in [[V4, V4], [V6, V6], [V4, V6]] {
        let call = relay.call(addresses, monotonic());
        Relay::talks_both_ways(&call, 1);
        assert_eq!(relay.counters(&call, Side::A).packets, 1);
        assert_eq!(relay.counters(&call, Side::B).bytes, 172);
    }
}

fn packets_that_came_before_the_plan_are_forwarded_in_order(choice: DatapathChoice) {
    let mut relay = Relay::new(choice);
    let mut call = relay.call([V4, V4], monotonic());
    let early = relay.open(V4);
    for sequence in 1..=20 {
        call.parties[0].send(&rtp(sequence), early.rtp);
    }
    call.plan.sides[0].local = early;
    relay.datapath.install(call.stream, call.plan, monotonic());
    relay.datapath.close(call.ports[0]);
    for sequence in 1..=20 {
        assert_eq!(call.parties[1].hear().0, rtp(sequence));
    }
}

fn rtcp_takes_the_odd_ports_or_the_even_ones_when_multiplexed(choice: DatapathChoice) {
    let mut relay = Relay::new(choice);
    let mut call = relay.call([V4, V4], monotonic());
    let control_b = Party::at(V4);
    call.plan.sides[1].remote_rtcp = Some(control_b.address());
    call.plan.sides[0].rtcp_mux = true;
    relay.datapath.install(call.stream, call.plan, monotonic());
    call.parties[0].send(&rtcp(7), call.ports[0].rtp);
    assert_eq!(control_b.hear(), (rtcp(7), call.ports[1].rtcp), "A multiplexes, B does not");
    control_b.send(&rtcp(8), call.ports[1].rtcp);
    assert_eq!(call.parties[0].hear(), (rtcp(8), call.ports[0].rtp));
    assert_eq!(relay.counters(&call, Side::A).rtcp_packets, 1);
}

fn a_party_that_moves_is_heard_at_once_though_its_old_place_was_certain(choice: DatapathChoice) {
    let mut relay = Relay::new(choice);
    let mut call = relay.call([V4, V4], monotonic() - LONG_AGO);
    Relay::talks_both_ways(&call, 1);
    certain(choice, call.ports[0].rtp);
    call.parties[0] = Party::at(V4);
    call.plan.sides[0].remote = Some(call.parties[0].address());
    relay.datapath.install(call.stream, call.plan, monotonic());
    eventually("the new party is heard", || {
        call.parties[0].send(&rtp(3), call.ports[0].rtp);
        !call.parties[1].hears_nothing()
    });
}

fn a_party_whose_port_is_closed_neither_stops_nor_spins_the_worker(choice: DatapathChoice) {
    let mut relay = Relay::new(choice);
    let mut call = relay.call([V4, V4], monotonic() - LONG_AGO);
    Relay::talks_both_ways(&call, 1);
    certain(choice, call.ports[1].rtp);
    let address = call.parties[1].address();
    call.parties[1] = Party::at(V4);
    for sequence in 2..10 {
        call.parties[0].send(&rtp(sequence), call.ports[0].rtp);
        eventually("sent, and the next one too", || match choice {
            DatapathChoice::Kernel => relay.counters(&call, Side::A).packets == u64::from(sequence),
            _ => relay.tally().sent == u64::from(sequence) + 1,
        });
    }
    // Only a connected socket is told.
    eventually("told", || choice != DatapathChoice::Sockets || relay.tally().refused > 3);
    let wakeups = relay.tally().wakeups;
    std::thread::sleep(Duration::from_millis(100));
    let idle = relay.tally().wakeups - wakeups;
    assert!(idle < 10, "woke up {idle} times in 100 ms without a packet");

    call.parties[1] = Party(UdpSocket::bind(address).unwrap());
    call.parties[0].send(&rtp(10), call.ports[0].rtp);
    assert_eq!(call.parties[1].hear().0, rtp(10));
}

fn two_workers_share_the_streams_and_keep_the_order_in_each(choice: DatapathChoice) {
    let mut relay = Relay::with(choice, 2, ports(100));
    let calls: Vec<Call> = (0..8).map(|_| relay.call([V4, V4], monotonic())).collect();
    for burst in 0..20_u16 {
        for call in &calls {
            (0..10).for_each(|place| call.parties[0].send(&rtp(burst * 10 + place), call.ports[0].rtp));
        }
        for call in &calls {
            (0..10).for_each(|place| assert_eq!(call.parties[1].hear().0, rtp(burst * 10 + place)));
        }
    }
    // A worker counts a packet just after it has sent it.
    eventually("half of the work each", || {
        relay.datapath.workers().tallies().iter().all(|tally| tally.sent == 800)
    });
}

fn datagrams_of_every_length_arrive_whole_with_a_right_checksum(choice: DatapathChoice) {
    let mut relay = Relay::new(choice);
    for address in [V4, V6] {
        let call = relay.call([address, address], monotonic());
        // The kernel drops what has a wrong checksum, even on loopback, unless it was made there. Up to the longest datagram of
        // either family, past all lengths at which somebody has to cut it.
        for length in (12..80).chain([171, 172, 173, 548, 549, 1232, 1233, 1472, 1473, 9_000, 65_507]) {
            let mut packet = rtp(u16::try_from(length).unwrap());
            packet.resize(length, 0xa5);
            call.parties[0].send(&packet, call.ports[0].rtp);
            let mut buffer = vec![0; 70_000];
            let (heard, source) = call.parties[1].0.recv_from(&mut buffer).expect("a datagram arrives");
            assert_eq!((source, heard), (call.ports[1].rtp, length));
            assert!(buffer[..heard] == packet, "other bytes than were sent");
        }
    }
}

fn a_call_that_becomes_a_fax_and_a_conversation_again_is_forwarded_all_along(choice: DatapathChoice) {
    let mut relay = Relay::new(choice);
    let mut call = relay.call([V4, V4], monotonic() - LONG_AGO);
    (1..20).for_each(|sequence| Relay::talks_both_ways(&call, sequence));
    certain(choice, call.ports[0].rtp);
    call.plan.content = Content::Datagrams;
    relay.datapath.install(call.stream, call.plan, monotonic());
    for round in 0..50 {
        let page = [0, round, 1, 6, 0xff];
        call.parties[0].send(&page, call.ports[0].rtp);
        assert_eq!(call.parties[1].hear(), (page.to_vec(), call.ports[1].rtp));
    }
    certain(choice, call.ports[0].rtp);
    call.parties[0].send(b"the last page", call.ports[0].rtp);
    assert_eq!(call.parties[1].hear(), (b"the last page".to_vec(), call.ports[1].rtp));
    call.plan.content = Content::Rtp;
    relay.datapath.install(call.stream, call.plan, monotonic());
    (20..40).for_each(|sequence| Relay::talks_both_ways(&call, sequence));
    call.parties[0].send(b"the last page", call.ports[0].rtp);
    assert!(call.parties[1].hears_nothing());
    eventually("counted", || relay.counters(&call, Side::A).packets == 19 + 51 + 20);
}

fn a_call_whose_ports_change_is_heard_at_the_new_ones_only(choice: DatapathChoice) {
    let mut relay = Relay::with(choice, 2, ports(100));
    // Other calls, so that the new ports may well be another worker's.
    let _others: Vec<Call> = (0..3).map(|_| relay.call([V4, V4], monotonic())).collect();
    let mut call = relay.call([V4, V6], monotonic());
    Relay::talks_both_ways(&call, 1);
    let old = call.ports[0];
    call.ports[0] = relay.open(V4);
    call.plan.sides[0].local = call.ports[0];
    relay.datapath.install(call.stream, call.plan, monotonic());
    relay.datapath.close(old);
    Relay::talks_both_ways(&call, 2);
    call.parties[0].send(&rtp(3), old.rtp);
    Relay::talks_both_ways(&call, 4);
    assert_eq!(relay.counters(&call, Side::A).packets, 3);
}

fn a_burst_longer_than_any_batch_keeps_its_order(choice: DatapathChoice) {
    let mut relay = Relay::new(choice);
    let call = relay.call([V4, V4], monotonic());
    for sequence in 0..60 {
        call.parties[0].send(&rtp(sequence), call.ports[0].rtp);
    }
    for sequence in 0..60 {
        assert_eq!(call.parties[1].hear().0, rtp(sequence));
    }
    assert_eq!(relay.counters(&call, Side::A).lost, 0);
}

fn a_packet_that_has_no_way_to_its_party_is_dropped_with_a_cause(choice: DatapathChoice) {
    let mut relay = Relay::new(choice);
    for (address, nowhere) in [(V4, "127.255.255.255:9"), (V6, "[2001:db8::66]:9")] {
        // A machine that has a way to everywhere, if only to a router, knows no such place.
        if Party::at(address).0.send_to(b"nobody", nowhere).is_ok() {
            continue;
        }
        let mut call = relay.call([address, address], monotonic() - LONG_AGO);
        call.plan.sides[1].remote = Some(nowhere.parse().unwrap());
        relay.datapath.install(call.stream, call.plan, monotonic());
        for sequence in 1..=20 {
            call.parties[0].send(&rtp(sequence), call.ports[0].rtp);
        }
        eventually("counted", || relay.counters(&call, Side::A).dropped(Cause::Unsent) == 20);
        let counters = relay.counters(&call, Side::A);
        assert_eq!((counters.packets, counters.bytes), (0, 0), "none is both sent and dropped");
        // As soon as there is one, all is well.
        call.plan.sides[1].remote = Some(call.parties[1].address());
        relay.datapath.install(call.stream, call.plan, monotonic());
        Relay::talks_both_ways(&call, 21);
        assert_eq!(relay.counters(&call, Side::A).packets, 1);
    }
}
