//! The pool: composition of what the other modules decide.

use std::collections::VecDeque;

use mediaha_time::Time;

use crate::config::Config;
use crate::event::ServerView;
use crate::exchange::{Input, Output};

/// Watches media servers, places calls on them, and moves the calls of one that dies.
///
/// After each [`handle`](Self::handle), take [`next_output`](Self::next_output) until it is `None`, then come back
/// with a `Tick` at [`wake_at`](Self::wake_at) or with whatever happens before.
#[derive(Debug)]
pub struct Pool {
    outbox: VecDeque<Output>,
}

impl Pool {
    /// A pool without servers. `seed` decides where cookies start; two runs with the same seed and inputs are the same.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Self {
        let _ = (config, seed);
        Self { outbox: VecDeque::new() }
    }

    /// Something happened at `now`, which never runs backwards.
    pub fn handle(&mut self, input: Input, now: Time) {
        let _ = (input, now);
    }

    /// The next thing to do, oldest first.
    pub fn next_output(&mut self) -> Option<Output> {
        self.outbox.pop_front()
    }

    /// When the next `Tick` is wanted; `None` while there is nothing to wait for.
    #[must_use]
    pub fn wake_at(&self) -> Option<Time> {
        None
    }

    /// The servers in the order of the last [`Command::Servers`](crate::Command::Servers), then those that are
    /// configured no longer and still have calls.
    #[must_use]
    pub fn servers(&self) -> Vec<ServerView> {
        Vec::new()
    }
}
