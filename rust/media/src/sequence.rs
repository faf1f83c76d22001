//! Loss and jitter of what one party sends (RFC 3550 A.1, A.3 and A.8), added up over changes of its SSRC.
//!
//! Differs from the RFC's text in two ways. There is no probation: a relay forwards the first packet, so that it
//! also counts it. Jitter is kept in nanoseconds instead of timestamp units, as one party may use payload types
//! with different clock rates.

use mediaha_time::Time;

use crate::rtp::Header;

/// A jump forward of this many packets or more may be a restart (RFC 3550 A.1).
const DROPOUT_MAX: u16 = 3_000;
/// So may one backward by more than this; by less it is a late packet.
const MISORDER_MAX: u16 = 100;

/// The account of one party's packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    run: Option<Run>,
    /// Numbers that have gone by since this account was opened, and packets that bore one of them.
    expected: u64,
    received: u64,
    ssrc_changes: u64,
}

/// An unbroken run of one SSRC: all that is to be known to go on with its account elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Whose packets they are.
    pub ssrc: u32,
    /// The highest sequence number so far, modulo 2¹⁶.
    pub highest: u16,
    /// What would follow the last implausible packet: two in a row are a restart.
    pub restart: Option<u16>,
    /// The last packet.
    pub last: Arrival,
    /// Sixteen times the jitter in nanoseconds, as A.8 keeps it.
    pub jitter_16: u64,
}

/// When a packet came, and what it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When.
    pub at: Time,
    /// Its timestamp.
    pub timestamp: u32,
    /// How fast the clock of that timestamp runs.
    pub hertz: u32,
}

/// How far one SSRC had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    ssrc: u32,
    highest: u16,
}

impl Trace {
    /// Whether a packet comes soon after.
    pub(crate) fn goes_on_with(self, header: &Header) -> bool {
        let ahead = header.sequence.wrapping_sub(self.highest);
        header.ssrc == self.ssrc && (1..DROPOUT_MAX).contains(&ahead)
    }
}

impl Sequence {
    /// Counts one packet that arrived at `now`, whose payload type's clock runs at `hertz`.
    pub fn arrived(&mut self, header: &Header, hertz: u32, now: Time) {
        let arrival = Arrival { at: now, timestamp: header.timestamp, hertz };
        match &mut self.run {
            Some(run) if run.ssrc == header.ssrc => {
                let step = run.step(header.sequence);
                if step == Step::Restart {
                    self.begin(header, arrival);
                    return;
                }
                run.jitter(arrival);
                if let Step::Counted { ahead } = step {
                    self.expected += u64::from(ahead);
                    self.received += 1;
                }
            }
            Some(_) => {
                self.ssrc_changes += 1;
                self.begin(header, arrival);
            }
            None => self.begin(header, arrival),
        }
    }

    /// The last SSRC; `None` before the first packet.
    #[must_use]
    pub fn ssrc(&self) -> Option<u32> {
        self.run.map(|run| run.ssrc)
    }

    /// The highest sequence number of that SSRC, wraparounds not counted.
    #[must_use]
    pub fn highest(&self) -> Option<u16> {
        self.run.map(|run| run.highest)
    }

    /// How far the run has come; `None` before the first packet.
    pub(crate) fn trace(&self) -> Option<Trace> {
        self.run.map(|run| Trace { ssrc: run.ssrc, highest: run.highest })
    }

    /// An account that goes on where another one stood. What was lost meanwhile is counted, short of a whole wraparound.
    #[must_use]
    pub fn resumed(ssrc: u32, highest: u16, lost: u64, ssrc_changes: u64, jitter_ns: u64) -> Self {
        let run = Run {
            ssrc,
            highest,
            restart: None,
            // No clock rate: the first packet is compared with nothing.
            last: Arrival { at: Time::ZERO, timestamp: 0, hertz: 0 },
            jitter_16: jitter_ns.saturating_mul(16),
        };
        Self { run: Some(run), expected: lost, received: 0, ssrc_changes }
    }

    /// How often the SSRC changed.
    #[must_use]
    pub fn ssrc_changes(&self) -> u64 {
        self.ssrc_changes
    }

    /// Packets that never arrived: expected minus received. Duplicates may hide some, as the RFC has it.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.received)
    }

    /// The interarrival jitter in nanoseconds.
    #[must_use]
    pub fn jitter_ns(&self) -> u64 {
        self.run.map_or(0, |run| run.jitter_16 >> 4)
    }

    /// The run that is under way, for somebody else to go on with.
    #[must_use]
    pub fn run(&self) -> Option<Run> {
        self.run
    }

    /// Goes on where somebody else has left off. What was lost meanwhile is in that one's account, not in this.
    pub fn resume(&mut self, run: Run) {
        self.run = Some(run);
    }

    fn begin(&mut self, header: &Header, last: Arrival) {
        // Duplicates of one run do not hide what another one loses.
        self.expected = self.expected.max(self.received) + 1;
        self.received += 1;
        self.run = Some(Run { ssrc: header.ssrc, highest: header.sequence, restart: None, last, jitter_16: 0 });
    }
}

/// What a packet means to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The highest number is so much higher now.
    Counted { ahead: u16 },
    /// It came from nowhere, and is not counted: it would make thousands look lost.
    Stray,
    /// It is the second one from there.
    Restart,
}

impl Run {
    fn step(&mut self, sequence: u16) -> Step {
        let ahead = sequence.wrapping_sub(self.highest);
        if ahead < DROPOUT_MAX {
            self.highest = sequence;
            self.restart = None;
            return Step::Counted { ahead };
        }
        if ahead > u16::MAX - MISORDER_MAX {
            self.restart = None;
            return Step::Counted { ahead: 0 };
        }
        if self.restart == Some(sequence) {
            return Step::Restart;
        }
        self.restart = Some(sequence.wrapping_add(1));
        Step::Stray
    }

    /// RFC 3550 A.8: J += (|D| - J) / 16, where D compares the spacing of arrivals with that of timestamps.
    fn jitter(&mut self, arrival: Arrival) {
        let last = std::mem::replace(&mut self.last, arrival);
        // Timestamps of different clocks cannot be subtracted.
        if last.hertz != arrival.hertz || arrival.hertz == 0 {
            return;
        }
        let samples = i64::from(arrival.timestamp.wrapping_sub(last.timestamp).cast_signed());
        let meant_ns = samples * 1_000_000_000 / i64::from(arrival.hertz);
        let took_ns = i64::try_from(arrival.at.since(last.at).as_nanos()).unwrap_or(i64::MAX);
        let difference = took_ns.saturating_sub(meant_ns).unsigned_abs();
        self.jitter_16 = self.jitter_16.saturating_add(difference).saturating_sub((self.jitter_16 + 8) >> 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(ssrc: u32, sequence: u16) -> Header {
        Header { payload_type: 0, sequence, timestamp: u32::from(sequence) * 160, ssrc }
    }

    fn account(ssrc: u32, sequences: impl IntoIterator<Item = u16>, account: &mut Sequence) {
        for (index, sequence) in sequences.into_iter().enumerate() {
            account.arrived(&header(ssrc, sequence), 8_000, Time::from_millis(20 * index as u64));
        }
    }

    fn lost_of(sequences: impl IntoIterator<Item = u16>) -> u64 {
        let mut sequence = Sequence::default();
        account(1, sequences, &mut sequence);
        sequence.lost()
    }

    #[test]
    fn a_gap_across_the_wraparound_is_counted_once() {
        assert_eq!(lost_of([65_533, 65_534, 1, 2]), 2);
    }

    #[test]
    fn a_late_packet_is_no_loss_and_no_wraparound() {
        assert_eq!(lost_of([65_534, 0, 65_535, 1]), 0);
        assert_eq!(lost_of([5, 4, 6]), 0);
    }

    #[test]
    fn one_stray_sequence_number_is_not_thousands_of_losses() {
        assert_eq!(lost_of([10, 11, 40_000, 12, 13]), 0);
    }

    #[test]
    fn a_restart_of_the_numbering_keeps_the_losses_before_it() {
        assert_eq!(lost_of([10, 12, 40_000, 40_001, 40_003]), 2);
    }

    #[test]
    fn a_new_ssrc_starts_a_new_run_and_keeps_the_old_losses() {
        let mut sequence = Sequence::default();
        account(1, [1, 2, 5], &mut sequence);
        account(2, [9_000, 9_002], &mut sequence);
        assert_eq!((sequence.lost(), sequence.ssrc_changes(), sequence.ssrc()), (3, 1, Some(2)));
    }

    #[test]
    fn an_account_that_is_kept_in_two_places_by_turns_loses_nothing_between_them() {
        let (mut one, mut other) = (Sequence::default(), Sequence::default());
        account(1, [65_530, 65_532, 65_533], &mut one);
        other.resume(one.run().unwrap());
        account(1, [65_534, 1, 2], &mut other);
        one.resume(other.run().unwrap());
        account(1, [3, 4, 7], &mut one);
        assert_eq!((one.lost(), other.lost()), (1 + 2, 2));
        assert_eq!((other.ssrc_changes(), other.ssrc()), (0, Some(1)));
    }

    #[test]
    fn an_even_pace_has_no_jitter_and_an_uneven_one_has() {
        let mut even = Sequence::default();
        account(1, 0..100, &mut even);
        assert_eq!(even.jitter_ns(), 0);
        let mut uneven = Sequence::default();
        for index in 0..1_000_u16 {
            let late = if index % 2 == 0 { 0 } else { 4 };
            uneven.arrived(&header(1, index), 8_000, Time::from_millis(20 * u64::from(index) + late));
        }
        // Every |D| is 4 ms, and that is what J converges to.
        assert!((3_900_000..=4_000_000).contains(&uneven.jitter_ns()), "{}", uneven.jitter_ns());
    }

    #[test]
    fn a_change_of_clock_rate_is_no_jitter() {
        let mut sequence = Sequence::default();
        sequence.arrived(&Header { timestamp: 0, ..header(1, 0) }, 8_000, Time::ZERO);
        sequence.arrived(&Header { timestamp: 1 << 30, ..header(1, 1) }, 48_000, Time::from_millis(20));
        assert_eq!(sequence.jitter_ns(), 0);
    }

    #[test]
    fn an_account_that_is_resumed_counts_what_was_lost_meanwhile() {
        let mut before = Sequence::default();
        account(1, [1, 2, 5], &mut before);
        let (highest, jitter) = (before.highest().unwrap(), before.jitter_ns());
        let mut after = Sequence::resumed(1, highest, before.lost(), before.ssrc_changes(), jitter);
        assert_eq!((after.lost(), after.ssrc(), after.jitter_ns()), (2, Some(1), jitter));
        account(1, [8, 9], &mut after);
        assert_eq!((after.lost(), after.ssrc_changes()), (4, 0));
    }

    /// Sequence number, timestamp, SSRC, clock rate, time of arrival.
    fn packet() -> impl Strategy<Value = (u16, u32, u32, u32, u64)> {
        (any::<u16>(), any::<u32>(), 0_u32..3, any::<u32>(), any::<u64>())
    }

    proptest! {
        /// The oracle numbers packets without wrapping; the packets overtake each other by less than the limit.
        #[test]
        fn losses_agree_with_an_account_kept_in_wide_numbers(
            start in 0_u64..200_000,
            arrives in proptest::collection::vec((proptest::bool::weighted(0.9), 0_u64..40), 1..3_000),
        ) {
            let mut order: Vec<(u64, u64)> = arrives
                .iter()
                .enumerate()
                .filter(|(_, (arrives, _))| *arrives)
                .map(|(index, (_, late))| (index as u64 + late, start + index as u64))
                .collect();
            order.sort_unstable();
            prop_assume!(!order.is_empty());
            let mut sequence = Sequence::default();
            for (moment, number) in &order {
                let number = u16::try_from(number % 65_536).unwrap();
                sequence.arrived(&header(7, number), 8_000, Time::from_millis(*moment));
            }
            let first = order[0].1;
            let highest = order.iter().map(|(_, number)| *number).max().unwrap();
            let expected = highest - first + 1;
            prop_assert_eq!(sequence.lost(), expected.saturating_sub(order.len() as u64));
        }

        #[test]
        fn no_sequence_of_headers_breaks_the_account(
            packets in proptest::collection::vec(packet(), 0..200),
        ) {
            let mut sequence = Sequence::default();
            for (number, timestamp, ssrc, hertz, nanos) in packets {
                let header = Header { timestamp, ..header(ssrc, number) };
                sequence.arrived(&header, hertz, Time::from_nanos(nanos));
                let _ = (sequence.lost(), sequence.jitter_ns());
            }
        }
    }
}
