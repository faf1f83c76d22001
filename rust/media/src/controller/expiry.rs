//! When the clock ends a call.

use mediaha_time::{Duration, Time};

use super::call::{Call, Dialogue};
use super::config::ControllerConfig;

/// A call that was ended by the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Which one.
    pub call_id: Vec<u8>,
    /// Why.
    pub reason: ExpiryReason,
}

/// Why the clock ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiryReason {
    /// It was answered, and nobody sent anything for too long.
    Silent,
    /// It was on hold, and nobody sent anything for too long.
    Held,
    /// Its offer was never answered.
    Orphan,
    /// It had been deleted with a delay, which is over.
    Deleted,
}

impl ExpiryReason {
    /// The word for it in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Held => "held",
            Self::Orphan => "orphan",
            Self::Deleted => "deleted",
        }
    }
}

/// When a call ends unless something happens before, and why. `heard` is when the last packet of any of its
/// parties came; `None` before the first.
pub(super) fn end_of(call: &Call, heard: Option<Time>, config: &ControllerConfig) -> (Time, ExpiryReason) {
    if let Some(at) = call.ends_at {
        return (at, ExpiryReason::Deleted);
    }
    let (patience, reason) = patience(call, config);
    (call.signalled.max(heard.unwrap_or(Time::ZERO)) + patience, reason)
}

fn patience(call: &Call, config: &ControllerConfig) -> (Duration, ExpiryReason) {
    if !call.dialogues.iter().any(|dialogue| dialogue.answered) {
        (config.orphan_timeout, ExpiryReason::Orphan)
    } else if call.dialogues.iter().any(held) {
        (config.held_timeout, ExpiryReason::Held)
    } else {
        (config.silence_timeout, ExpiryReason::Silent)
    }
}

/// Whether somebody put the other on hold. A call without any stream left is as silent as one on hold.
fn held(dialogue: &Dialogue) -> bool {
    let on_hold = dialogue.relayed().any(|stream| stream.parties.iter().any(|party| party.held));
    dialogue.answered && (on_hold || dialogue.relayed().next().is_none())
}
