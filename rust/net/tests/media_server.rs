//! A whole media server: `ng` over UDP on one side, parties with RTP on the other.

mod common;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use common::client::{Client, request, sdp, text};
use common::{Party, eventually, ports, rtcp, rtp};
use mediaha_net::{DatapathChoice, Level, MediaServer, MediaServerConfig, StartError};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

fn config(address: IpAddr) -> MediaServerConfig {
    MediaServerConfig::new((address, 0).into(), vec![address.to_string().parse().unwrap()], ports(100))
}

fn server(address: IpAddr) -> (MediaServer, Client) {
    let server = MediaServer::start(config(address)).unwrap();
    let client = Client::of(server.listen_ng());
    (server, client)
}

fn statistics(server: &MediaServer) -> serde_json::Value {
    serde_json::from_str(&server.statistics_json().unwrap()).unwrap()
}

#[test]
fn an_offer_and_an_answer_let_two_parties_talk_over_either_family() {
    for address in [V4, V6] {
        let (server, mut client) = server(address);
        let (alice, bob) = (Party::at(address), Party::at(address));
        let [for_alice, for_bob] = client.call("one", [&alice, &bob], "");
        for sequence in 1..=50 {
            alice.send(&rtp(sequence), for_alice);
            assert_eq!(bob.hear(), (rtp(sequence), for_bob));
            bob.send(&rtp(sequence), for_bob);
            assert_eq!(alice.hear(), (rtp(sequence), for_alice));
        }
        let statistics = statistics(&server);
        assert_eq!(statistics["sessions"], 1);
        assert_eq!(statistics["packets"], 100);
        assert_eq!(statistics["ports_open"], 4);
    }
}

#[test]
fn rtcp_is_relayed_on_the_odd_ports_and_on_the_even_ones_with_mux() {
    let (_server, mut client) = server(V4);
    let [alice, bob, control_alice, control_bob] = [0; 4].map(|_| Party::at(V4));
    let [for_alice, for_bob] = client.call("separate", [&alice, &bob], "");
    let above = |mut address: std::net::SocketAddr| {
        address.set_port(address.port() + 1);
        address
    };
    // Where B's control packets come from is learnt from them, as with RTP.
    control_bob.send(&rtcp(1), above(for_bob));
    control_alice.send(&rtcp(2), above(for_alice));
    assert_eq!(control_bob.hear(), (rtcp(2), above(for_bob)));

    let (alice, bob) = (Party::at(V4), Party::at(V4));
    let [for_alice, for_bob] = client.call("together", [&alice, &bob], "a=rtcp-mux\r\n");
    alice.send(&rtcp(3), for_alice);
    assert_eq!(bob.hear(), (rtcp(3), for_bob));
    bob.send(&rtp(4), for_bob);
    assert_eq!(alice.hear(), (rtp(4), for_alice));
}

#[test]
fn a_stranger_is_not_heard_once_the_party_was() {
    let (server, mut client) = server(V4);
    let (alice, bob, stranger) = (Party::at(V4), Party::at(V4), Party::at(V4));
    let [for_alice, for_bob] = client.call("guarded", [&alice, &bob], "");
    alice.send(&rtp(1), for_alice);
    assert_eq!(bob.hear().0, rtp(1));
    stranger.send(&rtp(666), for_alice);
    alice.send(&rtp(2), for_alice);
    assert_eq!(bob.hear(), (rtp(2), for_bob));
    assert_eq!(statistics(&server)["dropped"]["stranger"], 1);
}

#[test]
fn a_repeated_cookie_gets_the_same_answer_and_no_second_call() {
    let (server, client) = server(V4);
    let offer = sdp(Party::at(V4).address(), "");
    let fields = [("call-id", "twice"), ("from-tag", "a"), ("sdp", offer.as_str())];
    let datagram = request("same", "offer", &fields);
    let first = client.exchange(&datagram);
    assert_eq!(client.exchange(&datagram), first);
    let statistics = statistics(&server);
    assert_eq!((&statistics["sessions"], &statistics["duplicates"]), (&1.into(), &1.into()));
    assert_eq!(statistics["ports_open"], 4);
}

#[test]
fn deleting_a_call_gives_its_ports_back() {
    let (server, mut client) = server(V4);
    let (alice, bob) = (Party::at(V4), Party::at(V4));
    let [for_alice, for_bob] = client.call("short", [&alice, &bob], "");
    let fields = [("call-id", "short"), ("from-tag", "a"), ("delete delay", "0")];
    assert_eq!(text(&client.ask("delete", &fields), "result"), "ok");
    assert_eq!(statistics(&server)["ports_open"], 0);
    // Steered ports are kept from others until the server drains. The worker lets go of sockets a moment after control has
    // answered.
    server.drain(true);
    eventually("bound by others", || [for_alice, for_bob].into_iter().all(|port| UdpSocket::bind(port).is_ok()));
    assert!(!text(&client.ask("delete", &fields), "warning").is_empty(), "it is gone");
}

#[test]
fn when_the_ports_run_out_clients_are_told_in_their_words() {
    let server = MediaServer::start(MediaServerConfig { ports: ports(4), ..config(V4) }).unwrap();
    let mut client = Client::of(server.listen_ng());
    let (alice, bob) = (Party::at(V4), Party::at(V4));
    client.call("fits", [&alice, &bob], "");
    let offer = sdp(alice.address(), "");
    let refused = client.ask("offer", &[("call-id", "too many"), ("from-tag", "a"), ("sdp", &offer)]);
    assert_eq!(text(&refused, "error-reason"), "Ran out of ports");
    assert_eq!(statistics(&server)["ports_open"], 4, "nothing is left of the refused call");
}

#[test]
fn a_draining_server_refuses_new_calls_and_keeps_the_others() {
    let (server, mut client) = server(V4);
    let (alice, bob) = (Party::at(V4), Party::at(V4));
    let [for_alice, _] = client.call("old", [&alice, &bob], "");
    server.drain(true);
    eventually("draining", || statistics(&server)["draining"] == true);
    let offer = sdp(alice.address(), "");
    let refused = client.ask("offer", &[("call-id", "new"), ("from-tag", "a"), ("sdp", &offer)]);
    assert_eq!(text(&refused, "result"), "error");
    alice.send(&rtp(1), for_alice);
    assert_eq!(bob.hear().0, rtp(1));
}

#[test]
fn a_silent_call_is_ended_and_recorded() {
    let silence_timeout = std::time::Duration::from_millis(50);
    let server = MediaServer::start(MediaServerConfig { silence_timeout, ..config(V4) }).unwrap();
    let mut client = Client::of(server.listen_ng());
    client.call("silent", [&Party::at(V4), &Party::at(V4)], "");
    let mut records = Vec::new();
    eventually("ended", || {
        records.extend(server.records().take());
        records.iter().any(|record| record.event == "call_expired")
    });
    assert_eq!(records.last().unwrap().fields_json(), r#"{"call_id":"silent","reason":"silent"}"#);
    assert_eq!(statistics(&server)["ports_open"], 0);
}

#[test]
fn nonsense_on_the_control_port_leaves_the_server_answering() {
    let (server, mut client) = server(V4);
    for nonsense in [&b""[..], b" ", b"cookie", b"cookie d7:command", &vec![0xff; 60_000]] {
        client.socket.send(nonsense).unwrap();
    }
    eventually("counted", || statistics(&server)["unreadable"].as_u64() >= Some(3));
    // Some were answered with an error; the reply to the ping is the last one to come.
    client = Client::of(server.listen_ng());
    assert_eq!(text(&client.ask("ping", &[]), "result"), "pong");
}

#[test]
fn what_cannot_be_had_at_the_start_is_named() {
    let (server, _) = server(V4);
    let taken = MediaServerConfig { listen_ng: server.listen_ng(), ..config(V4) };
    let error = MediaServer::start(taken).unwrap_err();
    assert!(matches!(error, StartError::Control { .. }));
    assert_eq!(
        error.to_string(),
        format!("the control port {}/udp is in use by another program", server.listen_ng())
    );

    let foreign = MediaServerConfig { interfaces: vec!["pub/192.0.2.1".parse().unwrap()], ..config(V4) };
    let error = MediaServer::start(foreign).unwrap_err().to_string();
    assert_eq!(error, "interface pub/192.0.2.1: 192.0.2.1 is not an address of this host");

    let odd = MediaServerConfig { ports: 30_001..=30_002, ..config(V4) };
    assert!(MediaServer::start(odd).unwrap_err().to_string().contains("30001-30002 hold no pair"));
}

#[test]
fn a_closed_server_frees_its_control_port_and_a_record_told_of_its_start() {
    let (server, _) = server(V4);
    let records = server.records().take();
    assert_eq!((records[0].level, records[0].event), (Level::Info, "media_server_started"));
    let listen_ng = server.listen_ng();
    server.close();
    UdpSocket::bind(listen_ng).unwrap();
}

#[test]
fn what_forwards_and_why_is_told_at_the_start_and_in_the_statistics() {
    let plain = MediaServerConfig { datapath: DatapathChoice::Sockets, ..config(V4) };
    let server = MediaServer::start(plain).unwrap();
    let started: serde_json::Value = serde_json::from_str(&server.records().take()[0].fields_json()).unwrap();
    for told in [started, statistics(&server)] {
        assert_eq!((&told["datapath"], &told["datapath_reason"]), (&"sockets".into(), &"asked for".into()));
    }
}
