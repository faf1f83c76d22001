//! What session control asks for.

use mediaha_time::Time;

use super::{Pool, millis};
use crate::call::{Agreement, Proposal};
use crate::command::{Command, Token};
use crate::event::{Event, Fault};
use crate::exchange::ServerId;
use crate::registry::{CallId, CallKey, Entry, Plight, State, What, Wish};
use crate::story::Outcome;
use crate::walk::Walk;

impl Pool {
    pub(super) fn command(&mut self, command: Command, now: Time) {
        match command {
            Command::Servers(specs) => self.configure(&specs, now),
            Command::Drain { server, draining } => self.drain(&server, draining, now),
            Command::Died { server, why } => self.died(&server, why, now),
            Command::Succeeding { server, why, within_ms } => {
                self.succeeding(&server, why, millis(within_ms), now);
            }
            Command::Offer { token, call_id, from_tag, to_tag, sdp, family, servers } => {
                let offer = Proposal { from: from_tag, to: to_tag, sdp, family };
                match self.calls.key(&call_id) {
                    None => self.first_offer(token, call_id.into(), offer, servers, now),
                    Some(key) => {
                        self.relist(key, servers);
                        self.wish(key, token, What::Offer(offer), now);
                    }
                }
            }
            Command::Answer { token, call_id, from_tag, to_tag, sdp, family } => match self.calls.key(&call_id) {
                None => self.refuse(token, &call_id, Fault::UnknownCall, "the call is not known"),
                Some(key) => {
                    let answer = Proposal { from: from_tag, to: Some(to_tag), sdp, family };
                    self.wish(key, token, What::Answer(answer), now);
                }
            },
            Command::Delete { token, call_id } => match self.calls.key(&call_id) {
                None => self.tell(Event::Deleted { token, call_id }),
                Some(key) => self.delete(key, token, now),
            },
            Command::Adopt { token, call_id, from_tag, to_tag, from_sdp, to_sdp, to_family, servers, current } => {
                let caller = Proposal { from: from_tag, to: to_tag, sdp: from_sdp, family: to_family };
                let agreement = Agreement::adopted(caller, to_sdp);
                self.adopt(token, call_id.into(), agreement, servers, current.as_deref(), now);
            }
        }
    }

    fn first_offer(&mut self, token: Token, call_id: CallId, offer: Proposal, servers: Vec<String>, now: Time) {
        if self.is_full(token, &call_id) {
            return;
        }
        let walk = Walk::new(now, now + millis(self.config.command_ms_max));
        let key = self.calls.insert(Entry {
            id: call_id,
            agreement: Agreement::new(offer),
            servers: servers.into(),
            state: State::Seeking { token, walk },
            wish: None,
        });
        self.walk_on(key, now);
    }

    fn relist(&mut self, key: CallKey, servers: Vec<String>) {
        if let Some(entry) = self.calls.entry_mut(key).filter(|_| !servers.is_empty()) {
            entry.servers = servers.into();
        }
    }

    /// Do something for a call that is known, as soon as it is served.
    fn wish(&mut self, key: CallKey, token: Token, what: What, now: Time) {
        let patience = millis(self.config.command_ms_max);
        let Some(entry) = self.calls.entry_mut(key) else { return };
        if entry.wish.is_some() || matches!(entry.state, State::Seeking { .. }) {
            let call_id = entry.id.clone();
            return self.refuse(token, &call_id, Fault::Busy, "another request of the call is being done");
        }
        if let What::Offer(_) = what {
            entry.agreement.offering();
        }
        entry.wish = Some(Wish {
            token,
            what,
            asking: None,
            story: Vec::new(),
            impatient_at: Time::FAR,
            give_up_at: now + patience,
            failed: Vec::new(),
            was_unknown: false,
        });
        self.fulfil(key, now);
    }

    fn adopt(
        &mut self,
        token: Token,
        call_id: CallId,
        agreement: Agreement,
        servers: Vec<String>,
        current: Option<&str>,
        now: Time,
    ) {
        if self.calls.key(&call_id).is_some() {
            return self.refuse(token, &call_id, Fault::Busy, "the call is known already");
        }
        if self.is_full(token, &call_id) {
            return;
        }
        let from = current.and_then(|name| self.servers.named(name));
        let serving = from.filter(|&server| !self.servers.is_dead(server));
        let state = match serving {
            Some(server) => State::Serving { server },
            None => State::Waiting(Plight {
                from,
                from_name: current.unwrap_or_default().into(),
                kept: false,
                doubtful: false,
                told: false,
                retry_ms: self.config.strand_retry_ms_min,
            }),
        };
        let key = self.calls.insert(Entry { id: call_id, agreement, servers: servers.into(), state, wish: None });
        match serving {
            Some(server) => self.serve(server, key),
            None => self.queue.push_back(key),
        }
        if let Some(server) = from.filter(|_| serving.is_none()) {
            self.desert(server, key);
        }
        self.wish(key, token, What::Adopt, now);
    }

    /// The call ends: nothing of it may stay anywhere.
    fn delete(&mut self, key: CallKey, token: Token, now: Time) {
        let Some((call_id, places)) = self.uproot(key, "the call was deleted meanwhile", now) else { return };
        // The command waits for a server that can answer; the others are none of its business.
        let mut waiting = Some(token);
        for (server, doubtful) in places {
            let token = if self.servers.is_dead(server) { None } else { waiting.take() };
            self.owe(server, &call_id, doubtful, token, now);
        }
        if let Some(token) = waiting {
            self.tell(Event::Deleted { token, call_id: call_id.to_vec() });
        }
    }

    /// Take a call out of the pool: refuse what it had open, and give its id and the servers that may have something
    /// of it, with whether more may arrive there.
    pub(super) fn uproot(
        &mut self,
        key: CallKey,
        why: &str,
        now: Time,
    ) -> Option<(CallId, Vec<(ServerId, bool)>)> {
        let entry = self.calls.remove(key)?;
        let call_id = entry.id.clone();
        let mut places: Vec<(ServerId, bool)> = Vec::new();
        let mut offered = false;
        if let Some(wish) = entry.wish {
            offered = matches!(wish.what, What::Offer(_)) && wish.asking.is_some();
            if let Some((cookie, _)) = wish.asking {
                self.flights.close(cookie, &call_id, now);
            }
            self.refuse(wish.token, &call_id, Fault::UnknownCall, why);
        }
        match entry.state {
            State::Seeking { token, mut walk } => {
                places.extend(self.abandon(&mut walk, &Outcome::Withdrawn, &call_id, now));
                self.refuse(token, &call_id, Fault::UnknownCall, why);
            }
            State::Serving { server } => {
                self.unserve(server, key);
                places.push((server, offered));
            }
            State::Waiting(plight) | State::Stranded { plight, .. } => {
                places.extend(self.leave(&plight, key));
            }
            State::Moving(mut moving) => {
                self.moving -= 1;
                if let Some(rebuilding) = &moving.rebuilding {
                    self.flights.close(rebuilding.cookie, &call_id, now);
                    places.push((rebuilding.server, rebuilding.step > 1));
                }
                places.extend(self.abandon(&mut moving.walk, &Outcome::Withdrawn, &call_id, now));
                places.extend(self.leave(&moving.plight, key));
            }
        }
        Some((call_id, places))
    }

    /// The server that a call in a plight came from, as a place that may still have something of it.
    fn leave(&mut self, plight: &Plight, key: CallKey) -> Option<(ServerId, bool)> {
        let from = plight.from?;
        self.unserve(from, key);
        Some((from, plight.doubtful))
    }

    /// End a walk; the servers that had not answered may still take the offer.
    pub(super) fn abandon(
        &mut self,
        walk: &mut Walk,
        outcome: &Outcome,
        call_id: &CallId,
        now: Time,
    ) -> Vec<(ServerId, bool)> {
        let open = walk.close(outcome, now);
        for (_, cookie) in &open {
            self.flights.close(*cookie, call_id, now);
        }
        open.into_iter().map(|(server, _)| (server, true)).collect()
    }

    pub(super) fn unserve(&mut self, server: ServerId, key: CallKey) {
        if let Some(server) = self.servers.get_mut(server) {
            server.calls.remove(&key);
            server.left_by.remove(&key);
        }
    }

    fn is_full(&mut self, token: Token, call_id: &[u8]) -> bool {
        let is_full = self.calls.len() >= self.config.calls_max;
        if is_full {
            self.refuse(token, call_id, Fault::Busy, "the pool holds as many calls as it may");
        }
        is_full
    }

    pub(super) fn refuse(&mut self, token: Token, call_id: &[u8], fault: Fault, reason: &str) {
        let (call_id, reason) = (call_id.to_vec(), reason.to_owned());
        self.tell(Event::Refused { token, call_id, fault, reason, story: Vec::new() });
    }
}
