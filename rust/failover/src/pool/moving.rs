//! The calls of a dead server are created anew on the next one of their list, a bounded number at the same time.

use mediaha_time::Time;

use super::{Judged, Pool, millis};
use crate::call::Party;
use crate::event::{Event, Fault};
use crate::exchange::{Cookie, ServerId};
use crate::flights::Purpose;
use crate::registry::{CallKey, Move, Plight, Rebuilding, State};
use crate::story::{Asked, Outcome};
use crate::timers::Timer;
use crate::walk::Walk;

impl Pool {
    /// Begin with as many of the waiting calls as may be under way.
    pub(super) fn start_moves(&mut self, now: Time) {
        while self.moving < self.window.size() {
            let Some(key) = self.queue.pop_front() else { return };
            self.start_move(key, now);
        }
    }

    fn start_move(&mut self, key: CallKey, now: Time) {
        let Some(entry) = self.calls.entry(key) else { return };
        let State::Waiting(plight) = &entry.state else { return };
        let (plight, mut walk) = (plight.clone(), Walk::new(now, now + millis(self.config.command_ms_max)));
        if plight.kept {
            let failed = entry.wish.iter().flat_map(|wish| wish.failed.iter());
            plight.from.iter().chain(failed).for_each(|&server| walk.avoid(server));
        }
        let moving = Move { plight, walk, rebuilding: None, sdp_for_caller: None, sdp_for_callee: None };
        self.calls.turn(key, State::Moving(Box::new(moving)));
        self.moving += 1;
        self.walk_on(key, now);
    }

    /// A server took the offer of a call being moved: go on with this step there.
    pub(super) fn rebuild(&mut self, key: CallKey, server: ServerId, step: usize, now: Time) {
        let Some(entry) = self.calls.entry(key) else { return };
        let Some(next) = entry.agreement.step(step) else { return self.moved(key, server, now) };
        let (call_id, asked, name) = (entry.id.clone(), next.asked, self.servers.name(server));
        let request = self.request(&call_id, next);
        let cookie = self.send(server, Purpose::Rebuild(key), request, Time::FAR, now);
        let give_up_at = now + millis(self.config.move_step_ms_max);
        self.timers.set(give_up_at, Timer::Call(key));
        if let Some(moving) = self.moving_mut(key) {
            let place = moving.walk.note(&name, asked, now);
            moving.rebuilding = Some(Rebuilding { server, step, cookie, place, give_up_at });
        }
    }

    pub(super) fn rebuild_answered(&mut self, key: CallKey, cookie: Cookie, judged: Judged, now: Time) {
        let Some(entry) = self.calls.entry_mut(key) else { return };
        let State::Moving(moving) = &mut entry.state else { return };
        let Some(rebuilding) = moving.rebuilding.take_if(|rebuilding| rebuilding.cookie == cookie) else { return };
        let Rebuilding { server, step, place, .. } = rebuilding;
        let done = entry.agreement.step(step);
        match judged {
            Judged::Usable(sdp) | Judged::Adopted(sdp, _) => {
                moving.walk.settle(place, Outcome::Answered, now);
                match done.map(|done| done.reply_is_for) {
                    Some(Party::Caller) => moving.sdp_for_caller = Some(sdp),
                    Some(Party::Callee) => moving.sdp_for_callee = Some(sdp),
                    None => {}
                }
                self.rebuild(key, server, step + 1, now);
            }
            Judged::Callers(text)
            | Judged::UnknownCall(text)
            | Judged::Full(text)
            | Judged::Unfit(text)
            | Judged::Failed(text) => {
                moving.walk.settle(place, Outcome::Error(text), now);
                // The call is whole without the re-offer that nobody has answered.
                if step > 1 && done.is_some_and(|done| done.asked == Asked::Offer) {
                    return self.moved(key, server, now);
                }
                self.leave_target(key, server, false, now);
            }
        }
    }

    /// The server died (or lost its memory) while the call was being created on it.
    pub(super) fn rebuild_lost(&mut self, key: CallKey, server: ServerId, cookie: Cookie, why: &str, now: Time) {
        let Some(moving) = self.moving_mut(key) else { return };
        if let Some(rebuilding) = moving.rebuilding.take_if(|rebuilding| rebuilding.cookie == cookie) {
            moving.walk.settle(rebuilding.place, Outcome::Died(why.to_owned()), now);
            self.leave_target(key, server, rebuilding.step > 1, now);
        }
    }

    /// The server took the offer and then fell silent, and is not dead.
    pub(super) fn rebuild_due(&mut self, key: CallKey, now: Time) {
        let Some(entry) = self.calls.entry_mut(key) else { return };
        let call_id = entry.id.clone();
        let State::Moving(moving) = &mut entry.state else { return };
        let Some(late) = moving.rebuilding.take_if(|rebuilding| now >= rebuilding.give_up_at) else { return };
        moving.walk.settle(late.place, Outcome::NoAnswer, now);
        self.flights.close(late.cookie, &call_id, now);
        self.leave_target(key, late.server, late.step > 1, now);
    }

    /// What was begun on this server has failed: on to the next one.
    fn leave_target(&mut self, key: CallKey, server: ServerId, doubtful: bool, now: Time) {
        let give_up_at = now + millis(self.config.command_ms_max);
        let Some(moving) = self.moving_mut(key) else { return };
        moving.walk.resume(now, give_up_at);
        (moving.sdp_for_caller, moving.sdp_for_callee) = (None, None);
        let Some(call_id) = self.calls.entry(key).map(|entry| entry.id.clone()) else { return };
        self.owe(server, &call_id, doubtful, None, now);
        self.walk_on(key, now);
    }

    /// All steps are done.
    fn moved(&mut self, key: CallKey, server: ServerId, now: Time) {
        let Some(call_id) = self.calls.entry(key).map(|entry| entry.id.clone()) else { return };
        let Some(State::Moving(moving)) = self.calls.turn(key, State::Serving { server }) else { return };
        let Move { plight, walk, sdp_for_caller, sdp_for_callee, .. } = *moving;
        self.moving -= 1;
        if let Some(from) = plight.from.filter(|&from| from != server) {
            self.unserve(from, key);
            self.owe(from, &call_id, plight.doubtful, None, now);
        }
        self.serve(server, key);
        self.window.grow();
        self.tell(Event::Moved {
            call_id: call_id.to_vec(),
            from_server: plight.from_name.to_string(),
            server: self.servers.name(server).to_string(),
            sdp_for_caller,
            sdp_for_callee,
            story: walk.into_story(),
        });
        self.fulfil(key, now);
    }

    /// No server of the list takes the call now.
    pub(super) fn nobody_takes(&mut self, key: CallKey, why: &str, now: Time) {
        let Some(entry) = self.calls.entry(key) else { return };
        let State::Moving(moving) = &entry.state else { return };
        let plight = moving.plight.clone();
        self.moving -= 1;
        // It was alive all the time and only failed a request; the call is better off there than nowhere.
        if let Some(server) = plight.from.filter(|_| plight.kept) {
            self.calls.turn(key, State::Serving { server });
            self.serve(server, key);
            return self.refuse_wish(key, Fault::NoServer, why, now);
        }
        self.strand(key, plight, why, now);
    }

    fn strand(&mut self, key: CallKey, mut plight: Plight, why: &str, now: Time) {
        let retry_at = now + millis(plight.retry_ms);
        plight.retry_ms = (plight.retry_ms * 2).min(self.config.strand_retry_ms_max);
        let was_told = std::mem::replace(&mut plight.told, true);
        let server = plight.from_name.to_string();
        self.calls.turn(key, State::Stranded { plight, retry_at });
        self.timers.set(retry_at, Timer::Call(key));
        if !was_told {
            let call_id = self.calls.entry(key).map(|entry| entry.id.to_vec()).unwrap_or_default();
            self.tell(Event::Stranded { call_id, server, why: why.to_owned() });
        }
    }

    pub(super) fn strand_due(&mut self, key: CallKey, now: Time) {
        let Some(entry) = self.calls.entry(key) else { return };
        if matches!(&entry.state, State::Stranded { retry_at, .. } if now >= *retry_at) {
            self.try_again(key);
        }
    }

    /// A server can be asked again: so do all stranded calls that list it.
    pub(super) fn rescue(&mut self, server: &str) {
        for key in self.calls.stranded_with(server) {
            self.try_again(key);
        }
    }

    fn try_again(&mut self, key: CallKey) {
        let Some(entry) = self.calls.entry(key) else { return };
        if let State::Stranded { plight, .. } = &entry.state {
            let plight = plight.clone();
            self.calls.turn(key, State::Waiting(plight));
            self.queue.push_back(key);
        }
    }

    fn moving_mut(&mut self, key: CallKey) -> Option<&mut Move> {
        match &mut self.calls.entry_mut(key)?.state {
            State::Moving(moving) => Some(moving),
            _ => None,
        }
    }
}
