//! What an endpoint expects to hear, and what it makes of what it hears.
use crate::gaps::{Gap, GapWatch};
use crate::histogram::Histogram;
use crate::payload::{PayloadError, Stamp};
use mediaha_time::{Duration, Time};

/// How far behind the newest a packet is still told from its own duplicate: 20 s of a 20 ms stream.
const WINDOW: u64 = 1024;

/// What a packet was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The peer's, whole, for the first time.
    Right,
    /// The peer's, whole, heard before.
    Duplicate,
    /// The peer's, but so late that it counts as lost.
    TooLate,
    /// Whole, but another endpoint's than the peer's.
    Misdirected,
    /// Nothing that any endpoint has sent.
    Corrupt,
}

/// Counts of packets by what they were found to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Right ones.
    pub received: u64,
    /// Numbers between the first and the newest that were never heard.
    pub lost: u64,
    /// Right ones that came after one with a higher number.
    pub reordered: u64,
    /// Heard again.
    pub duplicated: u64,
    /// Of a stranger.
    pub misdirected: u64,
    /// Of nobody.
    pub corrupt: u64,
}

/// The receiving side of an endpoint. Pure: the time comes with each packet.
#[derive(Clone, Debug)]
pub struct Listener {
    peer: Option<u32>,
    heard: Option<Heard>,
    counts: Counts,
    latency: Histogram,
    gaps: GapWatch,
}

/// The numbers heard from the peer.
#[derive(Clone, Debug)]
struct Heard {
    first: u64,
    newest: u64,
    distinct: u64,
    /// Bit n mod WINDOW: was number n, of the last WINDOW, heard?
    window: Box<[u64; (WINDOW / 64) as usize]>,
}

impl Listener {
    /// Expects nobody yet. Silences of at least `gap_min` will be remembered.
    #[must_use]
    pub fn new(gap_min: Duration) -> Self {
        Self {
            peer: None,
            heard: None,
            counts: Counts::default(),
            latency: Histogram::default(),
            gaps: GapWatch::new(gap_min),
        }
    }

    /// From now on only `peer` is right. What was heard so far stays counted.
    pub fn expect(&mut self, peer: u32) {
        if self.peer != Some(peer) {
            self.counts.lost = self.lost();
            self.heard = None;
            self.peer = Some(peer);
        }
    }

    /// Judges a packet that came at `now`.
    pub fn hear(&mut self, packet: Result<Stamp, PayloadError>, now: Time) -> Finding {
        let finding = match packet {
            Err(_) => Finding::Corrupt,
            Ok(stamp) if self.peer != Some(stamp.sender) => Finding::Misdirected,
            Ok(stamp) => self.number(stamp.number),
        };
        match finding {
            Finding::Right => {
                self.counts.received += 1;
                self.gaps.heard(now);
                if let Ok(stamp) = packet {
                    self.latency.add(now.since(stamp.sent_at));
                }
            }
            Finding::Duplicate => self.counts.duplicated += 1,
            Finding::TooLate => self.counts.reordered += 1,
            Finding::Misdirected => self.counts.misdirected += 1,
            Finding::Corrupt => self.counts.corrupt += 1,
        }
        finding
    }

    /// The peer stops on purpose at `now`: the silence is none of the network's.
    pub fn rest(&mut self, now: Time) {
        self.gaps.rest(now);
    }

    /// The counts as of now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts { lost: self.lost(), ..self.counts }
    }

    /// Who is expected.
    #[must_use]
    pub fn peer(&self) -> Option<u32> {
        self.peer
    }

    /// How long right packets were on their way.
    #[must_use]
    pub fn latency(&self) -> &Histogram {
        &self.latency
    }

    /// The longest time between two right packets.
    #[must_use]
    pub fn longest_gap(&self, now: Time) -> Option<Gap> {
        self.gaps.longest(now)
    }

    /// Silences remembered, oldest first.
    pub fn gaps(&self, now: Time) -> impl Iterator<Item = Gap> + '_ {
        self.gaps.all(now)
    }

    fn lost(&self) -> u64 {
        let missing = self.heard.as_ref().map_or(0, |heard| {
            let expected = (heard.newest - heard.first).saturating_add(1);
            expected.saturating_sub(heard.distinct)
        });
        self.counts.lost + missing
    }

    fn number(&mut self, number: u64) -> Finding {
        let Some(heard) = &mut self.heard else {
            self.heard = Some(Heard::begin(number));
            return Finding::Right;
        };
        if number > heard.newest {
            heard.advance(number);
            return Finding::Right;
        }
        if heard.newest - number >= WINDOW {
            return Finding::TooLate;
        }
        if heard.mark(number) {
            return Finding::Duplicate;
        }
        heard.first = heard.first.min(number);
        self.counts.reordered += 1;
        Finding::Right
    }
}

impl Heard {
    fn begin(number: u64) -> Self {
        let mut heard = Self { first: number, newest: number, distinct: 0, window: Box::new([0; 16]) };
        heard.mark(number);
        heard
    }

    /// Makes `number` the newest; the numbers that were skipped count as not heard.
    fn advance(&mut self, number: u64) {
        let skipped = (number - self.newest).min(WINDOW);
        for back in 0..skipped {
            let (word, bit) = place(number - back);
            self.window[word] &= !bit;
        }
        self.newest = number;
        self.mark(number);
    }

    /// Notes that `number` was heard; tells whether it had been before.
    fn mark(&mut self, number: u64) -> bool {
        let (word, bit) = place(number);
        let before = self.window[word] & bit != 0;
        self.window[word] |= bit;
        self.distinct += u64::from(!before);
        before
    }
}

fn place(number: u64) -> (usize, u64) {
    let slot = number % WINDOW;
    // Below WINDOW / 64, so it fits any usize.
    #[allow(clippy::cast_possible_truncation)]
    ((slot / 64) as usize, 1 << (slot % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::{packet, stamp_untrusted};

    const RUN: u64 = 99;
    const PEER: u32 = 5;

    fn stamp(number: u64) -> Stamp {
        Stamp { run: RUN, sender: PEER, number, sent_at: Time::from_millis(number * 20) }
    }

    fn listener_that_heard(numbers: &[u64]) -> Listener {
        let mut listener = Listener::new(Duration::from_millis(50));
        listener.expect(PEER);
        for number in numbers {
            listener.hear(Ok(stamp(*number)), Time::from_millis(number * 20 + 3));
        }
        listener
    }

    #[test]
    fn a_whole_stream_is_right_and_its_latency_known() {
        let listener = listener_that_heard(&(0..3000).collect::<Vec<_>>());
        assert_eq!(listener.counts(), Counts { received: 3000, ..Counts::default() });
        assert_eq!(listener.latency().longest(), Some(Duration::from_millis(3)));
        assert_eq!(listener.gaps(Time::from_millis(60_000)).count(), 0);
    }

    #[test]
    fn what_is_missing_between_first_and_newest_is_lost() {
        assert_eq!(listener_that_heard(&[10, 11, 15]).counts().lost, 3);
        assert_eq!(listener_that_heard(&[0, 5_000]).counts().lost, 4_999);
    }

    #[test]
    fn a_late_packet_is_reordered_and_lost_no_more() {
        let counts = listener_that_heard(&[1, 3, 2, 0]).counts();
        assert_eq!(counts, Counts { received: 4, reordered: 2, ..Counts::default() });
    }

    #[test]
    fn a_packet_heard_twice_is_counted_once() {
        let counts = listener_that_heard(&[0, 1, 1, 0, 2]).counts();
        assert_eq!(counts, Counts { received: 3, duplicated: 2, ..Counts::default() });
    }

    #[test]
    fn a_packet_of_another_age_is_too_late() {
        let mut listener = listener_that_heard(&[0, 2_000]);
        assert_eq!(listener.hear(Ok(stamp(1)), Time::from_millis(60_000)), Finding::TooLate);
        assert_eq!(listener.counts().lost, 1_999);
    }

    #[test]
    fn a_strangers_packet_is_misdirected_and_ends_no_silence() {
        let mut listener = listener_that_heard(&[0, 1]);
        let stranger = Stamp { sender: 6, ..stamp(2) };
        assert_eq!(listener.hear(Ok(stranger), Time::from_millis(500)), Finding::Misdirected);
        assert_eq!(listener.gaps(Time::from_millis(501)).count(), 1);
    }

    #[test]
    fn a_broken_packet_is_corrupt_and_ends_no_silence() {
        let mut listener = listener_that_heard(&[0, 1]);
        let mut broken = packet(&stamp(2));
        broken[100] ^= 1;
        assert_eq!(listener.hear(stamp_untrusted(&broken, RUN), Time::from_millis(500)), Finding::Corrupt);
        assert_eq!(listener.counts(), Counts { received: 2, corrupt: 1, ..Counts::default() });
        assert_eq!(listener.gaps(Time::from_millis(501)).count(), 1);
    }

    #[test]
    fn a_new_peer_is_expected_from_its_own_first_packet() {
        let mut listener = listener_that_heard(&[0, 2]);
        listener.expect(6);
        listener.hear(Ok(Stamp { sender: 6, ..stamp(700) }), Time::from_millis(100));
        assert_eq!(listener.counts(), Counts { received: 3, lost: 1, ..Counts::default() });
    }
}
