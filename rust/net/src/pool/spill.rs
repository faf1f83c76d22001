//! Events that found no room in the queue, until there is some.
//!
//! Nothing that matters is ever dropped, and still the memory is bounded: each command that was taken has one final
//! event; a call has at most one `Moved` or `Stranded` waiting, a server one `ServerState`, for the newest makes the
//! older ones untrue.

use std::collections::{BTreeMap, HashMap};

use mediaha_failover::Event;

/// Events by age.
#[derive(Debug, Default)]
pub(super) struct Spill {
    next_age: u64,
    waiting: BTreeMap<u64, Event>,
    newest: HashMap<Subject, u64>,
}

/// What a notice is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Call(Vec<u8>),
    Server(String),
}

impl Spill {
    /// Keeps an event; an older notice about the same call or server is forgotten.
    pub(super) fn push(&mut self, event: Event) {
        let age = self.next_age;
        self.next_age += 1;
        if let Some(outdated) = subject(&event).and_then(|subject| self.newest.insert(subject, age)) {
            self.waiting.remove(&outdated);
        }
        self.waiting.insert(age, event);
    }

    /// The oldest event.
    pub(super) fn pop(&mut self) -> Option<Event> {
        let (_, event) = self.waiting.pop_first()?;
        if let Some(subject) = subject(&event) {
            // An outdated notice is not here any more, so this is the newest of its subject.
            self.newest.remove(&subject);
        }
        Some(event)
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

fn subject(event: &Event) -> Option<Subject> {
    match event {
        Event::Moved { call_id, .. } | Event::Stranded { call_id, .. } => Some(Subject::Call(call_id.clone())),
        Event::ServerState { server, .. } => Some(Subject::Server(server.clone())),
        Event::Anchored { .. } | Event::Refused { .. } | Event::Deleted { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mediaha_failover::Token;

    fn deleted(token: u64) -> Event {
        Event::Deleted { token: Token(token), call_id: b"call".to_vec() }
    }

    fn stranded(call: &str, why: &str) -> Event {
        Event::Stranded { call_id: call.as_bytes().to_vec(), server: "a".into(), why: why.into() }
    }

    fn drained(mut spill: Spill) -> Vec<Event> {
        std::iter::from_fn(|| spill.pop()).collect()
    }

    #[test]
    fn events_come_out_in_the_order_they_went_in() {
        let mut spill = Spill::default();
        for token in 0..3 {
            spill.push(deleted(token));
        }
        assert_eq!(drained(spill), [deleted(0), deleted(1), deleted(2)]);
    }

    #[test]
    fn of_two_notices_about_a_call_the_newest_stays() {
        let mut spill = Spill::default();
        spill.push(stranded("one", "first"));
        spill.push(deleted(1));
        spill.push(stranded("two", "other call"));
        spill.push(stranded("one", "second"));
        assert_eq!(drained(spill), [deleted(1), stranded("two", "other call"), stranded("one", "second")]);
    }

    #[test]
    fn a_notice_that_was_taken_does_not_make_a_later_one_vanish() {
        let mut spill = Spill::default();
        spill.push(stranded("one", "first"));
        assert_eq!(spill.pop(), Some(stranded("one", "first")));
        spill.push(stranded("one", "second"));
        assert_eq!(drained(spill), [stranded("one", "second")]);
    }
}
