//! Does a server that does not name its instance still know its calls? It is asked about one of them after the other.
//!
//! ```text
//!              every audit_ms             known                  two unknown in a row, or there is only one
//!   Resting ───────────────────▶ asks ───────────▶ Resting      ┌─────────────────────────────────────────▶ its memory
//!      ▲                          │ unknown                     │                                           is lost
//!      │ all were asked           ▼                             │
//!      └──────────────── Doubting: asks about the others, one after the other, without a pause
//!                                 │ known: the one before was lost alone
//!                                 └──────▶ go on
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
    unknown: Option<CallKey>,
    /// How many are still to be asked about without a pause.
    doubtful: usize,
}

/// What follows from an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Nothing (yet).
    Fine,
    /// The server has lost this call, and knows others.
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
        self.doubtful = self.doubtful.saturating_sub(1);
        let before = self.unknown.take().filter(|before| calls.contains(before));
        let finding = match (known, before) {
            // It has ended meanwhile.
            _ if !calls.contains(&call) => Finding::Fine,
            (true, None) => Finding::Fine,
            (true, Some(lost)) => Finding::Lost(lost),
            (false, None) if calls.len() > 1 => {
                self.unknown = Some(call);
                self.doubtful = self.doubtful.max(calls.len());
                Finding::Fine
            }
            (false, _) => Finding::Forgot,
        };
        if self.doubtful > 0 {
            self.next_at = now;
        }
        finding
    }

    /// It did not know a call that somebody else asked it about.
    pub(crate) fn doubt(&mut self, calls: usize, now: Time) {
        self.doubtful = self.doubtful.max(calls);
        self.next_at = now;
    }

    /// The server did not answer: that is for the heartbeat to judge.
    pub(crate) fn unanswered(&mut self) {
        self.asking = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(numbers: &[u64]) -> BTreeSet<CallKey> {
        numbers.iter().map(|&number| CallKey::numbered(number)).collect()
    }

    #[test]
    fn a_server_that_forgot_its_old_calls_is_found_out_although_it_knows_the_new_one() {
        let (config, now) = (Config::default(), Time::from_millis(5));
        let (calls, mut audit) = (calls(&[1, 2, 9]), Audit::default());
        let knows = |key: CallKey| key == CallKey::numbered(9);
        for expected in [Finding::Fine, Finding::Forgot] {
            let key = audit.ask(&calls, &config, now).unwrap();
            assert_eq!(audit.answered(key, knows(key), &calls, now), expected);
        }
    }

    #[test]
    fn one_lost_call_among_known_ones_is_lost_alone() {
        let (config, now) = (Config::default(), Time::from_millis(5));
        let (calls, mut audit) = (calls(&[1, 2, 3]), Audit::default());
        let findings = [Finding::Fine, Finding::Lost(CallKey::numbered(1)), Finding::Fine];
        for expected in findings {
            let key = audit.ask(&calls, &config, now).unwrap();
            assert_eq!(audit.answered(key, key != CallKey::numbered(1), &calls, now), expected);
        }
        assert!(audit.ask(&calls, &config, now).is_some(), "another round without a pause");
    }
}
