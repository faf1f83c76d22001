//! How many calls are being created anew at the same time: as many as the next server's socket holds, found by trying.
//!
//! ```text
//!   START ── a call was moved: one more ──▶ … ──▶ the configured limit
//!     ▲                                      │
//!     └──── MIN ◀── a request had to be sent again: an eighth less
//! ```
//!
//! A burst that overflows a server's socket buffer costs a retransmission timeout, which is longer than all the rest of
//! a move. A server that works on one request at a time is busy with far fewer than `START` of them.

/// A default Linux socket buffer holds about a hundred requests.
const START: usize = 64;
const MIN: usize = 16;

/// The window.
#[derive(Debug)]
pub(crate) struct Window {
    size: usize,
    max: usize,
}

impl Window {
    pub(crate) fn new(max: usize) -> Self {
        let max = max.max(1);
        Self { size: START.min(max), max }
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// A call was moved.
    pub(crate) fn grow(&mut self) {
        self.size = (self.size + 1).min(self.max);
    }

    /// A request of a move had to be sent again.
    pub(crate) fn shrink(&mut self) {
        self.size = (self.size - self.size / 8).max(MIN.min(self.max));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_between_its_bounds() {
        let mut window = Window::new(100);
        (0..1000).for_each(|_| window.grow());
        assert_eq!(window.size(), 100);
        (0..1000).for_each(|_| window.shrink());
        assert_eq!(window.size(), MIN);
        assert_eq!(Window::new(3).size(), 3);
    }
}
