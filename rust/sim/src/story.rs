//! What happened, in lines, the newest of them.

use std::collections::VecDeque;
use std::fmt;

use mediaha_time::Time;

/// Keeps so many lines; the oldest go first.
const LINES_MAX: usize = 4_000;

/// A story, or none: most worlds need not be told.
#[derive(Debug, Default)]
pub struct Story {
    told: bool,
    lines: VecDeque<String>,
}

impl Story {
    /// One that is told or not.
    pub(crate) fn new(told: bool) -> Self {
        Self { told, lines: VecDeque::new() }
    }

    /// One line of it, which is made only if somebody wants it.
    pub(crate) fn tell(&mut self, now: Time, line: impl FnOnce() -> String) {
        if !self.told {
            return;
        }
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        let micros = now.as_nanos() / 1000;
        self.lines.push_back(format!("{:>6}.{:03} ms  {}", micros / 1000, micros % 1000, line()));
    }
}

impl fmt::Display for Story {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(formatter, "{line}"))
    }
}
