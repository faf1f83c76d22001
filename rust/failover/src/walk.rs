//! Walking a list of servers with one offer: who is asked when, and the story of it.
//!
//! ```text
//!          ┌── late (hedge or try time over), or an error: ask the next too ──┐
//!          ▼                                                                  │
//!   ask the first ───▶ requests open ─────────────────────────────────────────┘
//!                         │        │
//!            usable answer│        │ nobody left to ask and nobody left who may answer, or time is up
//!                         ▼        ▼
//!                       won      exhausted
//! ```
//!
//! A server that is late is not given up: its request stays open and is sent again until the walk ends, so that a
//! whole list of slow servers still takes the call. Who else answers after the walk was won is told to delete.

use mediaha_time::{Duration, Time};

use crate::exchange::{Cookie, ServerId};
use crate::story::{Asked, Attempt, Outcome};

/// While requests are open and nobody is left to ask, look this often for a server that has come back.
const LOOK_AGAIN: Duration = Duration::from_millis(25);
/// While the only server left is just being told to delete this very call, wait this long for it.
const BLOCKED: Duration = Duration::from_millis(5);
/// The longest story; later attempts are left out.
const STORY_MAX: usize = 64;

/// One walk.
#[derive(Debug)]
pub(crate) struct Walk {
    tries: Vec<Try>,
    story: Vec<Attempt>,
    next_at: Time,
    give_up_at: Time,
}

/// One server that was asked (or is not to be asked).
#[derive(Debug)]
struct Try {
    server: ServerId,
    /// The request, while it may still be answered, and its place in the story.
    open: Option<(Cookie, Option<usize>)>,
    /// It may have something of the call from before.
    was_there: bool,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Ask(ServerId),
    Wait(Time),
    Exhausted,
}

impl Walk {
    /// A walk that ends at `give_up_at` at the latest.
    pub(crate) fn new(now: Time, give_up_at: Time) -> Self {
        Self { tries: Vec::new(), story: Vec::new(), next_at: now, give_up_at }
    }

    /// Do not ask this one.
    pub(crate) fn avoid(&mut self, server: ServerId) {
        self.tries.push(Try { server, open: None, was_there: false });
    }

    /// What to do, given who could be asked, best first. `blocked`: somebody else can be asked very soon.
    pub(crate) fn next(&self, order: &[ServerId], blocked: bool, now: Time) -> Next {
        let is_open = self.tries.iter().any(|one| one.open.is_some());
        if now >= self.give_up_at {
            return Next::Exhausted;
        }
        if is_open && now < self.next_at {
            return Next::Wait(self.next_at.min(self.give_up_at));
        }
        match order.iter().find(|&&server| !self.has_asked(server)) {
            Some(&server) => Next::Ask(server),
            None if blocked => Next::Wait((now + BLOCKED).min(self.give_up_at)),
            None if is_open => Next::Wait((now + LOOK_AGAIN).min(self.give_up_at)),
            None => Next::Exhausted,
        }
    }

    /// The first server is about to be asked.
    pub(crate) fn is_fresh(&self) -> bool {
        self.story.is_empty()
    }

    /// A server was asked; when it is late at `next_at`, ask another one too.
    pub(crate) fn asked(&mut self, server: ServerId, name: &str, cookie: Cookie, now: Time, next_at: Time) {
        let place = self.note(name, Asked::Offer, now);
        self.tries.push(Try { server, open: Some((cookie, place)), was_there: false });
        self.next_at = next_at;
    }

    /// The server that is being asked may have something of the call from before.
    pub(crate) fn was_there(&mut self, server: ServerId) {
        self.tries.iter_mut().filter(|one| one.server == server).for_each(|one| one.was_there = true);
    }

    /// Whether a server that refuses may have something of the call all the same.
    pub(crate) fn may_have_more(&self, server: ServerId) -> bool {
        self.tries.iter().any(|one| one.server == server && one.was_there)
    }

    /// The server that was asked with this cookie, while it may still answer.
    pub(crate) fn is_open_with(&self, cookie: Cookie) -> Option<ServerId> {
        let same = |one: &&Try| one.open.is_some_and(|(open, _)| open == cookie);
        self.tries.iter().find(same).map(|one| one.server)
    }

    /// Whether this server may still answer.
    pub(crate) fn is_open_at(&self, server: ServerId) -> bool {
        self.tries.iter().any(|one| one.server == server && one.open.is_some())
    }

    /// One request has come to an end; the next server may be asked at once.
    pub(crate) fn ended(&mut self, cookie: Cookie, outcome: Outcome, now: Time) {
        for one in &mut self.tries {
            if let Some((_, place)) = one.open.take_if(|(open, _)| *open == cookie) {
                settle(&mut self.story, place, outcome, now);
                self.next_at = now;
                return;
            }
        }
    }

    /// The walk is over: the requests that are still open, with their servers, each now ended with `outcome`.
    /// They have done nothing wrong: if the walk is resumed they may be asked again.
    pub(crate) fn close(&mut self, outcome: &Outcome, now: Time) -> Vec<(ServerId, Cookie)> {
        let mut open = Vec::new();
        for one in &mut self.tries {
            if let Some((cookie, place)) = one.open {
                settle(&mut self.story, place, outcome.clone(), now);
                open.push((one.server, cookie));
            }
        }
        self.tries.retain(|one| one.open.is_none());
        open
    }

    /// A further request to the server that won becomes part of the story; its place in it.
    pub(crate) fn note(&mut self, name: &str, asked: Asked, now: Time) -> Option<usize> {
        note(&mut self.story, name, asked, now)
    }

    /// That request has come to an end.
    pub(crate) fn settle(&mut self, place: Option<usize>, outcome: Outcome, now: Time) {
        settle(&mut self.story, place, outcome, now);
    }

    /// The server that took the offer has failed later on; go on where the walk stopped, for as long again.
    pub(crate) fn resume(&mut self, now: Time, give_up_at: Time) {
        (self.next_at, self.give_up_at) = (now, give_up_at);
    }

    /// The last error text a server gave.
    pub(crate) fn last_error(&self) -> Option<&str> {
        self.story.iter().rev().find_map(|attempt| match &attempt.outcome {
            Outcome::Error(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// Who was asked, in which order, and what became of it.
    pub(crate) fn into_story(self) -> Vec<Attempt> {
        self.story
    }

    /// The server may be asked again.
    pub(crate) fn forget(&mut self, server: ServerId) {
        self.tries.retain(|one| one.server != server);
    }

    /// Whether this server was asked, or is not to be.
    pub(crate) fn has_asked(&self, server: ServerId) -> bool {
        self.tries.iter().any(|one| one.server == server)
    }
}

/// Begin an attempt; `None` when the story is long enough.
pub(crate) fn note(story: &mut Vec<Attempt>, name: &str, asked: Asked, now: Time) -> Option<usize> {
    if story.len() >= STORY_MAX {
        return None;
    }
    story.push(Attempt {
        server: name.to_owned(),
        asked,
        asked_at: now,
        answered_at: None,
        outcome: Outcome::NoAnswer,
    });
    Some(story.len() - 1)
}

/// End an attempt.
pub(crate) fn settle(story: &mut [Attempt], place: Option<usize>, outcome: Outcome, now: Time) {
    if let Some(attempt) = place.and_then(|place| story.get_mut(place)) {
        attempt.answered_at = matches!(outcome, Outcome::Answered | Outcome::Error(_)).then_some(now);
        attempt.outcome = outcome;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ServerId = ServerId(0);
    const B: ServerId = ServerId(1);

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn a_late_first_server_is_hedged_and_may_still_win() {
        let mut walk = Walk::new(at(0), at(2000));
        assert_eq!(walk.next(&[A, B], false, at(0)), Next::Ask(A));
        walk.asked(A, "a", Cookie(1), at(0), at(50));
        assert_eq!(walk.next(&[A, B], false, at(0)), Next::Wait(at(50)));
        assert_eq!(walk.next(&[A, B], false, at(50)), Next::Ask(B));
        walk.asked(B, "b", Cookie(2), at(50), at(100));
        walk.ended(Cookie(1), Outcome::Answered, at(60));
        assert_eq!(walk.close(&Outcome::Overtaken, at(60)), [(B, Cookie(2))]);
        let story: Vec<_> = walk.into_story().into_iter().map(|attempt| attempt.outcome).collect();
        assert_eq!(story, [Outcome::Answered, Outcome::Overtaken]);
    }

    #[test]
    fn an_error_asks_the_next_at_once() {
        let mut walk = Walk::new(at(0), at(2000));
        walk.asked(A, "a", Cookie(1), at(0), at(50));
        walk.ended(Cookie(1), Outcome::Error("full".into()), at(1));
        assert_eq!(walk.next(&[A, B], false, at(1)), Next::Ask(B));
        assert_eq!(walk.next(&[A], false, at(1)), Next::Exhausted);
        assert_eq!(walk.last_error(), Some("full"));
    }

    #[test]
    fn nobody_left_to_ask_is_no_end_while_somebody_may_answer() {
        let mut walk = Walk::new(at(0), at(2000));
        walk.asked(A, "a", Cookie(1), at(0), at(50));
        assert!(matches!(walk.next(&[A], false, at(60)), Next::Wait(_)));
        assert_eq!(walk.next(&[A], false, at(2000)), Next::Exhausted);
    }
}
