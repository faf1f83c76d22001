//! The table of calls, with the moments at which the clock must look at them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use mediaha_time::Time;

use super::call::Call;

/// All calls by call-id. Every call has exactly one deadline.
#[derive(Debug, Default)]
pub(super) struct Calls {
    by_id: BTreeMap<Arc<[u8]>, Call>,
    deadlines: BTreeSet<(Time, Arc<[u8]>)>,
    /// How many of them are probes.
    probes: usize,
    /// Calls that came, went or were borrowed to be changed, since somebody asked; `None` while nobody will.
    changed: Option<Vec<Vec<u8>>>,
}

impl Calls {
    /// How many there are, probes not counted.
    pub(super) fn counted(&self) -> usize {
        self.by_id.len() - self.probes
    }

    pub(super) fn find(&self, call_id: &[u8]) -> Option<&Call> {
        self.by_id.get(call_id)
    }

    pub(super) fn find_mut(&mut self, call_id: &[u8]) -> Option<&mut Call> {
        let call = self.by_id.get_mut(call_id)?;
        note(&mut self.changed, call_id);
        Some(call)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &Call)> {
        self.by_id.iter().map(|(call_id, call)| (&**call_id, call))
    }

    /// The calls behind `call_id` in the table's order; all of them without one.
    pub(super) fn behind(&self, call_id: Option<&[u8]>) -> impl Iterator<Item = (&Arc<[u8]>, &Call)> {
        let start = call_id.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_id.range::<[u8], _>((start, Bound::Unbounded))
    }

    /// Adds a call. One of the same id must not be there.
    pub(super) fn insert(&mut self, call_id: &[u8], call: Call) {
        note(&mut self.changed, call_id);
        self.probes += usize::from(is_probe(call_id));
        let call_id: Arc<[u8]> = call_id.into();
        self.deadlines.insert((call.check_at, Arc::clone(&call_id)));
        self.by_id.insert(call_id, call);
    }

    pub(super) fn remove(&mut self, call_id: &[u8]) -> Option<Call> {
        note(&mut self.changed, call_id);
        let (call_id, call) = self.by_id.remove_entry(call_id)?;
        self.probes -= usize::from(is_probe(&call_id));
        self.deadlines.remove(&(call.check_at, call_id));
        Some(call)
    }

    /// From now on it is noted which calls change.
    pub(super) fn note_changes(&mut self) {
        self.changed.get_or_insert_default();
    }

    /// The calls that have changed since this was last asked; some may be gone, some may be there twice.
    pub(super) fn take_changed(&mut self) -> Vec<Vec<u8>> {
        self.changed.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// When the clock must look at a call next.
    pub(super) fn next_check(&self) -> Option<Time> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// A call that must be looked at by now.
    pub(super) fn due(&self, now: Time) -> Option<Arc<[u8]>> {
        self.deadlines.first().filter(|(at, _)| *at <= now).map(|(_, call_id)| Arc::clone(call_id))
    }

    /// Has the clock look at a call at another time.
    pub(super) fn check_at(&mut self, call_id: &[u8], at: Time) {
        let Some((call_id, _)) = self.by_id.get_key_value(call_id) else { return };
        let mut deadline = (Time::ZERO, Arc::clone(call_id));
        if let Some(call) = self.by_id.get_mut(&deadline.1) {
            deadline.0 = std::mem::replace(&mut call.check_at, at);
            self.deadlines.remove(&deadline);
            self.deadlines.insert((at, deadline.1));
        }
    }
}

fn note(changed: &mut Option<Vec<Vec<u8>>>, call_id: &[u8]) {
    if let Some(changed) = changed {
        changed.push(call_id.to_vec());
    }
}

/// Whether this is no call, but a session through which a client sends packets to itself.
pub(super) fn is_probe(call_id: &[u8]) -> bool {
    call_id.starts_with(mediaha_ng::PROBE_CALL_IDS.as_bytes())
}
