use super::*;
use crate::sys::{Epoll, Events, Trigger};
use std::time::Duration;

fn bound(address: &str) -> UdpSocket {
    UdpSocket::bind(address.parse().unwrap(), &Options::default()).unwrap()
}

fn wait_readable(socket: &UdpSocket) {
    let (epoll, mut events) = (Epoll::new().unwrap(), Events::new(1));
    epoll.add(socket, 0, Trigger::Level).unwrap();
    epoll.wait(&mut events, Some(Duration::from_secs(5))).unwrap();
    assert_eq!(events.len(), 1);
}

#[test]
fn a_datagram_arrives_with_its_source_over_both_families() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let (from, to) = (bound(address), bound(address));
        from.send_to(b"hello", to.local_address().unwrap()).unwrap();
        wait_readable(&to);
        let mut buffer = [0; 3];
        let (length, source) = to.receive_from(&mut buffer).unwrap();
        assert_eq!((length, &buffer), (5, b"hel"), "the length tells that the end was cut off");
        assert_eq!(source, from.local_address().unwrap());
        assert_eq!(to.receive(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}

#[test]
fn a_batch_is_sent_and_received_in_order_and_stamped() {
    let from = bound("127.0.0.1:0");
    let options = Options { timestamps: true, ..Options::default() };
    let to = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), &options).unwrap();
    let mut outgoing = SendBatch::new(3, 4);
    assert!(outgoing.push(b"one", to.local_address().ok()));
    assert!(!outgoing.push(b"three", None), "longer than there is room for");
    assert!(outgoing.push(b"two", to.local_address().ok()));
    assert_eq!(from.send_batch(&mut outgoing).unwrap(), 2);
    assert!(outgoing.is_empty());
    wait_readable(&to);
    let mut incoming = ReceiveBatch::new(4, 2);
    let mut seen = Vec::new();
    while seen.len() < 2 {
        match to.receive_batch(&mut incoming) {
            Ok(_) => seen.extend(incoming.iter().map(|datagram| {
                assert!(datagram.truncated && datagram.stamp.is_some_and(|stamp| stamp <= crate::sys::realtime()));
                datagram.bytes.to_vec()
            })),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
    assert_eq!(seen, [b"on".to_vec(), b"tw".to_vec()]);
}

#[test]
fn a_socket_remembers_when_the_last_datagram_arrived() {
    let options = Options { last_stamp: true, ..Options::default() };
    let (from, to) = (bound("[::1]:0"), UdpSocket::bind("[::1]:0".parse().unwrap(), &options).unwrap());
    let stamped_in_time = || {
        let before = crate::sys::realtime();
        from.send_to(b"early", to.local_address().unwrap()).unwrap();
        wait_readable(&to);
        let arrived = crate::sys::realtime();
        std::thread::sleep(Duration::from_millis(2));
        to.receive(&mut [0; 16]).unwrap();
        to.last_stamp().is_some_and(|stamp| stamp >= before && stamp <= arrived)
    };
    // The kernel begins to stamp a moment after the first socket of a machine wants it.
    assert!((0..2_000).any(|_| stamped_in_time()));
}

#[test]
fn a_refusal_is_reported_once_to_a_connected_socket() {
    let from = bound("127.0.0.1:0");
    let gone = bound("127.0.0.1:0").local_address().unwrap();
    from.connect(gone).unwrap();
    from.send(b"anyone there?").unwrap();
    wait_readable(&from);
    let refused = from.receive(&mut [0; 16]).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(from.receive(&mut [0; 16]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_disconnected_socket_keeps_its_port_and_hears_everyone() {
    let (friend, stranger) = (bound("127.0.0.1:0"), bound("127.0.0.1:0"));
    // A port that the kernel chose at the bind would not be kept: it is chosen first and then bound by its number.
    let address = bound("127.0.0.1:0").local_address().unwrap();
    let socket = bound(&address.to_string());
    socket.connect(friend.local_address().unwrap()).unwrap();
    stranger.send_to(b"not heard", address).unwrap();
    assert_eq!(socket.receive(&mut [0; 16]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    socket.disconnect().unwrap();
    assert_eq!(socket.local_address().unwrap(), address);
    stranger.send_to(b"heard", address).unwrap();
    wait_readable(&socket);
    assert_eq!(socket.receive(&mut [0; 16]).unwrap(), 5);
}

#[test]
fn beside_a_connected_socket_stands_one_that_hears_all_others() {
    for host in ["127.0.0.1", "[::1]"] {
        let any = format!("{host}:0");
        let (friend, stranger) = (bound(&any), bound(&any));
        let address = bound(&any).local_address().unwrap();
        let socket = bound(&address.to_string());
        // More than once, as it goes with a call that is renegotiated.
        for _ in 0..3 {
            socket.connect(friend.local_address().unwrap()).unwrap();
            let beside = socket.beside(&Options::default()).unwrap();
            for _ in 0..10 {
                friend.send_to(b"friend", address).unwrap();
                stranger.send_to(b"stranger", address).unwrap();
            }
            for _ in 0..10 {
                assert_eq!(socket.receive(&mut [0; 16]).unwrap(), 6);
                assert_eq!(beside.receive(&mut [0; 16]).unwrap(), 8);
            }
            assert_eq!(
                UdpSocket::bind(address, &Options::default()).unwrap_err().kind(),
                io::ErrorKind::AddrInUse
            );
            drop(beside);
            socket.disconnect().unwrap();
            stranger.send_to(b"stranger", address).unwrap();
            assert_eq!(socket.receive(&mut [0; 16]).unwrap(), 8);
        }
    }
}

#[test]
fn what_a_full_queue_turned_away_is_known() {
    let (from, to) = (
        bound("127.0.0.1:0"),
        UdpSocket::bind(
            "127.0.0.1:0".parse().unwrap(),
            &Options { receive_buffer: Some(1), ..Options::default() },
        )
        .unwrap(),
    );
    (0..200).for_each(|_| from.send_to(&[0; 172], to.local_address().unwrap()).unwrap());
    let kept = std::iter::from_fn(|| to.receive(&mut [0; 172]).ok()).count();
    assert_eq!(to.drops().unwrap() as usize, 200 - kept);
    assert!(kept < 20);
}
