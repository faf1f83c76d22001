//! Packets that came to an open port before the worker was told whose they are.

use std::collections::VecDeque;
use std::net::SocketAddr;

use mediaha_time::{Duration, Time};

/// How many are kept; beyond that the oldest are dropped.
const PACKETS_MAX: usize = 64;
/// The longest that is kept: media is shorter.
const BYTES_MAX: usize = 2048;
/// Older media is worth nothing.
const AGE_MAX: Duration = Duration::from_secs(1);

/// The packets that wait for their stream.
#[derive(Debug, Default)]
pub(super) struct Early(VecDeque<EarlyPacket>);

/// One of them.
#[derive(Debug)]
pub(super) struct EarlyPacket {
    pub(super) bytes: Box<[u8]>,
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) arrived: Time,
}

impl Early {
    /// Keeps a packet.
    pub(super) fn keep(&mut self, bytes: &[u8], source: SocketAddr, destination: SocketAddr, arrived: Time) {
        if bytes.len() > BYTES_MAX {
            return;
        }
        if self.0.len() == PACKETS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(EarlyPacket { bytes: bytes.into(), source, destination, arrived });
    }

    /// Takes what came to one of these ports, oldest first.
    pub(super) fn take(&mut self, ports: &[SocketAddr], now: Time) -> Vec<EarlyPacket> {
        self.0.retain(|packet| now.since(packet.arrived) < AGE_MAX);
        let (wanted, others): (VecDeque<_>, _) =
            self.0.drain(..).partition(|packet| ports.contains(&packet.destination));
        self.0 = others;
        wanted.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn a_stream_gets_its_own_packets_in_order_unless_they_are_old() {
        let mut early = Early::default();
        early.keep(b"too old", at(9), at(2), ms(0));
        for (bytes, port) in [(b"one", 2), (b"not", 4), (b"two", 3)] {
            early.keep(bytes, at(9), at(port), ms(900));
        }
        let taken = early.take(&[at(2), at(3)], ms(1_000));
        assert_eq!(taken.iter().map(|packet| &packet.bytes[..]).collect::<Vec<_>>(), [b"one", b"two"]);
        assert_eq!(early.take(&[at(4)], ms(1_001)).len(), 1);
    }

    #[test]
    fn only_so_many_are_kept() {
        let mut early = Early::default();
        for number in 0..100_u8 {
            early.keep(&[number], at(9), at(2), ms(0));
        }
        early.keep(&[0; BYTES_MAX + 1], at(9), at(2), ms(0));
        let taken = early.take(&[at(2)], ms(0));
        assert_eq!((taken.len(), taken[0].bytes[0]), (PACKETS_MAX, 36));
    }
}
