//! The bytes of an input, read as choices. Past the end there are zeros, so that every input is a program.

/// What a fuzzer wants to happen.
pub(crate) struct Script<'a>(pub(crate) &'a [u8]);

impl Script<'_> {
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound.max(1)
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// The first of these two times of three, else any.
    pub(crate) fn mostly<T: Copy>(&mut self, of: &[T]) -> T {
        let drawn = self.byte();
        if drawn < 170 { of[0] } else { of[usize::from(drawn) % of.len()] }
    }

    /// The message, most often as it is, else with a few bytes changed.
    pub(crate) fn spoil(&mut self, mut message: Vec<u8>) -> Vec<u8> {
        const ODD: &[u8] = b"\0\xff\x80 \r\n:/=-0019aedliv\"{}[],";
        let times = usize::from(self.byte().saturating_sub(216)) % 4;
        for _ in 0..times {
            let at = (self.below(256) * 256 + self.below(256)) % (message.len() + 1);
            let end = (at + 1 + self.below(12)).min(message.len()).max(at);
            match self.below(6) {
                0 if at < message.len() => message[at] ^= 1 << self.below(8),
                1 if at < message.len() => message[at] = self.pick(ODD),
                2 => message.insert(at, self.pick(ODD)),
                3 => drop(message.drain(at..end)),
                4 => {
                    let piece = message[at..end].to_vec();
                    message.splice(at..at, piece);
                }
                _ => message.truncate(at),
            }
        }
        message
    }
}
