//! The clock rates of payload types: static ones from RFC 3551 §6, dynamic ones from the SDP.

/// How many dynamic payload types of one stream are remembered. Further ones are taken for 8000 Hz.
const DYNAMIC_MAX: usize = 12;

/// Payload type to clock rate in Hz. The default knows the static payload types only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clocks {
    /// Apart from their rates, since the two together would take half as much again: there is one of these in every stream.
    types: [u8; DYNAMIC_MAX],
    hertz: [u32; DYNAMIC_MAX],
    known: u8,
}

impl Clocks {
    /// How many payload types are noted at most.
    pub const NOTED_MAX: usize = DYNAMIC_MAX;

    /// Notes that `payload_type` runs at `hertz`. Ignored when it is zero, or when the table is full: a jitter
    /// figure is all that is lost.
    pub fn note(&mut self, payload_type: u8, hertz: u32) {
        if hertz == 0 {
            return;
        }
        let free = usize::from(self.known);
        if let Some(place) = self.place(payload_type) {
            self.hertz[place] = hertz;
        } else if free < DYNAMIC_MAX {
            (self.types[free], self.hertz[free]) = (payload_type, hertz);
            self.known += 1;
        }
    }

    /// What was noted.
    #[must_use]
    pub fn noted(&self) -> impl ExactSizeIterator<Item = (u8, u32)> + '_ {
        self.types.into_iter().zip(self.hertz).take(self.known.into())
    }

    /// The rate in Hz of `payload_type`; 8000 for one that nobody described.
    #[must_use]
    pub fn hertz(&self, payload_type: u8) -> u32 {
        if let Some(place) = self.place(payload_type) {
            return self.hertz[place];
        }
        match payload_type {
            6 => 16_000,
            10 | 11 => 44_100,
            14 | 25 | 26 | 28 | 31..=34 => 90_000,
            16 => 11_025,
            17 => 22_050,
            _ => 8_000,
        }
    }

    fn place(&self, payload_type: u8) -> Option<usize> {
        self.types[..self.known.into()].iter().position(|&known| known == payload_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_sdp_says_overrules_the_static_table() {
        let mut clocks = Clocks::default();
        assert_eq!(clocks.hertz(0), 8_000);
        assert_eq!(clocks.hertz(34), 90_000);
        clocks.note(96, 48_000);
        clocks.note(0, 16_000);
        assert_eq!(clocks.hertz(96), 48_000);
        assert_eq!(clocks.hertz(0), 16_000);
    }

    #[test]
    fn a_full_table_forgets_the_newcomer() {
        let mut clocks = Clocks::default();
        for payload_type in 96..127 {
            clocks.note(payload_type, 48_000);
        }
        assert_eq!(clocks.hertz(96), 48_000);
        assert_eq!(clocks.hertz(126), 8_000);
    }
}
