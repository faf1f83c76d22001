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
use crate::liveness::{Liveness, State};
use crate::order::Trust;
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
    pub(crate) liveness: Liveness,
    pub(crate) rtt: Rtt,
    /// The calls it serves.
    pub(crate) calls: BTreeSet<CallKey>,
    /// The calls it is to be told to delete when they have found another server.
    pub(crate) left_by: BTreeSet<CallKey>,
    pub(crate) audit: Audit,
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
            liveness: Liveness::new(now),
            rtt: Rtt::default(),
            calls: BTreeSet::new(),
            left_by: BTreeSet::new(),
            audit: Audit::default(),
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
        match self.liveness.state() {
            _ if !self.listed => None,
            State::Usable { .. } => Some(Trust::Usable),
            State::Recovering { .. } => Some(Trust::Recovering),
            State::Suspect { .. } => Some(Trust::Suspect),
            State::Dead { .. } => None,
        }
    }

    /// Its state in the words of session control: what, why, since when.
    pub(crate) fn in_words(&self) -> (ServerState, String, Time) {
        match self.liveness.state() {
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
        }
    }

    /// Whether another server than this one was heard lately.
    pub(crate) fn others_heard(&self, server: ServerId, config: &Config, now: Time) -> bool {
        self.by_id.iter().any(|(&id, one)| id != server && one.liveness.is_heard(config, now))
    }

    /// When the first of them wants to be looked at.
    pub(crate) fn next_at(&self, config: &Config) -> Option<Time> {
        self.by_id.values().map(|one| one.liveness.next_at(config, one.rtt.smoothed()).min(one.audit_at())).min()
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
