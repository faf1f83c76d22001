//! What of a party's packets is withheld from the other one, because a client has asked for it.

/// What is withheld. Each is asked for, and taken back, by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Blocks {
    /// `block media`: everything but telephone events and reports.
    pub media: bool,
    /// `silence media`: the same, as a relay does not write packets of its own.
    pub silence: bool,
    /// `block DTMF`: telephone events.
    pub dtmf: bool,
}

impl Blocks {
    /// What is withheld by either of the two.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            media: self.media | other.media,
            silence: self.silence | other.silence,
            dtmf: self.dtmf | other.dtmf,
        }
    }

    /// Whether nothing is withheld.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        !(self.media || self.silence || self.dtmf)
    }

    /// Whether media packets are, of the payload types of telephone events or of others.
    pub(crate) const fn withholds(self, event: bool) -> bool {
        if event { self.dtmf } else { self.media || self.silence }
    }

    /// All of it in a byte.
    pub(crate) const fn to_bits(self) -> u8 {
        self.media as u8 | (self.silence as u8) << 1 | (self.dtmf as u8) << 2
    }

    /// What [`Self::to_bits`] gave; `None` if it cannot have.
    pub(crate) const fn from_bits(bits: u8) -> Option<Self> {
        if bits >> 3 != 0 {
            return None;
        }
        Some(Self { media: bits & 1 != 0, silence: bits & 2 != 0, dtmf: bits & 4 != 0 })
    }
}

/// Which payload types of a stream are telephone events (RFC 4733).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// A bit for each payload type; two halves, so that a stream is not made larger by what a larger number must be aligned to.
    halves: [u64; 2],
}

impl Events {
    /// Notes whether a payload type is one. Of what is said twice the last counts; types past 127 do not exist.
    pub fn note(&mut self, payload_type: u8, event: bool) {
        let Some(half) = self.halves.get_mut(usize::from(payload_type / 64)) else { return };
        let bit = 1 << (payload_type % 64);
        *half = if event { *half | bit } else { *half & !bit };
    }

    /// Whether a payload type is one.
    #[must_use]
    pub fn has(self, payload_type: u8) -> bool {
        self.halves.get(usize::from(payload_type / 64)).is_some_and(|half| half >> (payload_type % 64) & 1 == 1)
    }

    /// All of it in two numbers.
    pub(crate) const fn to_bits(self) -> [u64; 2] {
        self.halves
    }

    /// What [`Self::to_bits`] gave.
    pub(crate) const fn from_bits(halves: [u64; 2]) -> Self {
        Self { halves }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_and_other_media_are_blocked_by_themselves() {
        let withheld = |blocks: Blocks| [false, true].map(|event| blocks.withholds(event));
        assert_eq!(withheld(Blocks::default()), [false, false]);
        assert_eq!(withheld(Blocks { media: true, ..Blocks::default() }), [true, false]);
        assert_eq!(withheld(Blocks { silence: true, ..Blocks::default() }), [true, false]);
        assert_eq!(withheld(Blocks { dtmf: true, ..Blocks::default() }), [false, true]);
    }

    #[test]
    fn blocks_are_read_back_and_nonsense_is_not() {
        for bits in 0..8 {
            assert_eq!(Blocks::from_bits(bits).map(Blocks::to_bits), Some(bits));
        }
        assert_eq!(Blocks::from_bits(8), None);
    }

    #[test]
    fn a_payload_type_that_is_given_to_something_else_is_no_event_any_more() {
        let mut events = Events::default();
        for payload_type in [0, 63, 64, 101, 127, 128, 255] {
            events.note(payload_type, true);
        }
        assert!([0, 63, 64, 101, 127].into_iter().all(|it| events.has(it)));
        assert!(!events.has(128) && !events.has(255) && !events.has(100));
        events.note(101, false);
        assert!(!events.has(101) && events.has(127));
    }
}
