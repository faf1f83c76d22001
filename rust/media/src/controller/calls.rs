//! The table of calls, with the moments at which the clock must look at them.

use std::collections::{BTreeMap, BTreeSet};

use mediaha_time::Time;

use super::call::Call;

/// All calls by call-id. Every call has exactly one deadline.
#[derive(Debug, Default)]
pub(super) struct Calls {
    calls: BTreeMap<Vec<u8>, Call>,
    deadlines: BTreeSet<(Time, Vec<u8>)>,
}

impl Calls {
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn find(&self, call_id: &[u8]) -> Option<&Call> {
        self.calls.get(call_id)
    }

    pub(super) fn find_mut(&mut self, call_id: &[u8]) -> Option<&mut Call> {
        self.calls.get_mut(call_id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &Call)> {
        self.calls.iter().map(|(call_id, call)| (call_id.as_slice(), call))
    }

    /// Adds a call. One of the same id must not be there.
    pub(super) fn insert(&mut self, call_id: &[u8], call: Call) {
        self.deadlines.insert((call.check_at, call_id.to_vec()));
        self.calls.insert(call_id.to_vec(), call);
    }

    pub(super) fn remove(&mut self, call_id: &[u8]) -> Option<Call> {
        let (call_id, call) = self.calls.remove_entry(call_id)?;
        self.deadlines.remove(&(call.check_at, call_id));
        Some(call)
    }

    /// When the clock must look at a call next.
    pub(super) fn next_check(&self) -> Option<Time> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// A call that must be looked at by now.
    pub(super) fn due(&self, now: Time) -> Option<Vec<u8>> {
        self.deadlines.first().filter(|(at, _)| *at <= now).map(|(_, call_id)| call_id.clone())
    }

    /// Has the clock look at a call at another time.
    pub(super) fn check_at(&mut self, call_id: &[u8], at: Time) {
        if let Some(call) = self.calls.get_mut(call_id) {
            self.deadlines.remove(&(call.check_at, call_id.to_vec()));
            self.deadlines.insert((at, call_id.to_vec()));
            call.check_at = at;
        }
    }
}
