//! Descriptors come back. A test binary of its own: other tests' sockets would be counted.

mod common;

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use common::client::Client;
use common::{Party, eventually};
use mediaha_net::{MediaServer, MediaServerConfig};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn deleted_calls_and_closed_servers_leave_no_descriptor_behind() {
    let before_all = descriptors();
    let interfaces = vec!["127.0.0.1".parse().unwrap()];
    let server = MediaServer::start(MediaServerConfig::new((V4, 0).into(), interfaces, 20_000..=29_999)).unwrap();
    let mut client = Client::of(server.listen_ng());
    let (alice, bob) = (Party::at(V4), Party::at(V4));
    let before_calls = descriptors();
    for call in 0..50 {
        client.call(&format!("call-{call}"), [&alice, &bob], "");
    }
    assert_eq!(descriptors(), before_calls + 50 * 4);
    for call in 0..50 {
        client.ask("delete", &[("call-id", &format!("call-{call}")), ("from-tag", "a"), ("delete delay", "0")]);
    }
    eventually("all ports closed", || descriptors() == before_calls);
    server.close();
    drop((client, alice, bob));
    assert_eq!(descriptors(), before_all);
}
