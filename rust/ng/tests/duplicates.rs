//! A request that comes twice is carried out once, and nothing is kept for ever.

use std::net::SocketAddr;

use mediaha_ng::{Duplicates, DuplicatesConfig};
use mediaha_time::{Duration, Time};

fn source(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn cache(replies_max: usize, bytes_max: usize) -> Duplicates {
    Duplicates::new(DuplicatesConfig { kept_for: Duration::from_secs(10), replies_max, bytes_max })
}

#[test]
fn a_retransmission_gets_the_reply_that_was_lost() {
    let mut cache = cache(10, 1_000);
    assert_eq!(cache.lookup(source(1), b"c", Time::ZERO), None);
    cache.remember(source(1), b"c", b"c ok".to_vec(), Time::ZERO);
    assert_eq!(cache.lookup(source(1), b"c", Time::from_millis(9_999)), Some(&b"c ok"[..]));
    assert_eq!(cache.lookup(source(1), b"c", Time::from_millis(10_000)), None, "forgotten in time");
    assert!(cache.is_empty());
}

#[test]
fn two_clients_may_choose_the_same_cookie() {
    let mut cache = cache(10, 1_000);
    cache.remember(source(1), b"c", b"first".to_vec(), Time::ZERO);
    assert_eq!(cache.lookup(source(2), b"c", Time::ZERO), None);
    cache.remember(source(2), b"c", b"second".to_vec(), Time::ZERO);
    assert_eq!(cache.lookup(source(1), b"c", Time::ZERO), Some(&b"first"[..]));
}

#[test]
fn the_first_reply_stays() {
    let mut cache = cache(10, 1_000);
    cache.remember(source(1), b"c", b"first".to_vec(), Time::ZERO);
    cache.remember(source(1), b"c", b"second".to_vec(), Time::ZERO);
    assert_eq!(cache.lookup(source(1), b"c", Time::ZERO), Some(&b"first"[..]));
}

#[test]
fn a_crowd_drives_the_oldest_out_and_is_counted() {
    let mut cache = cache(3, 1_000);
    for port in 1..=5 {
        cache.remember(source(port), b"c", b"reply".to_vec(), Time::ZERO);
    }
    assert_eq!((cache.len(), cache.crowded_out()), (3, 2));
    assert_eq!(cache.lookup(source(2), b"c", Time::ZERO), None);
    assert!(cache.lookup(source(3), b"c", Time::ZERO).is_some());
}

#[test]
fn large_replies_take_the_room_of_many() {
    let mut cache = cache(100, 100);
    for port in 1..=9 {
        cache.remember(source(port), b"c", vec![0; 9], Time::ZERO);
    }
    cache.remember(source(10), b"c", vec![0; 89], Time::ZERO);
    assert_eq!(cache.len(), 2);
    cache.remember(source(11), b"c", vec![0; 200], Time::ZERO);
    assert_eq!(cache.len(), 2, "what never fits is not kept");
}
