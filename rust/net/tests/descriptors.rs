//! Descriptors come back. A test binary of its own: other tests' sockets would be counted.

mod common;

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::Duration;

use common::client::Client;
use common::{Party, eventually, ports};
use mediaha_net::{DatapathChoice, MediaServer, MediaServerConfig};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Without those that a server takes for a moment, to see which ports are free.
fn descriptors_at_rest() -> usize {
    let looks = (0..100).map(|_| {
        thread::sleep(Duration::from_millis(1));
        descriptors()
    });
    looks.min().unwrap()
}

#[test]
fn deleted_calls_and_closed_servers_leave_no_descriptor_behind() {
    let before_all = descriptors();
    a_server_with_calls(DatapathChoice::Sockets, 4, before_all);
    let steered = MediaServer::start(config(DatapathChoice::Steered));
    match steered {
        Ok(server) => {
            server.close();
            a_server_with_calls(DatapathChoice::Steered, 0, before_all);
        }
        Err(error) => println!("steered ports are left out: {error}"),
    }
}

fn config(datapath: DatapathChoice) -> MediaServerConfig {
    let interfaces = vec!["127.0.0.1".parse().unwrap()];
    MediaServerConfig { datapath, ..MediaServerConfig::new((V4, 0).into(), interfaces, ports(400)) }
}

fn a_server_with_calls(datapath: DatapathChoice, descriptors_per_call: usize, before_all: usize) {
    let server = MediaServer::start(config(datapath)).unwrap();
    let mut client = Client::of(server.listen_ng());
    let (alice, bob) = (Party::at(V4), Party::at(V4));
    let before_calls = descriptors_at_rest();
    for call in 0..50 {
        client.call(&format!("call-{call}"), [&alice, &bob], "");
    }
    // While a server without sockets for calls looks which ports are free, it may have been seen with a few more before.
    let are =
        |wanted: usize| if descriptors_per_call == 0 { descriptors() <= wanted } else { descriptors() == wanted };
    eventually("all ports open", || are(before_calls + 50 * descriptors_per_call));
    for call in 0..50 {
        client.ask("delete", &[("call-id", &format!("call-{call}")), ("from-tag", "a"), ("delete delay", "0")]);
    }
    eventually("all ports closed", || are(before_calls));
    server.close();
    drop((client, alice, bob));
    // On a busy machine a thread that was told to end may not have run yet.
    eventually("all closed", || descriptors() == before_all);
}
