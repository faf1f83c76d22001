//! The relay by itself, with real sockets on loopback.

mod common;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use common::{Party, eventually, rtcp, rtp};
use mediaha_media::{
    Cause, Clocks, Component, Datapath, Interface, PortPair, Side, SideCounters, SidePlan, StreamId, StreamPlan,
};
use mediaha_net::relay::{RelayConfig, SocketsDatapath};
use mediaha_net::sys::{monotonic, seed};
use mediaha_net::{Failure, Records};
use mediaha_time::{Duration, Time};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
/// Long enough for every learning window to be over.
const LONG_AGO: Duration = Duration::from_secs(60);

/// A relay without control: the test says what to forward.
struct Relay {
    datapath: SocketsDatapath,
    records: Records,
    streams: u64,
}

/// A stream, its ports and its parties.
struct Call {
    stream: StreamId,
    ports: [PortPair; 2],
    parties: [Party; 2],
    plan: StreamPlan,
}

impl Relay {
    fn new() -> Self {
        Self::with(1, 20_000..=29_999)
    }

    fn with(workers: usize, ports: std::ops::RangeInclusive<u16>) -> Self {
        let records = Records::new().unwrap();
        let coalesce = Duration::from_micros(500);
        let config = RelayConfig { addresses: vec![V4, V6], ports, workers, coalesce, seed: seed().unwrap() };
        let datapath = SocketsDatapath::start(&config, records.clone(), Failure::new().unwrap()).unwrap();
        Self { datapath, records, streams: 0 }
    }

    fn open(&mut self, address: IpAddr) -> PortPair {
        self.datapath.open(&Interface::plain(address)).unwrap()
    }

    /// A call between two new parties at `addresses`, each signalling where it really is.
    fn call(&mut self, addresses: [IpAddr; 2], installed_at: Time) -> Call {
        let parties = addresses.map(Party::at);
        let ports = addresses.map(|address| self.open(address));
        let side = |side: Side| SidePlan {
            local: ports[side.index()],
            remote: Some(parties[side.index()].address()),
            remote_rtcp: None,
            rtcp_mux: false,
            strict_source: false,
            reopen: true,
        };
        let plan = StreamPlan {
            sides: [side(Side::A), side(Side::B)],
            clocks: Clocks::default(),
            wary: false,
            dtls: false,
        };
        self.streams += 1;
        let stream = StreamId(self.streams);
        self.datapath.install(stream, plan, installed_at);
        Call { stream, ports, parties, plan }
    }

    fn counters(&self, call: &Call, side: Side) -> SideCounters {
        self.datapath.counters(call.stream).unwrap()[side.index()]
    }

    /// Sends one packet from either party and sees it arrive at the other one, from the port that it talks to.
    fn talks_both_ways(call: &Call, sequence: u16) {
        for side in Side::BOTH {
            let (from, to) = (&call.parties[side.index()], &call.parties[side.other().index()]);
            from.send(&rtp(sequence), call.ports[side.index()].rtp);
            assert_eq!(to.hear(), (rtp(sequence), call.ports[side.other().index()].rtp));
        }
    }
}

#[test]
fn packets_go_both_ways_within_and_between_the_address_families() {
    let mut relay = Relay::new();
    for addresses in [[V4, V4], [V6, V6], [V4, V6]] {
        let call = relay.call(addresses, monotonic());
        Relay::talks_both_ways(&call, 1);
        assert_eq!(relay.counters(&call, Side::A).packets, 1);
        assert_eq!(relay.counters(&call, Side::B).bytes, 172);
    }
}

#[test]
fn packets_that_came_before_the_plan_are_forwarded_in_order() {
    let mut relay = Relay::new();
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

/// Waits until the relay's socket at `port` hears its party only.
fn connected(port: SocketAddr) {
    let needle = format!(":{:04X}", port.port());
    eventually("the relay's socket is connected", || {
        let sockets = std::fs::read_to_string("/proc/net/udp").unwrap();
        // The fields are a number, the local and the remote address, and the state: 1 is connected.
        sockets.lines().any(|line| {
            let mut fields = line.split_whitespace().skip(1);
            fields.next().is_some_and(|local| local.ends_with(&needle)) && fields.nth(1) == Some("01")
        })
    });
}

#[test]
fn a_stranger_is_counted_too_when_the_socket_hears_one_party_only() {
    let mut relay = Relay::new();
    let call = relay.call([V4, V4], monotonic() - LONG_AGO);
    Relay::talks_both_ways(&call, 1);
    connected(call.ports[0].rtp);
    let stranger = Party::at(V4);
    for round in 2..50 {
        stranger.send(&rtp(666), call.ports[0].rtp);
        Relay::talks_both_ways(&call, round);
    }
    eventually("all counted", || relay.counters(&call, Side::A).dropped(Cause::Stranger) == 48);
    assert!(call.parties[1].hears_nothing() && stranger.hears_nothing());
}

#[test]
fn a_flood_of_strangers_is_counted_to_the_last_packet_and_costs_none_of_the_partys() {
    let mut relay = Relay::new();
    let call = relay.call([V4, V4], monotonic() - LONG_AGO);
    Relay::talks_both_ways(&call, 1);
    connected(call.ports[0].rtp);
    let stranger = Party::at(V4);
    for round in 2..102 {
        (0..200).for_each(|_| stranger.send(&rtp(666), call.ports[0].rtp));
        Relay::talks_both_ways(&call, round);
    }
    eventually("all counted", || relay.counters(&call, Side::A).dropped(Cause::Stranger) == 20_000);
    assert_eq!(relay.counters(&call, Side::A).packets, 101);
}

#[test]
fn rtcp_takes_the_odd_ports_or_the_even_ones_when_multiplexed() {
    let mut relay = Relay::new();
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

#[test]
fn a_stranger_is_dropped_and_counted() {
    let mut relay = Relay::new();
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

#[test]
fn a_party_that_moves_is_heard_at_once_though_its_old_place_was_certain() {
    let mut relay = Relay::new();
    let mut call = relay.call([V4, V4], monotonic() - LONG_AGO);
    Relay::talks_both_ways(&call, 1);
    connected(call.ports[0].rtp);
    call.parties[0] = Party::at(V4);
    call.plan.sides[0].remote = Some(call.parties[0].address());
    relay.datapath.install(call.stream, call.plan, monotonic());
    eventually("the new party is heard", || {
        call.parties[0].send(&rtp(3), call.ports[0].rtp);
        !call.parties[1].hears_nothing()
    });
}

#[test]
fn a_party_whose_port_is_closed_neither_stops_nor_spins_the_worker() {
    let mut relay = Relay::new();
    let mut call = relay.call([V4, V4], monotonic() - LONG_AGO);
    Relay::talks_both_ways(&call, 1);
    let address = call.parties[1].address();
    call.parties[1] = Party::at(V4);
    let mut sequence = 1;
    eventually("the connected socket is told", || {
        sequence += 1;
        call.parties[0].send(&rtp(sequence), call.ports[0].rtp);
        relay.datapath.tallies()[0].refused > 3
    });
    eventually("all sent", || relay.counters(&call, Side::A).packets == u64::from(sequence));
    let wakeups = relay.datapath.tallies()[0].wakeups;
    std::thread::sleep(Duration::from_millis(100));
    let idle = relay.datapath.tallies()[0].wakeups - wakeups;
    assert!(idle < 10, "woke up {idle} times in 100 ms without a packet");

    call.parties[1] = Party(UdpSocket::bind(address).unwrap());
    eventually("heard again", || {
        sequence += 1;
        call.parties[0].send(&rtp(sequence), call.ports[0].rtp);
        !call.parties[1].hears_nothing()
    });
}

#[test]
fn two_workers_share_the_streams_and_keep_the_order_in_each() {
    let mut relay = Relay::with(2, 20_000..=29_999);
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
    eventually("half of the work each", || relay.datapath.tallies().iter().all(|tally| tally.sent == 800));
}

#[test]
fn ports_that_others_hold_are_passed_over_until_none_is_left() {
    // Six ports that are free now; the middle pair's RTCP port is taken by somebody else.
    let base = (20_000..29_990)
        .step_by(6)
        .find(|base| (*base..base + 6).all(|port| UdpSocket::bind((V4, port)).is_ok()))
        .unwrap();
    let _other_program = UdpSocket::bind((V4, base + 3)).unwrap();
    let mut relay = Relay::with(1, base..=base + 5);
    let mut opened = [relay.open(V4).rtp.port(), relay.open(V4).rtp.port()];
    opened.sort_unstable();
    assert_eq!(opened, [base, base + 4]);
    assert!(relay.datapath.open(&Interface::plain(V4)).is_err());
    let records = relay.records.take();
    assert_eq!(records.iter().map(|record| record.event).collect::<Vec<_>>(), ["ports_exhausted"]);
    assert_eq!(relay.datapath.load().ports_open, 4);

    let pair = SocketAddr::new(V4, base);
    relay.datapath.close(PortPair { rtp: pair, rtcp: SocketAddr::new(V4, base + 1) });
    assert_eq!(relay.open(V4).rtp, pair, "rather a port that has just been freed than none");
}

#[test]
fn the_components_have_the_ports_that_the_plan_says() {
    let mut relay = Relay::new();
    let pair = relay.open(V6);
    assert_eq!(pair.rtp.port() % 2, 0);
    assert_eq!(pair.rtcp.port(), pair.rtp.port() + 1);
    assert_eq!((Component::Rtp.index(), Component::Rtcp.index()), (0, 1));
}
