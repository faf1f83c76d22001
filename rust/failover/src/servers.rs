//! The table of media servers: what is known about each, and who is called what.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use mediaha_time::{Duration, Time};

use crate::audit::Audit;
use crate::command::ServerSpec;
use crate::config::Config;
use crate::event::ServerState;
use crate::exchange::ServerId;
use crate::family::Families;
use crate::liveness::{Liveness, State};
use crate::order::Trust;
use crate::probe::Probe;
use crate::registry::CallKey;
use crate::rtt::Rtt;

/// One server.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "what is known of a server is independent of each other")]
pub(crate) struct Server {
    pub(crate) name: Arc<str>,
    pub(crate) address: SocketAddr,
    /// Still configured.
    pub(crate) listed: bool,
    /// Told to drain by a command, and says itself that it drains.
    pub(crate) drained: bool,
    pub(crate) drains: bool,
    drains_since: Time,
    /// It says that it takes calls over with one request.
    pub(crate) adopts: bool,
    /// What it turned out to have no address of.
    pub(crate) lacks: Families,
    pub(crate) liveness: Liveness,
    pub(crate) rtt: Rtt,
    /// The calls it serves.
    pub(crate) calls: BTreeSet<CallKey>,
    /// The calls it is to be told to delete when they have found another server.
    pub(crate) left_by: BTreeSet<CallKey>,
    pub(crate) audit: Audit,
    pub(crate) probe: Probe,
    announced: Option<ServerState>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    by_id: BTreeMap<ServerId, Server>,
    /// Only those that are configured.
    by_name: HashMap<String, ServerId>,
    in_order: Vec<ServerId>,
    next_id: u16,
}

impl Server {
    fn new(spec: &ServerSpec, now: Time) -> Self {
        Self {
            name: spec.name.as_str().into(),
            address: spec.address,
            listed: true,
            drained: false,
            drains: false,
            drains_since: now,
            adopts: false,
            lacks: Families::default(),
            liveness: Liveness::new(now),
            rtt: Rtt::default(),
            calls: BTreeSet::new(),
            left_by: BTreeSet::new(),
            audit: Audit::default(),
            probe: Probe::new(now),
            announced: None,
        }
    }

    /// Note whether it drains, by a command or in its own words.
    pub(crate) fn set_draining(&mut self, drained: bool, drains: bool, now: Time) {
        if (drained || drains) != self.is_draining() {
            self.drains_since = now;
        }
        (self.drained, self.drains) = (drained, drains);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.drained || self.drains
    }

    /// `None`: not to be asked.
    pub(crate) fn trust(&self) -> Option<Trust> {
        let trust = match self.liveness.state() {
            _ if !self.listed => return None,
            State::Usable { .. } => Trust::Usable,
            State::Recovering { .. } => Trust::Recovering,
            State::Suspect { .. } => Trust::Suspect,
            State::Dead { .. } => return None,
        };
        Some(if self.probe.gray_since().is_some() { Trust::Suspect } else { trust })
    }

    /// Whether a probe is to go through it.
    pub(crate) fn is_to_be_probed(&self, config: &Config) -> bool {
        let there = matches!(self.liveness.state(), State::Usable { .. } | State::Suspect { .. });
        config.probe_ms > 0 && self.listed && there && self.liveness.was_heard() && !self.is_draining()
    }

    /// When its probe wants to be looked after.
    pub(crate) fn probe_at(&self, config: &Config) -> Time {
        match (self.is_to_be_probed(config), self.probe.is_open()) {
            (true, _) => self.probe.next_at(),
            (false, true) => Time::ZERO,
            (false, false) => Time::FAR,
        }
    }

    /// Its state in the words of session control: what, why, since when.
    pub(crate) fn in_words(&self) -> (ServerState, String, Time) {
        let state = self.liveness.state();
        if let (State::Usable { .. } | State::Recovering { .. }, Some(since)) = (state, self.probe.gray_since()) {
            return (ServerState::Suspect, "answers, and forwards no media".into(), since);
        }
        match state {
            State::Suspect { since, why, .. } => (ServerState::Suspect, why.clone(), *since),
            State::Dead { since, why } => (ServerState::Dead, why.clone(), *since),
            State::Usable { .. } | State::Recovering { .. } if self.is_draining() => {
                let why = if self.drained { "told to drain" } else { "says that it drains" };
                (ServerState::Draining, why.into(), self.drains_since)
            }
            State::Recovering { since, why, .. } => (ServerState::Recovering, why.clone(), *since),
            State::Usable { since } => (ServerState::Usable, "answers".into(), *since),
        }
    }

    /// The state, if session control has not been told of it yet.
    pub(crate) fn news(&mut self) -> Option<(ServerState, String, Time)> {
        let words = self.in_words();
        if self.announced == Some(words.0) {
            return None;
        }
        self.announced = Some(words.0);
        Some(words)
    }
}

impl Servers {
    pub(crate) fn get(&self, server: ServerId) -> Option<&Server> {
        self.by_id.get(&server)
    }

    pub(crate) fn get_mut(&mut self, server: ServerId) -> Option<&mut Server> {
        self.by_id.get_mut(&server)
    }

    pub(crate) fn named(&self, name: &str) -> Option<ServerId> {
        self.by_name.get(name).copied()
    }

    /// The server of this name, also if it is configured no longer and still has calls.
    pub(crate) fn known(&self, name: &str) -> Option<ServerId> {
        let unlisted = || self.by_id.iter().find(|(_, one)| *one.name == *name).map(|(&id, _)| id);
        self.named(name).or_else(unlisted)
    }

    /// The name of a server, also of one that is forgotten.
    pub(crate) fn name(&self, server: ServerId) -> Arc<str> {
        self.by_id.get(&server).map_or_else(|| "?".into(), |one| one.name.clone())
    }

    pub(crate) fn is_dead(&self, server: ServerId) -> bool {
        self.by_id.get(&server).is_none_or(|one| one.liveness.is_dead())
    }

    pub(crate) fn ids(&self) -> Vec<ServerId> {
        self.by_id.keys().copied().collect()
    }

    /// Those that are configured, in that order, then the others.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = (ServerId, &Server)> {
        let unlisted = self.by_id.iter().filter(|(_, server)| !server.listed).map(|(id, _)| *id);
        self.in_order.iter().copied().chain(unlisted).filter_map(|id| Some((id, self.by_id.get(&id)?)))
    }

    /// These are configured from now on.
    pub(crate) fn replace(&mut self, specs: &[ServerSpec], now: Time) {
        for server in self.by_id.values_mut() {
            server.listed = false;
        }
        self.by_name.clear();
        self.in_order.clear();
        for spec in specs {
            let known =
                self.by_id.iter_mut().find(|(_, one)| *one.name == *spec.name && one.address == spec.address);
            let id = if let Some((&id, server)) = known {
                server.listed = true;
                id
            } else {
                let id = self.unused_id();
                self.by_id.insert(id, Server::new(spec, now));
                id
            };
            // Of two servers with the same name the later one counts; loading a site refuses that anyway.
            self.by_name.insert(spec.name.clone(), id);
            if !self.in_order.contains(&id) {
                self.in_order.push(id);
            }
        }
    }

    /// Forget a server.
    pub(crate) fn remove(&mut self, server: ServerId) {
        self.by_id.remove(&server);
    }

    /// Nobody ran for `span`.
    pub(crate) fn excuse(&mut self, span: Duration, config: &Config, now: Time) {
        for server in self.by_id.values_mut() {
            server.liveness.excuse(span, Duration::from_millis(config.suspect_ms), now);
            server.probe.excuse(span, now);
        }
    }

    /// For how long the most punctual of the other servers that were heard lately owes an answer.
    pub(crate) fn witness(&self, server: ServerId, config: &Config, now: Time) -> Option<Duration> {
        let others =
            self.by_id.iter().filter(|&(&id, one)| id != server && one.liveness.is_heard(config, &one.rtt, now));
        others.map(|(_, one)| one.liveness.overdue(now)).min()
    }

    /// Whether a packet came through another server than this one lately.
    pub(crate) fn others_probed(&self, server: ServerId, config: &Config, now: Time) -> bool {
        self.by_id.iter().any(|(&id, one)| id != server && one.probe.is_heard(config, now))
    }

    /// When the first of them wants to be looked at.
    pub(crate) fn next_at(&self, config: &Config) -> Option<Time> {
        let of_one = |one: &Server| {
            let watched_at = one.liveness.next_at(config, &one.rtt);
            watched_at.min(one.audit_at()).min(one.probe_at(config))
        };
        self.by_id.values().map(of_one).min()
    }

    /// Ids go round, so that a late answer to a forgotten server does not find a new one.
    fn unused_id(&mut self) -> ServerId {
        loop {
            let id = ServerId(self.next_id);
            self.next_id = self.next_id.wrapping_add(1);
            if !self.by_id.contains_key(&id) {
                return id;
            }
        }
    }
}

impl Server {
    /// When it is to be asked whether it still knows its calls; never, if its pongs would tell.
    pub(crate) fn audit_at(&self) -> Time {
        if self.calls.is_empty() || self.liveness.is_dead() || self.liveness.tells_instance() {
            return Time::FAR;
        }
        self.audit.next_at()
    }
}
