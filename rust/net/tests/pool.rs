//! The pool's thread over real sockets.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use mediaha_failover::{Command, Config, Event, ServerSpec, ServerState, Token};
use mediaha_net::pool::{PoolConfig, PoolRuntime, Submit};

fn pool(servers: &[(&str, SocketAddr)], commands_max: usize, events_max: usize) -> PoolRuntime {
    let spec = |(name, address): &(&str, SocketAddr)| ServerSpec { name: (*name).to_owned(), address: *address };
    let servers = servers.iter().map(spec).collect();
    let decisions = Config::default();
    PoolRuntime::start(PoolConfig { decisions, servers, commands_max, events_max, seed: Some(1) }).unwrap()
}

fn events_until(pool: &PoolRuntime, what: &str, mut done: impl FnMut(&Event) -> bool) {
    let begun = Instant::now();
    while !pool.events().iter().any(&mut done) {
        assert!(begun.elapsed() < Duration::from_secs(10), "never happened: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn is_dead(name: &'static str) -> impl FnMut(&Event) -> bool {
    move |event| matches!(event, Event::ServerState { server, state: ServerState::Dead, .. } if server == name)
}

fn delete(number: u64) -> Command {
    Command::Delete { token: Token(number), call_id: number.to_string().into_bytes() }
}

#[test]
fn a_port_where_nobody_listens_is_dead_within_two_heartbeats() {
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let begun = Instant::now();
    let pool = pool(&[("gone", gone)], 8, 8);
    events_until(&pool, "gone is dead", is_dead("gone"));
    assert!(begun.elapsed() < Duration::from_millis(300), "{:?}", begun.elapsed());
}

#[test]
fn a_socket_that_nobody_reads_is_found_out_by_its_silence() {
    let hole = UdpSocket::bind("127.0.0.1:0").unwrap();
    let pool = pool(&[("hole", hole.local_addr().unwrap())], 8, 8);
    events_until(&pool, "the hole is dead", is_dead("hole"));
}

#[test]
fn an_address_without_a_route_is_dead_and_nothing_else_suffers() {
    // Class E is routed nowhere (RFC 1112 4).
    let pool = pool(&[("nowhere", "240.0.0.1:2223".parse().unwrap())], 8, 8);
    events_until(&pool, "nowhere is dead", is_dead("nowhere"));
    pool.submit(delete(1)).unwrap();
    events_until(&pool, "the deletion", |event| matches!(event, Event::Deleted { token: Token(1), .. }));
}

#[test]
fn every_command_is_answered_though_the_queue_holds_one_event() {
    let pool = pool(&[], 4096, 1);
    for number in 0..1000 {
        pool.submit(delete(number)).unwrap();
    }
    let mut answered = 0;
    events_until(&pool, "the last answer", |event| {
        answered += u64::from(matches!(event, Event::Deleted { .. }));
        answered == 1000
    });
}

#[test]
fn a_command_that_can_wait_is_not_forgotten_by_a_thread_that_sleeps() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    // Without servers nothing else ever wakes the thread; with one it wakes for heartbeats.
    for servers in [vec![], vec![("silent", silent.local_addr().unwrap())]] {
        let pool = pool(&servers, 8, 8);
        for number in 0..300 {
            pool.submit_at_leisure(delete(number)).unwrap();
            events_until(
                &pool,
                "the deletion",
                |event| matches!(event, Event::Deleted { token, .. } if *token == Token(number)),
            );
            if number == 20 && !servers.is_empty() {
                break; // Each waits for a heartbeat.
            }
        }
    }
}

#[test]
fn what_was_asked_for_before_the_end_is_still_sent() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let pool = pool(&[("a", server.local_addr().unwrap())], 8, 8);
    let (call_id, from_tag, sdp) = (b"last-wish".to_vec(), b"from".to_vec(), b"v=0\r\n".to_vec());
    let servers = vec!["a".to_owned()];
    pool.submit(Command::Offer { token: Token(1), call_id, from_tag, to_tag: None, sdp, family: None, servers })
        .unwrap();
    pool.close();
    server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut bytes = [0; 2000];
    loop {
        let length = server.recv(&mut bytes).unwrap();
        if bytes[..length].windows(9).any(|part| part == b"last-wish") {
            return;
        }
    }
}

#[test]
fn a_full_queue_refuses_and_a_closed_pool_says_so() {
    let pool = pool(&[], 1, 1);
    let refused = (0..100_000).find_map(|number| pool.submit(delete(number)).err());
    assert!(matches!(refused, Some(Submit::Full(_))), "{refused:?}");
    pool.close();
    pool.close();
    assert!(matches!(pool.submit(delete(0)), Err(Submit::Closed(_))));
}
