//! The relay by itself, with real sockets on loopback.

mod common;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;

use common::{Party, eventually, ports, rtcp, rtp};
use mediaha_media::{
    Cause, Clocks, Component, Datapath, Interface, PortPair, Side, SideCounters, SidePlan, StreamId, StreamPlan,
};
use mediaha_net::relay::{self, DatapathChoice, RelayConfig, RelayError, TallySnapshot};
use mediaha_net::sys::{monotonic, seed};
use mediaha_net::{Failure, Records};
use mediaha_time::{Duration, Time};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
/// Expedited forwarding.
const DSCP: u8 = 46;
/// Long enough for every learning window to be over.
const LONG_AGO: Duration = Duration::from_secs(60);

/// A relay without control: the test says what to forward.
struct Relay {
    datapath: relay::Relay,
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

/// Tells each story of both datapaths; of steered ports only where this machine has them.
macro_rules! stories {
    ($($story:ident),* $(,)?) => {
        mod sockets {
            $(#[test] fn $story() { super::$story(super::DatapathChoice::Sockets); })*
        }
        mod steered {
            $(#[test] fn $story() {
                if super::steers() {
                    super::$story(super::DatapathChoice::Steered);
                }
            })*
        }
        mod kernel {
            $(#[test] fn $story() {
                if super::kernel_forwards() {
                    super::$story(super::DatapathChoice::Kernel);
                }
            })*
        }
    };
}

stories! {
    packets_go_both_ways_within_and_between_the_address_families,
    packets_that_came_before_the_plan_are_forwarded_in_order,
    strangers_at_every_port_with_whatever_they_send_cost_no_call_a_packet,
    a_stranger_from_the_partys_host_is_none_until_the_party_is_heard,
    rtcp_takes_the_odd_ports_or_the_even_ones_when_multiplexed,
    a_stranger_is_dropped_and_counted,
    a_stranger_is_counted_too_when_a_party_is_certain,
    a_flood_of_strangers_is_counted_to_the_last_packet_and_costs_none_of_the_partys,
    a_party_that_moves_is_heard_at_once_though_its_old_place_was_certain,
    a_party_whose_port_is_closed_neither_stops_nor_spins_the_worker,
    two_workers_share_the_streams_and_keep_the_order_in_each,
    ports_that_others_hold_are_passed_over_until_none_is_left,
    the_components_have_the_ports_that_the_plan_says,
    datagrams_of_every_length_arrive_whole_with_a_right_checksum,
    a_port_is_nobodys_before_and_after_its_call,
    a_call_whose_ports_change_is_heard_at_the_new_ones_only,
    a_burst_longer_than_any_batch_keeps_its_order,
    an_open_port_cannot_be_bound_by_another_program,
}

/// Whether ports can be steered here; says why not.
fn steers() -> bool {
    match Relay::try_with(DatapathChoice::Steered, 1, ports(4)) {
        Ok(_) => true,
        Err(error) => {
            println!("skipped: ports cannot be steered here: {error:?}");
            false
        }
    }
}

/// Whether the kernel can forward here; says why not.
fn kernel_forwards() -> bool {
    match Relay::try_with(DatapathChoice::Kernel, 1, ports(4)) {
        Ok(_) => true,
        Err(error) => {
            println!("skipped: the kernel cannot forward here: {error:?}");
            false
        }
    }
}

impl Relay {
    fn new(choice: DatapathChoice) -> Self {
        Self::with(choice, 1, ports(100))
    }

    fn with(choice: DatapathChoice, workers: usize, ports: RangeInclusive<u16>) -> Self {
        Self::try_with(choice, workers, ports).unwrap()
    }

    fn try_with(choice: DatapathChoice, workers: usize, ports: RangeInclusive<u16>) -> Result<Self, RelayError> {
        let records = Records::new().unwrap();
        let coalesce = Duration::from_micros(500);
        let (name, seed) = ("relay-test".to_owned(), seed().unwrap());
        let addresses = vec![V4, V6];
        let config = RelayConfig { name, addresses, ports, workers, coalesce, dscp: DSCP, seed };
        let (datapath, _) = relay::Relay::start(choice, &config, &records, &Failure::new().unwrap())?;
        Ok(Self { datapath, records, streams: 0 })
    }

    fn tally(&self) -> TallySnapshot {
        self.datapath.tallies()[0]
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

/// Waits until a relay has seen who is certain: one with sockets has then connected the one at `port` to its party.
fn certain(choice: DatapathChoice, port: SocketAddr) {
    if choice != DatapathChoice::Sockets {
        // Nothing shows it; whether it is soon enough or not, the same must come of it.
        std::thread::sleep(Duration::from_millis(600));
        return;
    }
    let needle = format!(":{:04X}", port.port());
    eventually("the relay's socket is connected", || {
        let list = if port.is_ipv4() { "/proc/net/udp" } else { "/proc/net/udp6" };
        let sockets = std::fs::read_to_string(list).unwrap();
        // The fields are a number, the local and the remote address, and the state: 1 is connected.
        sockets.lines().any(|line| {
            let mut fields = line.split_whitespace().skip(1);
            fields.next().is_some_and(|local| local.ends_with(&needle)) && fields.nth(1) == Some("01")
        })
    });
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
        let overflowed_before = relay.tally().overflowed;
        for sequence in 2..102 {
            for bytes in odd.into_iter().cycle().take(24) {
                // What is never heard of the party is its RTCP.
                call.plan.ports().into_iter().for_each(|port| stranger.send(bytes, port));
            }
            Relay::talks_both_ways(call, sequence);
        }
        let dropped = |relay: &Relay, side| relay.counters(call, side).dropped.iter().sum::<u64>();
        eventually("all counted", || {
            // Sockets are looked at when they hear something.
            Relay::talks_both_ways(call, 102);
            // The kernel forwards even while the worker, and with it the queue of what is none of the calls', is behind.
            relay.datapath.sample(monotonic());
            let overflowed = relay.tally().overflowed - overflowed_before;
            if choice == DatapathChoice::Kernel {
                dropped(&relay, Side::A) + dropped(&relay, Side::B) + overflowed == 9_600
            } else {
                dropped(&relay, Side::A) == 4_800 && dropped(&relay, Side::B) == 4_800
            }
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

/// Waits until a relay that steers has seen which host may be heard.
fn certain_of_host(choice: DatapathChoice) {
    if choice != DatapathChoice::Sockets {
        std::thread::sleep(Duration::from_millis(600));
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
    eventually("half of the work each", || relay.datapath.tallies().iter().all(|tally| tally.sent == 800));
}

fn ports_that_others_hold_are_passed_over_until_none_is_left(choice: DatapathChoice) {
    // Three pairs; the middle one's RTCP port is taken by somebody else.
    let six = ports(6);
    let base = *six.start();
    let _other_program = UdpSocket::bind((V4, base + 3)).unwrap();
    let mut relay = Relay::with(choice, 1, six);
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

fn the_components_have_the_ports_that_the_plan_says(choice: DatapathChoice) {
    let mut relay = Relay::new(choice);
    let pair = relay.open(V6);
    assert_eq!(pair.rtp.port() % 2, 0);
    assert_eq!(pair.rtcp.port(), pair.rtp.port() + 1);
    assert_eq!((Component::Rtp.index(), Component::Rtcp.index()), (0, 1));
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

fn a_port_is_nobodys_before_and_after_its_call(choice: DatapathChoice) {
    let mut relay = Relay::new(choice);
    let call = relay.call([V4, V4], monotonic());
    Relay::talks_both_ways(&call, 1);
    relay.datapath.remove(call.stream);
    call.ports.into_iter().for_each(|pair| relay.datapath.close(pair));
    assert_eq!(relay.datapath.load().ports_open, 0);
    eventually("refused", || {
        call.parties[0].0.connect(call.ports[0].rtp).unwrap();
        let _ = call.parties[0].0.send(&rtp(2));
        call.parties[0].0.take_error().unwrap().is_some()
    });
    // Whoever binds the port now hears what is sent there. Steered ones are let go of when the server drains.
    relay.datapath.keep_ports(false);
    let other_program = Party(UdpSocket::bind(call.ports[0].rtp).unwrap());
    call.parties[1].send(b"for the other program", call.ports[0].rtp);
    assert_eq!(other_program.hear().0, b"for the other program");
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
        let (datapath, why) = relay::Relay::start(DatapathChoice::Kernel, &config, &records, &failure).unwrap();
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

#[test]
fn servers_that_have_the_same_ports_leave_each_other_those_that_are_open() {
    if !steers() {
        return;
    }
    let six = ports(6);
    let choices = [DatapathChoice::Steered, DatapathChoice::Steered, DatapathChoice::Sockets];
    let mut servers = choices.map(|choice| Relay::with(choice, 1, six.clone()));
    let mut opened: Vec<u16> = servers.iter_mut().map(|server| server.open(V6).rtp.port()).collect();
    opened.sort_unstable();
    assert_eq!(opened, [*six.start(), six.start() + 2, six.start() + 4]);
    for server in &mut servers {
        assert!(server.datapath.open(&Interface::plain(V6)).is_err(), "none is left");
    }
}

fn an_open_port_cannot_be_bound_by_another_program(choice: DatapathChoice) {
    let mut relay = Relay::new(choice);
    let call = relay.call([V4, V6], monotonic());
    let anywhere: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    for port in [call.ports[0].rtp, call.ports[0].rtcp, call.ports[1].rtp, call.ports[1].rtcp] {
        for address in [port.ip(), anywhere[usize::from(port.is_ipv6())], anywhere[1]] {
            let refused = UdpSocket::bind((address, port.port())).unwrap_err();
            assert_eq!(refused.kind(), std::io::ErrorKind::AddrInUse);
        }
        // Of another protocol, or on another address, it is not ours.
        TcpListener::bind(port).unwrap();
        UdpSocket::bind(("127.0.0.2", port.port())).unwrap();
    }
    Relay::talks_both_ways(&call, 1);
}

#[test]
fn a_steered_port_that_was_found_free_is_kept_until_the_server_drains() {
    if !steers() {
        return;
    }
    let six = ports(6);
    let mut relay = Relay::with(DatapathChoice::Steered, 1, six.clone());
    // After the start, which may try this port and would then not try it again for a while.
    let taken = UdpSocket::bind((V4, six.start() + 3)).unwrap();
    while relay.datapath.look_ahead() {}
    for port in [six.start() + 4, six.start() + 5] {
        let refused = UdpSocket::bind((V4, port)).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::AddrInUse, "{port} was free");
    }
    drop(taken);
    let mut opened: Vec<u16> = (0..3).map(|_| relay.open(V4).rtp.port()).collect();
    opened.sort_unstable();
    assert_eq!(opened, [*six.start(), six.start() + 2, six.start() + 4], "what was not free then is tried again");
    relay.datapath.close(PortPair { rtp: (V4, six.start() + 4).into(), rtcp: (V4, six.start() + 5).into() });
    relay.datapath.keep_ports(false);
    UdpSocket::bind((V4, six.start() + 4)).expect("nobody's");
    UdpSocket::bind((V4, *six.start())).expect_err("open");
}

#[test]
fn what_is_chosen_by_itself_takes_no_port_that_other_programs_may_be_given() {
    let records = Records::new().unwrap();
    let config = RelayConfig {
        name: "relay-test".to_owned(),
        addresses: vec![V4],
        ports: 40_000..=40_003,
        workers: 1,
        coalesce: Duration::ZERO,
        dscp: DSCP,
        seed: seed().unwrap(),
    };
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    if range.split_whitespace().collect::<Vec<_>>() != ["32768", "60999"] {
        println!("skipped: this machine gives other ports to programs that ask for any: {range}");
        return;
    }
    let failure = Failure::new().unwrap();
    let (chosen, why) = relay::Relay::start(DatapathChoice::Auto, &config, &records, &failure).unwrap();
    assert_eq!(chosen.name(), "sockets");
    assert!(why.contains("ip_local_reserved_ports"), "{why}");
}
