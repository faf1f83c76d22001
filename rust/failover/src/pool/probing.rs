//! Packets through each server's media and back, and what follows when they stay away while the server answers.

use std::net::SocketAddr;

use mediaha_ng::{Media, Reply, Request};
use mediaha_time::Time;

use super::{Pool, millis};
use crate::exchange::{Cookie, Output, ServerId};
use crate::flights::Purpose;
use crate::liveness;
use crate::order::Trust;
use crate::probe::{self, Step, Todo, Verdict};
use crate::registry::{CallId, CallKey, State};
use crate::story::Outcome;

/// The tags of the two parties of a probe.
const TAGS: [&[u8]; 2] = [b"probe-a", b"probe-b"];

impl Pool {
    /// Do what is due for the probe of this server.
    pub(super) fn probe(&mut self, server: ServerId, now: Time) {
        let Some(one) = self.servers.get_mut(server) else { return };
        if now < one.probe_at(&self.config) {
            return;
        }
        if !one.is_to_be_probed(&self.config) {
            return self.suspend_probe(server, now);
        }
        let answers = matches!(one.liveness.state(), liveness::State::Usable { .. });
        let (todo, verdict) = one.probe.tick(&self.config, answers, now);
        match todo {
            Some(Todo::Open) => self.outbox.push_back(Output::OpenProbe { server }),
            Some(Todo::Ask(step)) => self.ask_for_probe(server, step, now),
            Some(Todo::Delete) => self.owe(server, &self.probe_call(server), false, None, now),
            Some(Todo::Send { number, side, to }) => {
                self.outbox.push_back(Output::Probe { server, number, side, to });
            }
            None => {}
        }
        self.act_on_probe(server, verdict, now);
        self.leave_gray(server, now);
    }

    pub(super) fn probe_opened(&mut self, server: ServerId, ours: [SocketAddr; 2], now: Time) {
        if let Some(one) = self.servers.get_mut(server) {
            one.probe.opened(ours);
        }
        self.probe(server, now);
    }

    /// A packet has come back.
    pub(super) fn probed(&mut self, server: ServerId, number: u64, now: Time) {
        let Some(one) = self.servers.get_mut(server) else { return };
        let verdict = one.probe.heard(number, &self.config, now);
        self.act_on_probe(server, verdict, now);
    }

    /// The server has answered, or not in time.
    pub(super) fn probe_answered(&mut self, server: ServerId, cookie: Cookie, reply: Option<Reply>, now: Time) {
        let leads_to = match reply {
            Some(Reply::Sdp(sdp)) => probe::leads_to_untrusted(&sdp),
            _ => None,
        };
        let call_id = self.probe_call(server);
        let Some(one) = self.servers.get_mut(server) else { return };
        one.probe.answered(cookie, leads_to, now);
        if !one.probe.is_open() {
            self.owe(server, &call_id, true, None, now);
        }
        self.probe(server, now);
    }

    /// There is no probe of this server any more; what it may have of the session is to be deleted.
    pub(super) fn end_probe(&mut self, server: ServerId, now: Time) {
        self.suspend_probe(server, now);
        if let Some(one) = self.servers.get_mut(server) {
            one.probe.lost(now);
        }
    }

    /// The same for a while, as of a server that drains or is not configured now. What is known of it stays: one that forwards nothing
    /// does so afterwards, too.
    pub(super) fn suspend_probe(&mut self, server: ServerId, now: Time) {
        let Some(one) = self.servers.get_mut(server) else { return };
        if one.probe.is_open() {
            one.probe.close(now);
            self.owe(server, &self.probe_call(server), true, None, now);
        }
    }

    fn ask_for_probe(&mut self, server: ServerId, step: Step, now: Time) {
        let call_id = self.probe_call(server);
        let Some(address) = self.servers.get(server).and_then(|one| one.probe.ours(step)) else { return };
        if self.fence.blocks(server, &call_id) {
            // It is just deleting the last one.
            if let Some(one) = self.servers.get_mut(server) {
                one.probe.close(now + millis(self.config.probe_ms));
            }
            return;
        }
        self.make_way(server, &call_id);
        let media = Media {
            call_id: call_id.to_vec(),
            from_tag: TAGS[0].to_vec(),
            to_tag: Some(TAGS[1].to_vec()),
            via_branch: None,
            sdp: probe::sdp(address),
            options: self.config.options.clone(),
        };
        let request = if step == Step::Offer { Request::Offer(media) } else { Request::Answer(media) };
        let give_up_at = now + millis(self.config.command_ms_max) / 2;
        let cookie = self.send(server, Purpose::Probe, request, give_up_at, now);
        if let Some(one) = self.servers.get_mut(server) {
            one.probe.asked(cookie, step);
        }
    }

    fn act_on_probe(&mut self, server: ServerId, verdict: Option<Verdict>, now: Time) {
        let Some(verdict) = verdict else { return };
        self.announce(server);
        match verdict {
            Verdict::Gray => self.leave_gray(server, now),
            Verdict::Cleared => self.rescue_for(server),
        }
    }

    /// The calls of a gray server go elsewhere, if packets come through elsewhere: else the fault is more likely ours. Those that
    /// nobody else takes stay.
    fn leave_gray(&mut self, server: ServerId, now: Time) {
        let others_work = self.servers.others_probed(server, &self.config, now);
        let Some(one) = self.servers.get_mut(server) else { return };
        if one.probe.gray_since().is_none() || one.probe.left || !others_work {
            return;
        }
        one.probe.left = true;
        let calls: Vec<CallKey> = one.calls.iter().copied().collect();
        // Those with sound are put in front of the others.
        let (answered, ringing): (Vec<_>, Vec<_>) = calls.into_iter().partition(|&key| self.is_answered(key));
        for key in ringing.into_iter().chain(answered) {
            let is_there = self.calls.entry(key).is_some_and(|entry| matches!(entry.state, State::Serving { .. }));
            if is_there && self.has_other(key, server, Trust::Draining) {
                self.close_wish(key, &Outcome::NoAnswer, now);
                self.relocate(key, server, true);
            }
        }
    }

    fn probe_call(&self, server: ServerId) -> CallId {
        format!("{}-{}", self.probes, server.0).into_bytes().into()
    }
}
