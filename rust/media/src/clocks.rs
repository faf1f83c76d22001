//! The clock rates of payload types: static ones from RFC 3551 §6, dynamic ones from the SDP.

/// How many dynamic payload types of one stream are remembered. Further ones are taken for 8000 Hz.
const DYNAMIC_MAX: usize = 12;

/// Payload type to clock rate in Hz. The default knows the static payload types only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clocks {
    dynamic: [(u8, u32); DYNAMIC_MAX],
    known: usize,
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
        if let Some(entry) = self.dynamic[..self.known].iter_mut().find(|entry| entry.0 == payload_type) {
            entry.1 = hertz;
        } else if let Some(free) = self.dynamic.get_mut(self.known) {
            *free = (payload_type, hertz);
            self.known += 1;
        }
    }

    /// What was noted.
    #[must_use]
    pub fn noted(&self) -> impl ExactSizeIterator<Item = (u8, u32)> + '_ {
        self.dynamic[..self.known].iter().copied()
    }

    /// The rate in Hz of `payload_type`; 8000 for one that nobody described.
    #[must_use]
    pub fn hertz(&self, payload_type: u8) -> u32 {
        if let Some(entry) = self.dynamic[..self.known].iter().find(|entry| entry.0 == payload_type) {
            return entry.1;
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
