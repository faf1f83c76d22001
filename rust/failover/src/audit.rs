//! Does a server that does not name its instance still know its calls? It is asked about one of them after the other.
//!
//! ```text
//!              every audit_ms                  known
//!   Resting ────────────────────▶ Asking ─────────────────▶ Resting
//!      ▲                            │ unknown
//!      │ known: that one was lost   ▼                  unknown too, or there is no other
//!      └─────────────────────── Doubting: ask about another ──────────────▶ its memory is lost
//! ```

use std::collections::BTreeSet;

use mediaha_time::{Duration, Time};

use crate::config::Config;
use crate::registry::CallKey;

/// One server's audit.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    next_at: Time,
    /// The call asked about last: the next one in the order of keys is next.
    last: Option<CallKey>,
    asking: bool,
    /// The call that the server did not know, while another one is asked about.
    doubt: Option<CallKey>,
}

/// What follows from an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Nothing (yet).
    Fine,
    /// The server has lost this call alone.
    Lost(CallKey),
    /// The server has lost its memory.
    Forgot,
}

impl Audit {
    pub(crate) fn next_at(&self) -> Time {
        if self.asking { Time::FAR } else { self.next_at }
    }

    /// The call to ask about now, when it is time.
    pub(crate) fn ask(&mut self, calls: &BTreeSet<CallKey>, config: &Config, now: Time) -> Option<CallKey> {
        if now < self.next_at() {
            return None;
        }
        self.next_at = now + Duration::from_millis(config.audit_ms);
        let after = self.last.and_then(|last| calls.range(last..).find(|&&key| key != last));
        let call = after.or_else(|| calls.first()).copied()?;
        (self.last, self.asking) = (Some(call), true);
        Some(call)
    }

    /// The server answered; `known`: it knows the call. `calls` are those it should know.
    pub(crate) fn answered(
        &mut self,
        call: CallKey,
        known: bool,
        calls: &BTreeSet<CallKey>,
        now: Time,
    ) -> Finding {
        self.asking = false;
        let doubt = self.doubt.take().filter(|doubted| calls.contains(doubted));
        match (known, doubt) {
            _ if !calls.contains(&call) => Finding::Fine,
            (true, None) => Finding::Fine,
            (true, Some(lost)) => Finding::Lost(lost),
            (false, None) if calls.len() > 1 => {
                (self.doubt, self.next_at) = (Some(call), now);
                Finding::Fine
            }
            (false, _) => Finding::Forgot,
        }
    }

    /// The server did not answer: that is for the heartbeat to judge.
    pub(crate) fn unanswered(&mut self) {
        self.asking = false;
    }
}
