//! Which ports a relay opens, keeps and leaves to others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use mediaha_media::{Component, Interface, PortPair};
use mediaha_net::relay::{self, DatapathChoice, RelayConfig};
use mediaha_net::sys::{monotonic, seed};
use mediaha_net::{Failure, Records};
use mediaha_time::Duration;

use crate::common::{Party, eventually, ports, rtp};
use crate::world::{DSCP, Relay, V4, V6, steers};

stories! {
    ports_that_others_hold_are_passed_over_until_none_is_left,
    the_components_have_the_ports_that_the_plan_says,
    a_port_is_nobodys_before_and_after_its_call,
    ports_of_calls_that_have_just_ended_are_there_for_the_next_ones,
    an_open_port_cannot_be_bound_by_another_program,
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

fn ports_of_calls_that_have_just_ended_are_there_for_the_next_ones(choice: DatapathChoice) {
    let mut relay = Relay::with(choice, 1, ports(8));
    for round in 0..100 {
        let calls = [(); 2].map(|()| relay.call([V4, V4], monotonic()));
        assert!(relay.datapath.open(&Interface::plain(V4)).is_err(), "all are taken");
        Relay::talks_both_ways(&calls[1], round);
        for call in calls {
            relay.datapath.remove(call.stream);
            call.ports.into_iter().for_each(|pair| relay.datapath.close(pair));
        }
    }
    assert_eq!(relay.datapath.load().ports_open, 0);
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
    let (chosen, why) = relay::start(DatapathChoice::Auto, &config, &records, &failure).unwrap();
    assert_eq!(chosen.name(), "sockets");
    assert!(why.contains("ip_local_reserved_ports"), "{why}");
}
