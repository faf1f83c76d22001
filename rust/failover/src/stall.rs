//! Was it us? A tick that comes late means that the pool itself did not run: no server is blamed for that time, be it ever so short.
//!
//! ```text
//!   Running ── woken later than stall_ms_min ──▶ Grace: inputs are taken, nothing times out
//!      ▲                                           │ GRACE later: the replies that had queued up have been read
//!      └───────────────────────────────────────────┘
//! ```

use mediaha_time::{Duration, Time};

/// Long enough to read what has queued up in the sockets meanwhile.
const GRACE: Duration = Duration::from_millis(10);
/// Nobody wakes more punctually than this.
const PUNCTUAL: Duration = Duration::from_millis(2);

/// Watches the pool's own punctuality.
#[derive(Debug, Default)]
pub(crate) struct StallGuard {
    state: State,
    /// When the pool was last seen to run.
    ran_at: Time,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Running,
    Grace {
        until: Time,
    },
}

impl StallGuard {
    /// The pool runs at `now`, and had wanted to at `due`. Gives how long it was stopped, when it was.
    pub(crate) fn woken(&mut self, due: Option<Time>, stall_ms_min: u64, now: Time) -> Option<Duration> {
        // What comes before the tick that is overdue finds a pool that runs already.
        let ran_at = std::mem::replace(&mut self.ran_at, now);
        let late = now.since(due?.max(ran_at));
        // A second stall right after the first excuses the servers too, but must not put off the timers for ever.
        if late >= Duration::from_millis(stall_ms_min) && matches!(self.state, State::Running) {
            self.state = State::Grace { until: now + GRACE };
        }
        (late >= PUNCTUAL).then_some(late)
    }

    /// Whether timers may go off.
    pub(crate) fn is_running(&mut self, now: Time) -> bool {
        if matches!(self.state, State::Grace { until } if now >= until) {
            self.state = State::Running;
        }
        matches!(self.state, State::Running)
    }

    /// No timer goes off before this.
    pub(crate) fn not_before(&self) -> Time {
        match self.state {
            State::Running => Time::ZERO,
            State::Grace { until } => until,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_tick_holds_the_timers_back_once() {
        let at = Time::from_millis;
        let mut guard = StallGuard::default();
        assert_eq!(guard.woken(Some(at(100)), 20, at(101)), None);
        assert_eq!(guard.woken(Some(at(110)), 20, at(115)), Some(Duration::from_millis(5)));
        assert!(guard.is_running(at(115)), "too short for much to have come");
        assert_eq!(guard.woken(Some(at(150)), 20, at(950)), Some(Duration::from_millis(800)));
        assert!(!guard.is_running(at(950)));
        assert_eq!(guard.woken(Some(at(150)), 20, at(951)), None, "it runs already");
        assert_eq!(guard.woken(Some(guard.not_before()), 20, at(1500)), Some(Duration::from_millis(540)));
        assert!(guard.is_running(at(1500)));
    }
}
