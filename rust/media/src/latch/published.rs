//! A latch as words of memory that outlive the process.
//!
//! They are written only when something has been learnt or signalled, never for a usual packet. A process can be killed between
//! any two stores, so that the last word is a checksum of the others: words that do not fit it are a latch that nobody
//! believes, and the stream learns anew.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::Release};

use mediaha_time::Time;

use super::{Claim, Latch, PROVEN, State};

/// Words of one latch.
pub(crate) const LATCH_WORDS: usize = CHECKED + 1;
/// Of these, all but the checksum: what and ports, two addresses of two words, three times.
const CHECKED: usize = 8;

const STRICT: u8 = 1;
const LISTENING: u8 = 2;
const HELD: u8 = 3;
/// Of a source: that it was proven.
const IS_PROVEN: u8 = 0x80;

type Words = [u64; CHECKED];

pub(super) fn write(latch: &Latch, memory: &[AtomicU64]) {
    let (tag, source, heard, standing) = match latch.state {
        State::Strict => (STRICT, None, Time::ZERO, 0),
        // Whoever was held before is forgotten within half a second anyway.
        State::Listening => (LISTENING, None, Time::ZERO, 0),
        State::Held { source, claim, since, heard } => {
            let proven = if heard.since(since) >= PROVEN { IS_PROVEN } else { 0 };
            (HELD, Some(source), heard, claim.number() | proven)
        }
    };
    let (signalled, source) = (Flat::of(latch.signalled), Flat::of(source));
    let kinds = [tag, signalled.family, source.family, standing];
    let kinds = kinds.into_iter().fold(0, |kinds, kind| kinds << 8 | u64::from(kind)) << 32;
    let ports = u64::from(signalled.port) << 16 | u64::from(source.port);
    let [s0, s1] = signalled.address;
    let [h0, h1] = source.address;
    let times = [latch.window_until, latch.wary_until, heard].map(Time::as_nanos);
    let words: Words = [kinds | ports, s0, s1, h0, h1, times[0], times[1], times[2]];
    for (place, word) in memory.iter().zip(words) {
        place.store(word, Relaxed);
    }
    if let Some(place) = memory.get(CHECKED) {
        place.store(checksum(&words), Release);
    }
}

pub(super) fn read(memory: &[AtomicU64]) -> Option<Latch> {
    let mut words = Words::default();
    for (word, place) in words.iter_mut().zip(memory) {
        *word = place.load(Relaxed);
    }
    if memory.get(CHECKED)?.load(Relaxed) != checksum(&words) {
        return None;
    }
    let [kinds, s0, s1, h0, h1, window_until, wary_until, heard] = words;
    let [tag, signalled_family, source_family, standing, p0, p1, p2, p3] = kinds.to_be_bytes();
    let (signalled_port, source_port) = (u16::from_be_bytes([p0, p1]), u16::from_be_bytes([p2, p3]));
    let signalled = Flat { family: signalled_family, port: signalled_port, address: [s0, s1] }.address()?;
    let source = Flat { family: source_family, port: source_port, address: [h0, h1] }.address()?;
    let heard = Time::from_nanos(heard);
    let state = match (tag, source) {
        (STRICT, None) => State::Strict,
        (LISTENING, None) => State::Listening,
        (HELD, Some(source)) => {
            let since = if standing & IS_PROVEN == 0 { heard } else { heard - PROVEN };
            State::Held { source, claim: Claim::of_number(standing & !IS_PROVEN)?, since, heard }
        }
        _ => return None,
    };
    let [window_until, wary_until] = [window_until, wary_until].map(Time::from_nanos);
    Some(Latch { window_until, wary_until, state, ..Latch::new(signalled, false, Time::ZERO) })
}

impl Claim {
    const ALL: [Self; 4] = [Self::First, Self::Host, Self::Run, Self::Signalled];

    const fn number(self) -> u8 {
        self as u8
    }

    fn of_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// An address in numbers; family zero is none.
#[derive(Clone, Copy, Default)]
struct Flat {
    family: u8,
    port: u16,
    address: [u64; 2],
}

impl Flat {
    fn of(address: Option<SocketAddr>) -> Self {
        let Some(address) = address else { return Self::default() };
        let port = address.port();
        match address.ip() {
            IpAddr::V4(ip) => Self { family: 4, port, address: [u64::from(ip.to_bits()), 0] },
            IpAddr::V6(ip) => {
                let half = |octets: &[u8]| octets.iter().fold(0, |half, octet| half << 8 | u64::from(*octet));
                let octets = ip.octets();
                Self { family: 6, port, address: [half(&octets[..8]), half(&octets[8..])] }
            }
        }
    }

    /// The address, if there is one; the outer `None` means that these are no numbers of an address.
    #[allow(clippy::option_option)] // "No address" and "nonsense" are two things.
    fn address(self) -> Option<Option<SocketAddr>> {
        let ip: IpAddr = match (self.family, self.address) {
            (0, _) => return Some(None),
            (4, [bits, 0]) => Ipv4Addr::from_bits(u32::try_from(bits).ok()?).into(),
            (6, [high, low]) => Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low)).into(),
            _ => return None,
        };
        Some(Some(SocketAddr::new(ip, self.port)))
    }
}

/// Never that of words that nobody has written. Not against malice, but every single bit that changes changes it.
fn checksum(words: &Words) -> u64 {
    words.iter().fold(0x6d65_6469_6168_6131, |sum: u64, word| {
        (sum.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn memory() -> [AtomicU64; LATCH_WORDS] {
        [const { AtomicU64::new(0) }; LATCH_WORDS]
    }

    fn address() -> impl Strategy<Value = SocketAddr> {
        (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
    }

    fn latch() -> impl Strategy<Value = Latch> {
        let heard = (Time::ZERO + PROVEN).as_nanos()..;
        let held = (address(), heard, prop::sample::select(&Claim::ALL[..]), any::<bool>());
        let state = prop_oneof![
            Just(State::Strict),
            Just(State::Listening),
            held.prop_map(|(source, heard, claim, proven)| {
                let heard = Time::from_nanos(heard);
                State::Held { source, claim, since: if proven { heard - PROVEN } else { heard }, heard }
            }),
        ];
        (proptest::option::of(address()), any::<[u64; 2]>(), state).prop_map(|(signalled, times, state)| {
            let [window_until, wary_until] = times.map(Time::from_nanos);
            Latch { window_until, wary_until, state, ..Latch::new(signalled, false, Time::ZERO) }
        })
    }

    #[test]
    fn fresh_memory_is_no_latch() {
        assert_eq!(read(&memory()), None);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(latch in latch()) {
            let memory = memory();
            write(&latch, &memory);
            prop_assert_eq!(read(&memory), Some(latch));
        }

        /// The process is killed after `stores` stores of the second write.
        #[test]
        fn half_a_latch_is_none(before in latch(), after in latch(), stores in 1..LATCH_WORDS) {
            let (memory, whole) = (memory(), memory());
            write(&before, &memory);
            write(&after, &whole);
            for (place, word) in memory.iter().zip(&whole).take(stores) {
                place.store(word.load(Relaxed), Relaxed);
            }
            let found = read(&memory);
            prop_assert!(found.is_none() || found == Some(before) || found == Some(after), "{found:?}");
        }

        #[test]
        fn a_flipped_bit_makes_it_none(latch in latch(), word in 0..LATCH_WORDS, bit in 0..64) {
            let memory = memory();
            write(&latch, &memory);
            memory[word].fetch_xor(1_u64 << bit, Relaxed);
            prop_assert_eq!(read(&memory), None);
        }
    }
}
