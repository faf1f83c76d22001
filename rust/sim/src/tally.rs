//! What the pool has judged, counted: for comparing one way of judging with another.

use mediaha_failover::{Event, ServerState};
use mediaha_time::{Duration, Time};

/// What a world came to in numbers.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Servers that were called dead, suspect, and nothing was wrong with them.
    pub deaths_unearned: u32,
    /// See `deaths_unearned`.
    pub suspicions_unearned: u32,
    /// Calls that were moved away from such servers.
    pub moves_unearned: u32,
    /// First offers that were taken, and those for which more than one server was asked.
    pub placed: u32,
    /// See `placed`.
    pub asked_twice: u32,
    /// How long after a server hung it was called dead.
    pub noticed_after: Option<Duration>,
}

impl Tally {
    /// The pool says something. `hung_at`: since when the server that it speaks of hangs, if it does.
    pub(crate) fn hear(&mut self, event: &Event, hung_at: Option<Time>, now: Time) {
        match (event, hung_at) {
            (Event::ServerState { state: ServerState::Dead, .. }, Some(since)) => {
                self.noticed_after.get_or_insert(now.since(since));
            }
            (Event::ServerState { state: ServerState::Dead, .. }, None) => self.deaths_unearned += 1,
            (Event::ServerState { state: ServerState::Suspect, why, .. }, None) if why != "not heard yet" => {
                self.suspicions_unearned += 1;
            }
            (Event::Moved { .. }, None) => self.moves_unearned += 1,
            (Event::Anchored { story, sdp, .. }, _) if !sdp.is_empty() => {
                self.placed += 1;
                self.asked_twice += u32::from(story.len() > 1);
            }
            _ => {}
        }
    }
}
