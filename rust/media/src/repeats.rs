//! Decides: whether a packet goes round in a circle.
//!
//! A circle within this server is never built (`controller/circles.rs`). Through somebody else's relay one can be: the SDP of both
//! parties names ports there, whose parties are named here. Then one packet would go round as fast as two servers can
//! send it. Nothing in a packet says how often it has come by, so that it has to be known again: the same bytes, again and again.
//!
//! Of a party that sends no more than people who talk do, nothing is remembered: a circle so slow does no harm, and may be none. Of others,
//! a table has for each of its places a packet, and how often it has come. Where more packets go round than there are places, they
//! share them: one that comes seldom takes the place of another, or else, always in the same order, they would put each other out before any
//! of them comes again. What is dropped is gone from the circle for good, so that it dries up.
//!
//! Packets that are sent twice on purpose (RFC 7198), or come twice for a fault of the network, go on.

use mediaha_time::{Duration, Time};

/// A party that sends more in a second is watched.
const UNWATCHED_PER_S: u32 = 250;
const SECOND: Duration = Duration::from_secs(1);
/// How often the same packet goes on.
const TIMES_MAX: u32 = 3;
const PLACES: usize = 256;
/// One in so many packets takes a place that another one has.
const TAKES: u32 = 16;
/// A packet is known by its length and so many bytes of its beginning: all headers, and some sound.
const KNOWN_BYTES: usize = 64;

/// What is remembered of one party's packets.
#[derive(Debug)]
pub(crate) struct Repeats {
    since: Time,
    counted: u32,
    /// For each place, which packet and in the lowest two bits how often. Only of a party that sends much.
    last: Option<Box<[u32; PLACES]>>,
    any: bool,
    dice: u32,
}

impl Default for Repeats {
    fn default() -> Self {
        Self { since: Time::ZERO, counted: 0, last: None, any: false, dice: 0 }
    }
}

impl Repeats {
    /// Whether a packet that comes `now` has come too often.
    #[inline]
    pub(crate) fn is_one(&mut self, bytes: &[u8], now: Time) -> bool {
        self.counted += 1;
        if now.since(self.since) >= SECOND {
            self.watch(now);
        } else if self.counted > UNWATCHED_PER_S && self.last.is_none() {
            self.last = Some(Box::new([0; PLACES]));
        }
        self.last.as_deref_mut().is_some_and(|last| {
            let is_one = comes_again(last, bytes, &mut self.dice);
            self.any |= is_one;
            is_one
        })
    }

    /// Whether there was one.
    pub(crate) fn any(&self) -> bool {
        self.any
    }

    #[cold]
    fn watch(&mut self, now: Time) {
        if self.counted <= UNWATCHED_PER_S || now.since(self.since) >= 2 * SECOND {
            self.last = None;
        }
        (self.since, self.counted) = (now, 0);
    }
}

fn comes_again(last: &mut [u32; PLACES], bytes: &[u8], dice: &mut u32) -> bool {
    let mark = mark(bytes);
    let place = &mut last[(mark >> 8) as usize % PLACES];
    if *place & !3 == mark & !3 {
        let times = *place & 3;
        *place = (mark & !3) | TIMES_MAX.min(times + 1);
        return times == TIMES_MAX;
    }
    // Which of them does is to have nothing to do with the order in which they come.
    *dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    if *place == 0 || *dice < u32::MAX / TAKES {
        *place = (mark & !3) | 1;
    }
    false
}

/// A number that is another one for nearly every other packet.
fn mark(bytes: &[u8]) -> u32 {
    let known = &bytes[..bytes.len().min(KNOWN_BYTES)];
    let (words, rest) = known.as_chunks::<8>();
    let rest = rest.iter().fold(bytes.len() as u64, |rest, byte| rest << 8 | u64::from(*byte));
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    let sum = words
        .chain([rest])
        .fold(0, |sum: u64, word| (sum.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    (sum >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(number: u32) -> Vec<u8> {
        [&b"\x80\x08"[..], &number.to_be_bytes()[2..], &(number * 160).to_be_bytes(), &[7; 164]].concat()
    }

    /// How many of these packets, so many of them in a second, go on.
    fn go_on(repeats: &mut Repeats, numbers: impl Iterator<Item = u32>, per_s: u64) -> usize {
        numbers
            .enumerate()
            .filter(|(index, number)| {
                !repeats.is_one(&packet(*number), Time::from_nanos(*index as u64 * 1_000_000_000 / per_s))
            })
            .count()
    }

    #[test]
    fn a_video_goes_on_and_so_does_one_that_is_sent_twice() {
        assert_eq!(go_on(&mut Repeats::default(), 0..60_000, 5_000), 60_000);
        assert_eq!(go_on(&mut Repeats::default(), (0..60_000).map(|it| it / 2), 5_000), 60_000);
    }

    #[test]
    fn a_party_that_sends_little_is_not_watched() {
        let mut repeats = Repeats::default();
        assert_eq!(go_on(&mut repeats, std::iter::repeat_n(7, 2_000), 100), 2_000);
        assert!(repeats.last.is_none() && !repeats.any());
    }

    #[test]
    fn a_party_that_sends_less_again_is_watched_no_longer() {
        let mut repeats = Repeats::default();
        go_on(&mut repeats, 0..3_000, 1_000);
        assert!(repeats.last.is_some());
        for number in 0..300 {
            repeats.is_one(&packet(number), Time::from_millis(3_000 + 20 * u64::from(number)));
        }
        assert!(repeats.last.is_none());
    }

    /// Each that goes on comes back: a few packets, and so many that they put each other out of the table.
    #[test]
    fn what_goes_round_dries_up() {
        for many in [1, 50, 1_000, 4_000] {
            let (mut repeats, mut round) = (Repeats::default(), (0..many).map(packet).collect::<Vec<_>>());
            let (mut now, mut forwarded) = (Time::ZERO, 0_u64);
            while !round.is_empty() {
                // Fifty thousand in a second, and a millisecond for the way at the least.
                round.retain(|packet| {
                    now = now + Duration::from_micros(20);
                    !repeats.is_one(packet, now)
                });
                now = now + Duration::from_millis(1);
                forwarded += round.len() as u64;
                assert!(now < Time::from_millis(60_000), "{many}: {} go round still", round.len());
            }
            assert!(forwarded < u64::from(many) * 200 + 300, "{many}: {forwarded}");
            assert!(repeats.any());
        }
    }
}
