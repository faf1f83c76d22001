//! What the stories of these tests have in common: parties with real sockets, RTP, and waiting for what must happen.
#![allow(dead_code, unreachable_pub)] // Each test binary uses its own part.

pub mod client;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a slow machine; only a failing test waits for it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// `count` ports, the first of them even, that no other test of this process gets and that nobody holds now. Below those that
/// the kernel gives to programs that ask for any.
///
/// # Panics
/// If there are no more.
pub fn ports(count: u16) -> RangeInclusive<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 10_000;
    const ROOM: u16 = 10_000;
    let step = count.next_multiple_of(2);
    // Test runs side by side on one machine begin at different places.
    let begin = u16::try_from(std::process::id() % 100).unwrap() * 100;
    for _ in 0..ROOM / step {
        let place = (begin + NEXT.fetch_add(step, Relaxed)) % ROOM;
        let range = FIRST + place..=FIRST + place + count - 1;
        if place + step <= ROOM && range.clone().all(|port| UdpSocket::bind(("127.0.0.1", port)).is_ok()) {
            return range;
        }
    }
    panic!("no {count} ports in a row are free");
}

/// Waits until `holds` does.
///
/// # Panics
/// If it never does; `what` says what was waited for.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let give_up_at = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < give_up_at, "still not: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// One party of a call.
pub struct Party(pub UdpSocket);

impl Party {
    pub fn at(address: IpAddr) -> Self {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub fn send(&self, bytes: &[u8], to: SocketAddr) {
        self.0.send_to(bytes, to).unwrap();
    }

    /// The next datagram that arrives, and where from.
    pub fn hear(&self) -> (Vec<u8>, SocketAddr) {
        let mut buffer = [0; 2048];
        let (length, source) = self.0.recv_from(&mut buffer).expect("a datagram arrives");
        (buffer[..length].to_vec(), source)
    }

    /// Whether anything waits to be heard right now.
    pub fn hears_nothing(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let nothing = self.0.peek_from(&mut [0; 1]).is_err();
        self.0.set_nonblocking(false).unwrap();
        nothing
    }
}

/// An RTP packet (RFC 3550 §5.1) of G.711 whose number is `sequence`.
pub fn rtp(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(0x1234_5678_u32.to_be_bytes());
    packet.extend([0xd5; 160]);
    packet
}

/// An RTCP receiver report without blocks (RFC 3550 §6.4.2).
pub fn rtcp(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet
}
