//! Later offers and answers of a call that is served, and of one that will be again.
//!
//! ```text
//!            served               usable answer
//!   waits ───────────▶ asking ───────────────────▶ Anchored
//!     ▲                  │ │ │  caller's fault, or give_up_at ──▶ Refused
//!     │  server died     │ │ └─ the server does not know the call: it is created anew ─┐
//!     ├──────────────────┘ └─── error or silence, and another server is usable: moved ─┤
//!     └────────────────────────────────────────────────────────────────────────────────┘
//! ```

use mediaha_time::Time;

use super::{Judged, Pool, millis};
use crate::call::{Party, Step};
use crate::event::{Event, Fault};
use crate::exchange::{Cookie, ServerId};
use crate::flights::Purpose;
use crate::order::{self, Trust};
use crate::registry::{CallKey, Plight, State, What, Wish};
use crate::story::{Asked, Outcome};
use crate::timers::Timer;
use crate::walk::{self, Walk};

impl Pool {
    /// If the call is served and wishes something, ask its server.
    pub(super) fn fulfil(&mut self, key: CallKey, now: Time) {
        let Some(entry) = self.calls.entry(key) else { return };
        let Some(wish) = entry.wish.as_ref().filter(|wish| wish.asking.is_none()) else { return };
        self.timers.set(wish.give_up_at, Timer::Call(key));
        let State::Serving { server } = entry.state else { return };
        let step = match &wish.what {
            What::Adopt => return self.fulfilled(key, server, Vec::new()),
            What::Offer(offer) => (Asked::Offer, offer.clone()),
            What::Answer(answer) => (Asked::Answer, answer.clone()),
        };
        let impatient_at = now + millis(self.config.command_ms_max) / 2;
        self.timers.set(impatient_at, Timer::Call(key));
        let call_id = entry.id.clone();
        let step = Step { asked: step.0, proposal: step.1, reply_is_for: Party::Callee };
        let (asked, name) = (step.asked, self.servers.name(server));
        let request = self.request(&call_id, step);
        let cookie = self.send(server, Purpose::Wish(key), request, Time::FAR, now);
        if let Some(wish) = self.wish_mut(key) {
            let place = walk::note(&mut wish.story, &name, asked, now);
            (wish.asking, wish.impatient_at) = (Some((cookie, place)), impatient_at);
        }
    }

    pub(super) fn wish_answered(&mut self, key: CallKey, cookie: Cookie, judged: Judged, now: Time) {
        let Some(entry) = self.calls.entry_mut(key) else { return };
        let State::Serving { server } = entry.state else { return };
        let Some(wish) = entry.wish.as_mut() else { return };
        let Some((_, place)) = wish.asking.take_if(|(open, _)| *open == cookie) else { return };
        let was_unknown = wish.was_unknown;
        let outcome = match &judged {
            Judged::Usable(_) | Judged::Adopted(..) => Outcome::Answered,
            Judged::Callers(text)
            | Judged::UnknownCall(text)
            | Judged::Full(text)
            | Judged::Unfit(text)
            | Judged::Failed(text) => Outcome::Error(text.clone()),
        };
        walk::settle(&mut wish.story, place, outcome, now);
        match judged {
            Judged::Usable(sdp) | Judged::Adopted(sdp, _) => {
                match wish.what.clone() {
                    What::Offer(offer) => entry.agreement.offered(offer),
                    What::Answer(answer) => entry.agreement.answered(answer),
                    What::Adopt => {}
                }
                self.fulfilled(key, server, sdp);
            }
            Judged::Callers(text) => self.refuse_wish(key, Fault::Caller, &text, now),
            Judged::UnknownCall(_) if !was_unknown => {
                self.doubt(server, now);
                self.relocate(key, server, false);
            }
            Judged::Full(_) | Judged::Unfit(_) | Judged::Failed(_)
                if self.has_other(key, server, Trust::Suspect) =>
            {
                self.relocate(key, server, true);
            }
            Judged::Unfit(text) => self.refuse_wish(key, Fault::Family, &text, now),
            Judged::UnknownCall(text) | Judged::Full(text) | Judged::Failed(text) => {
                self.refuse_wish(key, Fault::NoServer, &text, now);
            }
        }
    }

    /// The call's server is gone; the wish waits for the next. Gives whether an offer was on its way.
    pub(super) fn wish_lost(&mut self, key: CallKey, why: &str, now: Time) -> bool {
        let Some(wish) = self.wish_mut(key) else { return false };
        let Some((_, place)) = wish.asking.take() else { return false };
        walk::settle(&mut wish.story, place, Outcome::Died(why.to_owned()), now);
        matches!(wish.what, What::Offer(_))
    }

    /// Time has passed for a wish.
    pub(super) fn wish_due(&mut self, key: CallKey, now: Time) {
        let Some(entry) = self.calls.entry(key) else { return };
        let Some(wish) = &entry.wish else { return };
        if now >= wish.give_up_at {
            return self.give_up_wish(key, now);
        }
        let State::Serving { server } = entry.state else { return };
        let is_impatient = now >= wish.impatient_at && wish.asking.is_some();
        // A suspect is no better than a server that answers pings.
        if is_impatient && self.has_other(key, server, Trust::Draining) {
            self.close_wish(key, &Outcome::NoAnswer, now);
            self.relocate(key, server, true);
        }
    }

    /// Answer the command of the call's wish with a refusal.
    pub(super) fn refuse_wish(&mut self, key: CallKey, fault: Fault, reason: &str, now: Time) {
        self.close_wish(key, &Outcome::NoAnswer, now);
        let Some(entry) = self.calls.entry_mut(key) else { return };
        let (call_id, reason) = (entry.id.to_vec(), reason.to_owned());
        if let Some(Wish { token, story, .. }) = entry.wish.take() {
            self.tell(Event::Refused { token, call_id, fault, reason, story });
        }
    }

    fn fulfilled(&mut self, key: CallKey, server: ServerId, sdp: Vec<u8>) {
        let Some(entry) = self.calls.entry_mut(key) else { return };
        let call_id = entry.id.to_vec();
        if let Some(Wish { token, story, .. }) = entry.wish.take() {
            let server = self.servers.name(server).to_string();
            self.tell(Event::Anchored { token, call_id, server, sdp, story });
        }
    }

    fn give_up_wish(&mut self, key: CallKey, now: Time) {
        let Some(wish) = self.wish_mut(key) else { return };
        if !matches!(wish.what, What::Adopt) {
            return self.refuse_wish(key, Fault::NoServer, "no media server did it in time", now);
        }
        self.refuse_wish(key, Fault::NoServer, "no media server of the list takes the call", now);
        if let Some((call_id, places)) = self.uproot(key, "", now) {
            for (server, doubtful) in places {
                self.owe(server, &call_id, doubtful, None, now);
            }
        }
    }

    /// Stop asking; what a late server makes of an offer is a change of a call it has, nothing new.
    pub(super) fn close_wish(&mut self, key: CallKey, outcome: &Outcome, now: Time) {
        let Some(call_id) = self.calls.entry(key).map(|entry| entry.id.clone()) else { return };
        let Some(wish) = self.wish_mut(key) else { return };
        if let Some((cookie, place)) = wish.asking.take() {
            walk::settle(&mut wish.story, place, outcome.clone(), now);
            self.flights.close(cookie, &call_id, now);
        }
    }

    /// Create the call anew although its server is alive. `kept`: the server still has it, so try the others, and
    /// stay if none takes it.
    pub(super) fn relocate(&mut self, key: CallKey, server: ServerId, kept: bool) {
        let (from_name, retry_ms) = (self.servers.name(server), self.config.strand_retry_ms_min);
        if let Some(wish) = self.wish_mut(key) {
            if kept {
                wish.failed.push(server);
            } else {
                wish.was_unknown = true;
            }
        }
        if !kept {
            self.unserve(server, key);
        }
        let plight = Plight { from: Some(server), from_name, kept, doubtful: kept, told: false, retry_ms };
        self.desert(server, key);
        self.calls.turn(key, State::Waiting(plight));
        self.queue.push_front(key);
    }

    /// Whether the call could be somewhere else, on a server that is trusted as much as `least`.
    pub(super) fn has_other(&self, key: CallKey, server: ServerId, least: Trust) -> bool {
        let Some(entry) = self.calls.entry(key) else { return false };
        let unasked = Walk::new(Time::ZERO, Time::FAR);
        let (order, blocked) = self.order(entry, &unasked, order::Purpose::MovedCall);
        let has_failed = |other: &ServerId| entry.wish.as_ref().is_some_and(|wish| wish.failed.contains(other));
        let is_better = |other: &ServerId| {
            let trust = self.servers.get(*other).and_then(crate::servers::Server::trust);
            *other != server && !has_failed(other) && trust.is_some_and(|trust| trust <= least)
        };
        // One that is just deleting what is left of this call there can take it in a moment.
        blocked || order.iter().any(is_better)
    }

    fn wish_mut(&mut self, key: CallKey) -> Option<&mut Wish> {
        self.calls.entry_mut(key)?.wish.as_mut()
    }
}
