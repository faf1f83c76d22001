//! An offer on its way along the list: the first one of a new call, or that of a call which lost its server.

use mediaha_ng::{Adoption, Request, reason};
use mediaha_time::Time;

use super::{Judged, Pool, millis};
use crate::call::Agreement;
use crate::event::{Event, Fault};
use crate::exchange::{Cookie, ServerId};
use crate::flights::Purpose;
use crate::order::{self, Trust, order};
use crate::registry::{CallId, CallKey, Entry, State};
use crate::story::Outcome;
use crate::walk::{Next, Walk};

impl Pool {
    /// Whether the server has an address of each family that the call needs, as far as that is known.
    fn is_fit(&self, server: ServerId, agreement: &Agreement) -> bool {
        let Some(one) = self.servers.get(server) else { return false };
        one.lacks.is_empty() || !agreement.families().any(|family| one.lacks.contains(family))
    }

    /// Why nobody takes the call: that no server of its list could ever do, or else that none does now.
    pub(super) fn fault_of(&self, entry: &Entry) -> Fault {
        let mut listed = entry.servers.iter().filter_map(|name| self.servers.named(name)).peekable();
        let is_hopeless = listed.peek().is_some() && listed.all(|server| !self.is_fit(server, &entry.agreement));
        if is_hopeless { Fault::Family } else { Fault::NoServer }
    }

    /// Ask whom the call's walk wants to ask now.
    pub(super) fn walk_on(&mut self, key: CallKey, now: Time) {
        loop {
            let Some(entry) = self.calls.entry(key) else { return };
            let Some((walk, purpose)) = walking(&entry.state) else { return };
            let (order, blocked) = self.order(entry, walk, purpose);
            match walk.next(&order, blocked, now) {
                Next::Ask(server) => self.ask(key, server, now),
                Next::Wait(at) => return self.timers.set(at, crate::timers::Timer::Call(key)),
                Next::Exhausted => return self.exhausted(key, now),
            }
        }
    }

    /// A server answered the offer of a walk. `asked_once`: it was not sent again.
    pub(super) fn walk_answered(
        &mut self,
        key: CallKey,
        cookie: Cookie,
        judged: Judged,
        asked_once: bool,
        now: Time,
    ) {
        let Some(entry) = self.calls.entry_mut(key) else { return };
        let call_id = entry.id.clone();
        let is_new = matches!(entry.state, State::Seeking { .. });
        let Some(walk) = walking_mut(&mut entry.state) else { return };
        let Some(server) = walk.is_open_with(cookie) else { return };
        match judged {
            Judged::Usable(sdp) => {
                walk.ended(cookie, Outcome::Answered, now);
                self.drop_losers(key, &call_id, now);
                self.won(key, server, sdp, now);
            }
            Judged::Adopted(sdp, answer_sdp) => {
                walk.ended(cookie, Outcome::Answered, now);
                self.drop_losers(key, &call_id, now);
                self.adopted(key, server, sdp, answer_sdp, now);
            }
            Judged::Callers(text) if is_new => {
                walk.ended(cookie, Outcome::Error(text.clone()), now);
                self.owe(server, &call_id, false, None, now);
                self.drop_losers(key, &call_id, now);
                self.refuse_seeker(key, Fault::Caller, text);
            }
            Judged::Full(text) if asked_once && !walk.may_have_more(server) => {
                walk.ended(cookie, Outcome::Error(text), now);
                self.walk_on(key, now);
            }
            Judged::Callers(text)
            | Judged::UnknownCall(text)
            | Judged::Full(text)
            | Judged::Unfit(text)
            | Judged::Failed(text) => {
                walk.ended(cookie, Outcome::Error(text), now);
                // Who fails in a way of its own may have kept something; so may one that was asked twice.
                self.owe(server, &call_id, !asked_once, None, now);
                self.walk_on(key, now);
            }
        }
    }

    /// A server died (or lost its memory) while it was being asked.
    pub(super) fn walk_lost(&mut self, key: CallKey, server: ServerId, cookie: Cookie, why: &str, now: Time) {
        let Some(entry) = self.calls.entry_mut(key) else { return };
        let call_id = entry.id.clone();
        if let Some(walk) = walking_mut(&mut entry.state) {
            walk.ended(cookie, Outcome::Died(why.to_owned()), now);
            self.owe(server, &call_id, true, None, now);
            self.walk_on(key, now);
        }
    }

    /// Who may be asked for this call, best first, and whether somebody else may be very soon.
    pub(super) fn order(&self, entry: &Entry, walk: &Walk, purpose: order::Purpose) -> (Vec<ServerId>, bool) {
        let listed = entry.servers.iter().filter_map(|name| {
            let id = self.servers.named(name)?;
            let server = self.servers.get(id)?;
            // As if it were suspect: last, not out.
            let is_fit = self.is_fit(id, &entry.agreement);
            Some((
                id,
                server.trust().map(|trust| if is_fit { trust } else { Trust::Suspect }),
                server.is_draining(),
            ))
        });
        let mut order = order(purpose, listed);
        let mut blocked = false;
        order.retain(|&server| {
            let is_blocked = !walk.has_asked(server) && self.fence.blocks(server, &entry.id);
            blocked |= is_blocked;
            !is_blocked
        });
        (order, blocked)
    }

    fn ask(&mut self, key: CallKey, server: ServerId, now: Time) {
        let Some(entry) = self.calls.entry(key) else { return };
        let call_id = entry.id.clone();
        let is_new = matches!(entry.state, State::Seeking { .. });
        let Some(request) = self.request_of(entry, server) else { return };
        let was_there = self.make_way(server, &call_id);
        let cookie = self.send(server, Purpose::Walk(key), request, Time::FAR, now);
        let Some(asked) = self.servers.get(server) else { return };
        let (name, rtt) = (asked.name.clone(), asked.rtt);
        let (hedge, try_after) = (rtt.hedge_after(&self.config), rtt.try_after(&self.config));
        let busy_try = try_after.max(millis(self.config.move_try_ms_min));
        if let Some(walk) = self.calls.entry_mut(key).and_then(|entry| walking_mut(&mut entry.state)) {
            let patience = match (is_new, walk.is_fresh()) {
                (true, true) => hedge,
                (true, false) => try_after,
                (false, _) => busy_try,
            };
            walk.asked(server, &name, cookie, now, now + patience);
            if was_there {
                walk.was_there(server);
            }
        }
    }

    /// What a walk asks of a server: the offer, and with it the answer where it can be taken over as a whole.
    fn request_of(&self, entry: &Entry, server: ServerId) -> Option<Request> {
        let adopts = self.servers.get(server).is_some_and(|one| one.adopts);
        if !adopts || !matches!(entry.state, State::Moving(_)) {
            return Some(self.request(&entry.id, entry.agreement.step(0)?));
        }
        let (offer, answer_sdp) = entry.agreement.adoption();
        Some(Request::Adopt(Adoption { offer: self.media(&entry.id, offer), answer_sdp }))
    }

    /// The server has another program than the one that said what it can do: it is asked again, in the common way.
    pub(super) fn adopts_no_more(&mut self, key: CallKey, server: ServerId, cookie: Cookie, now: Time) {
        if let Some(one) = self.servers.get_mut(server) {
            one.adopts = false;
        }
        if let Some(walk) = self.calls.entry_mut(key).and_then(|entry| walking_mut(&mut entry.state)) {
            walk.ended(cookie, Outcome::Error(reason::UNRECOGNIZED_COMMAND.to_owned()), now);
            walk.forget(server);
        }
        self.walk_on(key, now);
    }

    /// The walk is won: whoever else was asked is to forget it.
    fn drop_losers(&mut self, key: CallKey, call_id: &CallId, now: Time) {
        let walk = self.calls.entry_mut(key).and_then(|entry| walking_mut(&mut entry.state));
        let Some(walk) = walk else { return };
        let open = walk.close(&Outcome::Overtaken, now);
        for (server, cookie) in open {
            self.flights.close(cookie, call_id, now);
            self.owe(server, call_id, true, None, now);
        }
    }

    fn won(&mut self, key: CallKey, server: ServerId, sdp: Vec<u8>, now: Time) {
        let Some(entry) = self.calls.entry_mut(key) else { return };
        if let State::Moving(moving) = &mut entry.state {
            moving.sdp_for_callee = Some(sdp);
            return self.rebuild(key, server, 1, now);
        }
        let call_id = entry.id.to_vec();
        if let Some(State::Seeking { token, walk }) = self.calls.turn(key, State::Serving { server }) {
            self.serve(server, key);
            let server = self.servers.name(server).to_string();
            self.tell(Event::Anchored { token, call_id, server, sdp, story: walk.into_story() });
        }
    }

    /// A server has taken over a whole call; what is left is a re-offer that nobody has answered, if there is one.
    fn adopted(&mut self, key: CallKey, server: ServerId, sdp: Vec<u8>, answer_sdp: Vec<u8>, now: Time) {
        let Some(entry) = self.calls.entry_mut(key) else { return };
        if let State::Moving(moving) = &mut entry.state {
            (moving.sdp_for_callee, moving.sdp_for_caller) = (Some(sdp), Some(answer_sdp));
            self.rebuild(key, server, 2, now);
        } else {
            self.won(key, server, sdp, now);
        }
    }

    /// Nobody is left to ask.
    fn exhausted(&mut self, key: CallKey, now: Time) {
        let Some(entry) = self.calls.entry_mut(key) else { return };
        let call_id = entry.id.clone();
        let Some(walk) = walking_mut(&mut entry.state) else { return };
        let open = walk.close(&Outcome::NoAnswer, now);
        let reason = match walk.last_error() {
            Some(text) => text.to_owned(),
            None if walk.is_fresh() => "no media server of the list is alive".to_owned(),
            None => "no media server of the list answered in time".to_owned(),
        };
        for (server, cookie) in open {
            self.flights.close(cookie, &call_id, now);
            self.owe(server, &call_id, true, None, now);
        }
        if let Some(State::Moving(_)) = self.calls.entry(key).map(|entry| &entry.state) {
            self.nobody_takes(key, &reason, now);
        } else {
            let fault = self.calls.entry(key).map_or(Fault::NoServer, |entry| self.fault_of(entry));
            let lacking = || format!("every media server of the list {reason}");
            let reason = if fault == Fault::Family { lacking() } else { reason };
            self.refuse_seeker(key, fault, reason);
        }
    }

    /// A first offer has failed; the call was never there.
    fn refuse_seeker(&mut self, key: CallKey, fault: Fault, reason: String) {
        let Some(entry) = self.calls.remove(key) else { return };
        if let State::Seeking { token, walk } = entry.state {
            let call_id = entry.id.to_vec();
            self.tell(Event::Refused { token, call_id, fault, reason, story: walk.into_story() });
        }
    }

    pub(super) fn serve(&mut self, server: ServerId, key: CallKey) {
        if let Some(server) = self.servers.get_mut(server) {
            server.calls.insert(key);
            server.left_by.remove(&key);
        }
    }

    /// The call is on its way from `server` to another.
    pub(super) fn desert(&mut self, server: ServerId, key: CallKey) {
        if let Some(server) = self.servers.get_mut(server) {
            server.left_by.insert(key);
        }
    }
}

fn walking(state: &State) -> Option<(&Walk, order::Purpose)> {
    match state {
        State::Seeking { walk, .. } => Some((walk, order::Purpose::NewCall)),
        State::Moving(moving) if moving.rebuilding.is_none() => Some((&moving.walk, order::Purpose::MovedCall)),
        _ => None,
    }
}

fn walking_mut(state: &mut State) -> Option<&mut Walk> {
    match state {
        State::Seeking { walk, .. } => Some(walk),
        State::Moving(moving) if moving.rebuilding.is_none() => Some(&mut moving.walk),
        _ => None,
    }
}
