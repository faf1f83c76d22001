//! What must always be true, and what must be true once everything has settled.

use std::collections::BTreeSet;

use mediaha_time::{Duration, Time};

use crate::call::{Call, Phase};
use crate::effect::Effect;
use crate::nets::Complaint;
use crate::server::Server;
use crate::world::{EXIT, World};

/// A server that has been without any trouble for so long before a call asks for it must take the call. It covers the
/// pool's silence limit, a ping, and a few losses.
const FIT_FOR: Duration = Duration::from_millis(1_500);
/// A server without trouble for so long must not be called dead.
const FIT_TO_LIVE: Duration = Duration::from_millis(700);

/// The calls of a server that forwards nothing have left it by then, if another one of their lists was fit all the while.
pub(crate) const LEFT_WITHIN: Duration = Duration::from_millis(2_200);

/// A call whose server is dead is elsewhere after this time, if another server of its list was fit all the while:
/// there is time for one that takes the offer and then falls silent.
pub(crate) const MOVED_WITHIN: Duration = Duration::from_millis(1_200);

impl World {
    /// New calls are not refused, and old ones not stranded, while a server of their list can take them.
    pub(crate) fn judge_complaints(&mut self) {
        for Complaint { call, since, what } in std::mem::take(&mut self.nets.complaints) {
            let then = since - FIT_FOR;
            let fit = self.listed(&self.nets.calls[call]).find(|server| server.effects.is_fit_since(then));
            // A pool that was stopped meanwhile had no time to look for it.
            let fit = fit.filter(|server| server.has_room() && !self.was_stopped_since(then));
            if let Some(server) = fit.map(|server| server.name.clone()) {
                let id = String::from_utf8_lossy(&self.nets.calls[call].id).into_owned();
                self.violate(format!("{id} {what}, although {server} could take it"));
            }
        }
    }

    /// Nobody is called dead without having given reason, and be it that the pool was stopped.
    pub(crate) fn judge_death(&mut self, name: &str, why: &str) {
        // These speak of a process that is gone, whether or not another has taken its place since.
        if why == EXIT || (why.starts_with("nobody listens") && self.was_stopped_since(self.now - FIT_FOR)) {
            return;
        }
        if self.machine.as_ref().is_some_and(|machine| !machine.is_bearable() && machine.is_late(self.now)) {
            return;
        }
        let then = self.now - FIT_TO_LIVE;
        let server = self.servers.iter().find(|server| server.name == name);
        if then > Time::ZERO && server.is_some_and(|server| server.effects.is_sound_since(then)) {
            self.violate(format!("{name} is called dead ({why}), and nothing was wrong with it"));
        }
    }

    /// Nobody is called gray whose packets came through.
    pub(crate) fn judge_grayness(&mut self, name: &str, why: &str) {
        let then = self.now - FIT_TO_LIVE;
        let server = self.servers.iter().find(|server| server.name == name);
        if why.contains("forwards no media") && server.is_some_and(|server| server.effects.is_sound_since(then)) {
            self.violate(format!("{name} is called gray, and nothing was wrong with it"));
        }
    }

    /// Whether packets have come through this server, and nothing speaks against it.
    pub(crate) fn is_probed_through(&self, server: usize) -> bool {
        let then = self.now - FIT_FOR;
        let server = &self.servers[server];
        server.effects.is_fit_since(then)
            && server.loss_permille == 0
            && server.has_room()
            && !self.was_stopped_since(then)
    }

    /// A server has forwarded nothing since then, and had these calls.
    pub(crate) fn check_left(&mut self, server: usize, since: Time, calls: &[(usize, u32)]) {
        let then = since - FIT_FOR;
        let gray = &self.servers[server];
        if !gray.effects.is_only(&Effect::Gray) || self.was_stopped_since(then) {
            return;
        }
        let name = gray.name.clone();
        for &(number, placed) in calls {
            let call = &self.nets.calls[number];
            let is_there = call.placed == placed && call.server.as_deref() == Some(&name);
            let talks = matches!(call.phase, Phase::Talking | Phase::Ringing);
            let fit = self.listed(call).find(|one| {
                one.name != name && one.has_room() && one.loss_permille == 0 && one.effects.is_fit_since(then)
            });
            if let Some(fit) = fit.filter(|_| is_there && talks).map(|one| one.name.clone()) {
                let id = String::from_utf8_lossy(&self.nets.calls[number].id).into_owned();
                self.violate(format!(
                    "{id} is still on {name}, which forwards nothing, although {fit} could take it"
                ));
                return;
            }
        }
    }

    /// The call's server, the `placed`th it was on, died a while ago.
    pub(crate) fn check_moved(&mut self, call: usize, placed: u32) {
        let (now, call) = (self.now, &self.nets.calls[call]);
        let since = now - MOVED_WITHIN - FIT_FOR;
        let Some(dead) = call.server.as_deref().filter(|_| call.placed == placed && call.phase.has_media()) else {
            return;
        };
        let is_fit = |one: &&Server| one.name != dead && one.has_room() && one.effects.is_fit_since(since);
        let fit = self.listed(call).find(is_fit).filter(|_| !self.was_stopped_since(since));
        let id = String::from_utf8_lossy(&call.id);
        let text =
            fit.map(|fit| format!("{id} is still on {dead}, which died, although {} could take it", fit.name));
        if let Some(text) = text {
            self.violate(text);
        }
    }

    /// All trouble is over, and was some time ago: each call is where the pool says, there alone, and complete.
    pub(crate) fn check_settled(&mut self) {
        let now = self.now;
        let held: Vec<BTreeSet<Vec<u8>>> = self.servers.iter_mut().map(|server| server.calls(now)).collect();
        let mut violations = Vec::new();
        for call in &self.nets.calls {
            let id = String::from_utf8_lossy(&call.id);
            let places = held.iter().zip(&self.servers);
            let places: Vec<&Server> = places
                .filter(|(held, server)| server.is_up() && held.contains(&call.id))
                .map(|(_, one)| one)
                .collect();
            let names: Vec<&str> = places.iter().map(|server| server.name.as_str()).collect();
            match (call.phase, places.as_slice()) {
                (Phase::Idle | Phase::Gone, []) => {}
                (Phase::Idle | Phase::Gone, _) => violations.push(format!("{id} is over and still on {names:?}")),
                (Phase::Setup | Phase::Answering | Phase::Changing | Phase::Confirming, _) => {
                    violations.push(format!("{id} is still {:?}", call.phase));
                }
                (_, [server]) if call.server.as_deref() == Some(server.name.as_str()) => {
                    violations.extend(incomplete(call, server).map(|what| format!("{id} on {names:?}: {what}")));
                }
                (_, []) => {
                    if let Some(server) = self.listed(call).find(|server| server.is_running() && server.has_room())
                    {
                        violations.push(format!("{id} is nowhere, and {} could take it", server.name));
                    }
                }
                _ => violations.push(format!("{id} should be on {:?} alone, is on {names:?}", call.server)),
            }
        }
        for text in violations {
            self.violate(text);
        }
    }

    /// All calls have ended some time ago: nothing is left anywhere, and every command was answered.
    pub(crate) fn check_empty(&mut self) {
        let now = self.now;
        for number in 0..self.servers.len() {
            let server = &mut self.servers[number];
            if server.is_up() && !server.is_empty(now) {
                let (name, calls) = (server.name.clone(), server.calls(now));
                let calls: Vec<_> = calls.iter().map(|id| String::from_utf8_lossy(id).into_owned()).collect();
                self.violate(format!("{name} leaks {calls:?}"));
            }
        }
        if let Some((token, open)) = self.nets.open.first_key_value() {
            let id = String::from_utf8_lossy(&self.nets.calls[open.call].id).into_owned();
            self.violate(format!("{token:?} of {id} got no final event"));
        }
    }

    pub(crate) fn was_stopped_since(&self, then: Time) -> bool {
        let is_late = self.machine.as_ref().is_some_and(|machine| machine.is_late(then));
        self.is_stopped() || self.last_stall > then || is_late
    }

    fn listed<'a>(&'a self, call: &'a Call) -> impl Iterator<Item = &'a Server> {
        self.servers.iter().filter(|server| call.list.contains(&server.name))
    }
}

/// What is wrong with the call's streams on its server: both parties must be sent to where they last said.
fn incomplete(call: &Call, server: &Server) -> Option<String> {
    if server.may_have_half_a_call() {
        return None;
    }
    let wanted = |leg: usize, port: u16| {
        let leg = &call.legs[leg];
        port == leg.port || leg.offered.contains(&port)
    };
    let port = |side: usize, plan: &mediaha_media::StreamPlan| plan.sides[side].remote.map(|remote| remote.port());
    let is_whole = |plan: &mediaha_media::StreamPlan| {
        // A server that lost its memory may have heard of the call first in a re-offer of the callee.
        [(0, 1), (1, 0)].into_iter().any(|(caller, callee)| {
            let caller = port(caller, plan).is_some_and(|port| wanted(0, port));
            caller && (call.phase == Phase::Ringing || port(callee, plan).is_some_and(|port| wanted(1, port)))
        })
    };
    (!server.streams().any(is_whole)).then(|| format!("its streams do not lead to {:?}", call.legs))
}
