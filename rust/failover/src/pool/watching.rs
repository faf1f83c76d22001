//! Watching the servers, and what follows when one dies, comes back, or forgets.

use std::collections::BTreeSet;

use mediaha_ng::{Query, Reply, Request};
use mediaha_time::{Duration, Time};

use super::{Judged, Pool, millis};
use crate::audit::Finding;
use crate::command::ServerSpec;
use crate::event::Event;
use crate::exchange::{Cookie, Output, ServerId};
use crate::family::Families;
use crate::flights::Purpose;
use crate::liveness::Verdict;
use crate::registry::{CallKey, Plight, State};

impl Pool {
    pub(super) fn configure(&mut self, specs: &[ServerSpec], now: Time) {
        self.servers.replace(specs, now);
        for server in self.servers.ids() {
            if self.servers.get(server).is_some_and(|one| !one.listed) {
                self.suspend_probe(server, now);
            }
            self.forget_if_done(server);
            self.announce(server);
            self.rescue_for(server);
        }
    }

    pub(super) fn drain(&mut self, name: &str, draining: bool, now: Time) {
        let Some(id) = self.servers.known(name) else { return };
        if let Some(server) = self.servers.get_mut(id) {
            server.set_draining(draining, server.drains, now);
        }
        self.announce(id);
        self.rescue_for(id);
    }

    pub(super) fn died(&mut self, name: &str, why: String, now: Time) {
        let Some(id) = self.servers.known(name) else { return };
        let verdict = self.servers.get_mut(id).and_then(|server| server.liveness.killed(why, now));
        self.act_on(id, verdict, now);
    }

    pub(super) fn succeeding(&mut self, name: &str, why: String, within: Duration, now: Time) {
        let Some(id) = self.servers.known(name) else { return };
        let verdict =
            self.servers.get_mut(id).and_then(|server| server.liveness.succeeding(why, now + within, now));
        self.act_on(id, verdict, now);
    }

    pub(super) fn unreachable(&mut self, server: ServerId, now: Time) {
        let verdict = self.servers.get_mut(server).and_then(|one| one.liveness.refused(now));
        self.act_on(server, verdict, now);
    }

    /// Ping, judge the silence, ask about a call: what is due for this server.
    pub(super) fn look_after(&mut self, server: ServerId, now: Time) {
        let witness = self.servers.witness(server, &self.config, now);
        let Some(one) = self.servers.get_mut(server) else { return };
        if now < one.liveness.next_at(&self.config, &one.rtt).min(one.audit_at()) {
            return;
        }
        let verdict = one.liveness.tick(&self.config, &one.rtt, witness, now);
        if one.liveness.ping_is_due(now) {
            let cookie = self.flights.cookie();
            one.liveness.pinged(cookie, &self.config, now);
            self.outbox.push_back(Output::Send { server, cookie, request: Request::Ping });
            self.fence.expire(server, &self.config, now);
        }
        self.act_on(server, verdict, now);
        self.audit(server, now);
        self.forget_if_done(server);
    }

    /// Whether the reply answers a ping. Even an error does: who answers is there.
    pub(super) fn pong(&mut self, server: ServerId, cookie: Cookie, reply: &Reply, now: Time) -> bool {
        let owes_nothing = self.fence.owed(server) == 0;
        let Some(one) = self.servers.get_mut(server) else { return false };
        let instance = match reply {
            Reply::Pong { instance, .. } => instance.as_deref(),
            _ => None,
        };
        let Some(heard) = one.liveness.pong(cookie, instance, owes_nothing, &self.config, now) else {
            return false;
        };
        one.rtt.sample(heard.rtt, now);
        let was_draining = one.is_draining();
        if let Reply::Pong { draining, adopts, .. } = reply {
            one.set_draining(one.drained, *draining, now);
            one.adopts = *adopts;
        }
        if was_draining != one.is_draining() {
            self.announce(server);
            self.rescue_for(server);
        }
        self.act_on(server, heard.verdict, now);
        true
    }

    /// Some other request was answered.
    pub(super) fn sign_of_life(&mut self, server: ServerId, rtt: Option<Duration>, now: Time) {
        let Some(one) = self.servers.get_mut(server) else { return };
        if let Some(rtt) = rtt {
            one.rtt.sample(rtt, now);
        }
        let verdict = one.liveness.answered(now);
        self.act_on(server, verdict, now);
    }

    pub(super) fn audit_answered(&mut self, server: ServerId, key: CallKey, judged: &Judged, now: Time) {
        let known = !matches!(judged, Judged::UnknownCall(_));
        let Some(one) = self.servers.get_mut(server) else { return };
        match one.audit.answered(key, known, &one.calls, now) {
            Finding::Fine => {}
            Finding::Lost(call) => self.relocate(call, server, false),
            Finding::Forgot => self.lose(server, "does not know its calls", now),
        }
    }

    /// The server did not know a call it should know: it may have forgotten the others too.
    pub(super) fn doubt(&mut self, server: ServerId, now: Time) {
        if let Some(one) = self.servers.get_mut(server) {
            one.audit.doubt(one.calls.len(), now);
        }
    }

    pub(super) fn audit_unanswered(&mut self, server: ServerId) {
        if let Some(one) = self.servers.get_mut(server) {
            one.audit.unanswered();
        }
    }

    fn audit(&mut self, server: ServerId, now: Time) {
        let Some(one) = self.servers.get_mut(server) else { return };
        if now < one.audit_at() {
            return;
        }
        let Some(key) = one.audit.ask(&one.calls, &self.config, now) else { return };
        let Some(entry) = self.calls.entry(key) else { return };
        let query = Query { call_id: entry.id.to_vec(), ..Query::default() };
        let give_up_at = now + millis(self.config.command_ms_max) / 2;
        self.send(server, Purpose::Audit(key), Request::Query(query), give_up_at, now);
    }

    fn act_on(&mut self, server: ServerId, verdict: Option<Verdict>, now: Time) {
        let Some(verdict) = verdict else { return };
        self.announce(server);
        match verdict {
            Verdict::Suspected => {}
            Verdict::Cleared | Verdict::Returned => {
                // It was silent long enough to have been restarted; only pongs with an instance would have told.
                self.doubt(server, now);
                self.pay(server, now);
                self.rescue_for(server);
            }
            Verdict::Died => {
                let why = self.servers.get(server).map(|one| one.in_words().1).unwrap_or_default();
                self.lose(server, &why, now);
            }
            Verdict::Forgot => {
                self.lose(server, "lost its memory", now);
                self.pay(server, now);
                self.rescue_for(server);
            }
        }
    }

    /// Everything that was on this server, or on its way there, is lost.
    fn lose(&mut self, server: ServerId, why: &str, now: Time) {
        let Some(one) = self.servers.get_mut(server) else { return };
        let (calls, name) = (std::mem::take(&mut one.calls), one.name.clone());
        // What comes back may have other addresses.
        one.lacks = Families::default();
        let mut doubtful = BTreeSet::new();
        self.end_probe(server, now);
        for (cookie, flight) in self.flights.ground(server) {
            match &flight.purpose {
                Purpose::Walk(key) | Purpose::Rebuild(key) | Purpose::Wish(key) => {
                    if let Some(call_id) = self.calls.entry(*key).map(|entry| entry.id.clone()) {
                        self.flights.remember(&flight, cookie, &call_id, now);
                    }
                }
                Purpose::Delete(call_id) => self.delete_grounded(server, call_id),
                Purpose::Audit(_) => self.audit_unanswered(server),
                Purpose::Probe => {}
            }
            match flight.purpose {
                Purpose::Walk(key) => self.walk_lost(key, server, cookie, why, now),
                Purpose::Rebuild(key) => self.rebuild_lost(key, server, cookie, why, now),
                Purpose::Wish(key) if self.wish_lost(key, why, now) => drop(doubtful.insert(key)),
                Purpose::Wish(_) | Purpose::Delete(_) | Purpose::Audit(_) | Purpose::Probe => {}
            }
        }
        // Those with sound first: who hears it ring loses nothing yet.
        let (answered, ringing): (Vec<_>, Vec<_>) = calls.into_iter().partition(|&key| self.is_answered(key));
        for key in answered.into_iter().chain(ringing) {
            let plight = Plight {
                from: Some(server),
                from_name: name.clone(),
                kept: false,
                doubtful: doubtful.contains(&key),
                told: false,
                retry_ms: self.config.strand_retry_ms_min,
            };
            self.bereave(key, plight);
        }
    }

    /// A call has lost its server.
    fn bereave(&mut self, key: CallKey, plight: Plight) {
        let Some(entry) = self.calls.entry_mut(key) else { return };
        match &mut entry.state {
            State::Serving { .. } => {
                let from = plight.from;
                self.calls.turn(key, State::Waiting(plight));
                if let Some(server) = from {
                    self.desert(server, key);
                }
                self.queue.push_back(key);
            }
            // It was about to leave a server that was alive. There is no way back any more.
            State::Waiting(known) => known.kept = false,
            State::Moving(moving) => moving.plight.kept = false,
            State::Seeking { .. } | State::Stranded { .. } => {}
        }
    }

    pub(super) fn is_answered(&self, key: CallKey) -> bool {
        self.calls.entry(key).is_some_and(|entry| entry.agreement.is_answered())
    }

    pub(super) fn rescue_for(&mut self, server: ServerId) {
        let Some(one) = self.servers.get(server) else { return };
        if one.trust().is_some() {
            let name = one.name.clone();
            self.rescue(&name);
        }
    }

    pub(super) fn announce(&mut self, server: ServerId) {
        let Some(one) = self.servers.get_mut(server) else { return };
        let name = one.name.to_string();
        if let Some((state, why, since)) = one.news() {
            self.tell(Event::ServerState { server: name, state, why, since });
        }
    }

    /// A server that is configured no longer is forgotten with its last call, and when it has been told to delete
    /// what it may still have: it may be configured again.
    fn forget_if_done(&mut self, server: ServerId) {
        let Some(one) = self.servers.get(server) else { return };
        let is_left = one.calls.is_empty() && one.left_by.is_empty();
        if one.listed || !is_left || self.fence.owes_anything(server) || self.flights.any_to(server) {
            return;
        }
        self.fence.forget_server(server);
        self.servers.remove(server);
    }
}
