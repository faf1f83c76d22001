//! What can be wrong with a server or the way to it, for a while.

use mediaha_time::Time;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The process is not there. Its memory is gone.
    Down,
    /// The process is stopped: what is sent to it waits in its socket.
    Hung,
    /// Nothing reaches the server.
    DeafServer,
    /// Nothing the server says is heard.
    DumbServer,
    /// Packets are lost in both directions.
    Loss {
        /// How many in a thousand.
        permille: u64,
    },
    /// Packets take up to this much longer, each its own time, and so overtake one another.
    Delay {
        /// The longest.
        ms_max: u64,
    },
    /// Packets come twice.
    Duplication {
        /// How many in a thousand.
        permille: u64,
    },
    /// It answers every offer and answer with an error.
    Failing {
        /// Which text.
        reason: &'static str,
    },
    /// It takes no new calls.
    Draining,
    /// It is not in the configuration.
    Unlisted,
    /// It answers, and forwards no media.
    Gray,
    /// The process is gone, and what it had waits for the next one, as does what is sent to its sockets.
    Succession(Ending),
}

/// How a succession ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The next process goes on with all that there was.
    Adopted,
    /// It finds the table damaged, and starts without a memory.
    Refused,
    /// There is none in time, and what was left is thrown away.
    NobodyInTime,
}

/// The effects that are at work on one server.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    active: Vec<(u64, Effect)>,
    /// Since when nothing is wrong.
    fit_since: Option<Time>,
    /// Since when nothing is wrong but that one process follows another in time.
    sound_since: Option<Time>,
    /// When it has begun to forward again.
    forwards_since: Option<Time>,
}

impl Effects {
    /// Nothing is wrong, from the beginning.
    pub(crate) fn none() -> Self {
        Self {
            active: Vec::new(),
            fit_since: Some(Time::ZERO),
            sound_since: Some(Time::ZERO),
            forwards_since: None,
        }
    }

    /// Something is wrong from now on, until [`end`](Self::end) with the same id.
    pub(crate) fn begin(&mut self, id: u64, effect: Effect) {
        if effect != Effect::Succession(Ending::Adopted) {
            self.sound_since = None;
        }
        self.active.push((id, effect));
        self.fit_since = None;
    }

    /// It is over; true when this effect was there.
    pub(crate) fn end(&mut self, id: u64, now: Time) -> bool {
        let before = self.active.len();
        if self.active.contains(&(id, Effect::Gray)) {
            self.forwards_since = Some(now);
        }
        self.active.retain(|(other, _)| *other != id);
        let ended = before != self.active.len();
        if ended && self.active.is_empty() {
            self.fit_since = Some(now);
        }
        if ended && self.is_only(&Effect::Succession(Ending::Adopted)) {
            self.sound_since = self.sound_since.or(Some(now));
        }
        ended
    }

    /// Whether this one is at work.
    pub(crate) fn has(&self, effect: &Effect) -> bool {
        self.active.iter().any(|(_, active)| active == effect)
    }

    /// The worst of those that `measure` measures; 0 when there is none.
    pub(crate) fn worst(&self, measure: impl Fn(&Effect) -> Option<u64>) -> u64 {
        self.active.iter().filter_map(|(_, effect)| measure(effect)).max().unwrap_or(0)
    }

    /// The error it answers with, if it fails.
    pub(crate) fn failing(&self) -> Option<&'static str> {
        self.active.iter().find_map(|(_, effect)| match effect {
            Effect::Failing { reason } => Some(*reason),
            _ => None,
        })
    }

    /// Whether this is all that is wrong.
    pub(crate) fn is_only(&self, effect: &Effect) -> bool {
        self.active.iter().all(|(_, active)| active == effect)
    }

    /// Whether one process is just following another.
    pub(crate) fn succession(&self) -> bool {
        self.active.iter().any(|(_, effect)| matches!(effect, Effect::Succession(_)))
    }

    /// Whether nothing has been wrong since `then` but that one process has followed another in time.
    pub(crate) fn is_sound_since(&self, then: Time) -> bool {
        self.sound_since.is_some_and(|since| since <= then)
    }

    /// Whether it may have forwarded nothing since `then`.
    pub(crate) fn was_gray_since(&self, then: Time) -> bool {
        self.has(&Effect::Gray) || self.forwards_since.is_some_and(|since| since > then)
    }

    /// Whether nothing has been wrong since `then`.
    pub(crate) fn is_fit_since(&self, then: Time) -> bool {
        self.fit_since.is_some_and(|since| since <= then)
    }
}
