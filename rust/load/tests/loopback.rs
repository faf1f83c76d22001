//! A load over real sockets, with a wire in between that a test can break.
use mediaha_load::{EndpointId, Load, LoadConfig};
use mediaha_time::{Duration, Time};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Instant;

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn load(threads: usize) -> Load {
    let config = LoadConfig {
        threads,
        packet_time: Duration::from_millis(20),
        gap_min: Duration::from_millis(50),
        timeline: Duration::from_secs(10),
    };
    Load::start(&config).unwrap()
}

fn call(load: &Load) -> [(EndpointId, SocketAddr); 2] {
    let (a, b) = (load.open(HOST).unwrap(), load.open(HOST).unwrap());
    load.pair(a.0, b.0).unwrap();
    [a, b]
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(10), "never happened: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn two_endpoints_hear_each_other_whole_and_in_order() {
    let load = load(2);
    let calls: Vec<_> = (0..20).map(|_| call(&load)).collect();
    for [a, b] in &calls {
        load.aim(a.0, b.1).unwrap();
        load.aim(b.0, a.1).unwrap();
        load.begin(a.0).unwrap();
        load.begin(b.0).unwrap();
    }
    until("each has heard 20", || {
        calls.iter().flatten().all(|(id, _)| load.arrivals(*id).unwrap().counts.received >= 20)
    });
    for (id, _) in calls.iter().flatten() {
        load.stop(*id).unwrap();
    }
    until("all that was sent is heard", || load.totals().counts.received == load.totals().sent);
    let counts = load.totals().counts;
    assert_eq!(
        (counts.lost, counts.misdirected, counts.corrupt, counts.duplicated, counts.reordered),
        (0, 0, 0, 0, 0)
    );
    assert_eq!(load.heard(None).packets.iter().sum::<u64>(), counts.received);
}

/// Carries packets from one endpoint to the other until the test ends it, after doing `harm` to each.
fn wire(load: &Load, harm: impl Fn(u64, &mut Vec<u8>) -> usize) -> EndpointId {
    let [a, b] = call(load);
    let wire = UdpSocket::bind((HOST, 0)).unwrap();
    load.aim(a.0, wire.local_addr().unwrap()).unwrap();
    load.begin(a.0).unwrap();
    for number in 0..12 {
        let mut bytes = vec![0; 2000];
        let length = wire.recv(&mut bytes).unwrap();
        bytes.truncate(length);
        for _ in 0..harm(number, &mut bytes) {
            wire.send_to(&bytes, b.1).unwrap();
        }
    }
    until("the last one is heard", || load.arrivals(b.0).unwrap().latency.longest().is_some());
    b.0
}

#[test]
fn a_wire_that_breaks_a_bit_is_found_out() {
    let load = load(1);
    let listener = wire(&load, |number, bytes| {
        if number == 3 {
            bytes[99] ^= 4;
        }
        1
    });
    until("eleven of twelve are right", || load.arrivals(listener).unwrap().counts.received == 11);
    let counts = load.arrivals(listener).unwrap().counts;
    assert_eq!((counts.corrupt, counts.lost), (1, 1));
}

#[test]
fn a_wire_that_loses_and_repeats_is_found_out() {
    let load = load(1);
    let listener = wire(&load, |number, _| match number {
        2..6 => 0,
        8 => 3,
        _ => 1,
    });
    until("eight of twelve are right", || load.arrivals(listener).unwrap().counts.received == 8);
    let counts = load.arrivals(listener).unwrap().counts;
    assert_eq!((counts.lost, counts.duplicated), (4, 2));
    let gaps = load.gaps(Duration::from_millis(60), Time::ZERO);
    assert_eq!(gaps[0].0, listener);
    assert!(gaps[0].1.length(Time::FAR) >= Duration::from_millis(80));
}

#[test]
fn a_packet_for_somebody_else_is_found_out() {
    let load = load(1);
    let ([a, b], [c, _]) = (call(&load), call(&load));
    load.aim(a.0, b.1).unwrap();
    load.aim(c.0, b.1).unwrap();
    load.begin(a.0).unwrap();
    load.begin(c.0).unwrap();
    until("b hears a stranger", || load.arrivals(b.0).unwrap().counts.misdirected > 3);
    assert_eq!(load.arrivals(b.0).unwrap().counts.corrupt, 0);
}

#[test]
fn an_endpoint_that_was_shut_is_an_error_and_its_figures_stay() {
    let load = load(1);
    let [a, b] = call(&load);
    load.aim(a.0, b.1).unwrap();
    load.begin(a.0).unwrap();
    until("b hears", || load.arrivals(b.0).unwrap().counts.received > 2);
    load.shut(b.0).unwrap();
    assert!(load.shut(b.0).is_err());
    assert!(load.totals().counts.received > 2);
}
