//! Deletions that servers are owed: of calls that have ended, were moved away, or were taken by another server.
//!
//! ```text
//!          owed                   server alive             answered, in whatever way
//!   ─────────────────▶ waiting ───────────────▶ on its way ─────────────────────────▶ settled
//!                        ▲  ▲                     │   │ │
//!                        │  └── server died ──────┘   │ └── not answered in time ──▶ later (again)
//!                        └──────── later ◀────────────┘
//!                                     answered, but an offer that nobody answered may still arrive there
//! ```
//!
//! There is at most one debt for each server and call. An offer of a call may go to a server only when no deletion of
//! it is on its way there: [`make_way`](Fence::make_way) takes back one that still waits.

use std::collections::{BTreeMap, HashMap, VecDeque};

use mediaha_time::{Duration, Time};

use crate::command::Token;
use crate::config::Config;
use crate::exchange::ServerId;
use crate::registry::CallId;

/// All servers' debts.
#[derive(Debug, Default)]
pub(crate) struct Fence {
    servers: BTreeMap<ServerId, Debts>,
}

#[derive(Debug, Default)]
struct Debts {
    of: HashMap<CallId, Debt>,
    /// Those that wait, oldest first.
    waiting: BTreeMap<u64, CallId>,
    /// Those that wait for their time, soonest first; an entry counts only while its debt says the same.
    later: VecDeque<(Time, CallId)>,
    next_place: u64,
    on_their_way: usize,
}

#[derive(Debug)]
struct Debt {
    owed_at: Time,
    phase: Phase,
    /// An offer may arrive after the deletion: delete once more, later.
    doubtful: bool,
    /// It became due once more while it was on its way.
    again: bool,
    /// The command that waits for it.
    token: Option<Token>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting(u64),
    OnItsWay,
    Later(Time),
}

/// Whether an offer of a call may go to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It may. `owed`: a deletion was taken back for it; the command that waited for it has nothing left to wait for.
    Free { owed: bool, token: Option<Token> },
    /// A deletion is on its way.
    Blocked,
}

impl Fence {
    /// `server` is to delete the call. Gives the token of a debt that was forgotten to make room.
    pub(crate) fn owe(
        &mut self,
        server: ServerId,
        call_id: &CallId,
        doubtful: bool,
        token: Option<Token>,
        config: &Config,
        now: Time,
    ) -> Option<Token> {
        let debts = self.servers.entry(server).or_default();
        if let Some(debt) = debts.of.get_mut(call_id) {
            debt.doubtful |= doubtful;
            let replaced = token.and_then(|token| debt.token.replace(token));
            match debt.phase {
                Phase::OnItsWay => debt.again = true,
                Phase::Later(_) => debts.wait(call_id.clone()),
                Phase::Waiting(_) => {}
            }
            return replaced;
        }
        let forgotten = if debts.of.len() >= config.owed_max { debts.forget_oldest() } else { None };
        let debt = Debt { owed_at: now, phase: Phase::Later(now), doubtful, again: false, token };
        debts.of.insert(call_id.clone(), debt);
        debts.wait(call_id.clone());
        forgotten
    }

    /// An offer of the call is to go to `server`.
    pub(crate) fn make_way(&mut self, server: ServerId, call_id: &CallId) -> Way {
        let free = Way::Free { owed: false, token: None };
        let Some(debts) = self.servers.get_mut(&server) else { return free };
        match debts.of.get(call_id).map(|debt| debt.phase) {
            None => free,
            Some(Phase::OnItsWay) => Way::Blocked,
            Some(_) => Way::Free { owed: true, token: debts.forget(call_id) },
        }
    }

    /// Whether an offer of the call would have to wait.
    pub(crate) fn blocks(&self, server: ServerId, call_id: &CallId) -> bool {
        let debt = self.servers.get(&server).and_then(|debts| debts.of.get(call_id));
        debt.is_some_and(|debt| debt.phase == Phase::OnItsWay)
    }

    /// The next deletion to send to `server`, which is alive. It counts as on its way from now on.
    pub(crate) fn pay(&mut self, server: ServerId, config: &Config, now: Time) -> Option<CallId> {
        let debts = self.servers.get_mut(&server)?;
        debts.ripen(now);
        if debts.on_their_way >= config.deletes_in_flight_max {
            return None;
        }
        let (_, call_id) = debts.waiting.pop_first()?;
        debts.of.get_mut(&call_id)?.phase = Phase::OnItsWay;
        debts.on_their_way += 1;
        Some(call_id)
    }

    /// `server` answered the deletion. Gives the token of the command that waited, and the time at which
    /// [`pay`](Self::pay) has something to do again, if it will.
    pub(crate) fn settled(
        &mut self,
        server: ServerId,
        call_id: &CallId,
        config: &Config,
        now: Time,
    ) -> (Option<Token>, Option<Time>) {
        let Some(debts) = self.servers.get_mut(&server) else { return (None, None) };
        let Some(debt) = debts.of.get_mut(call_id) else { return (None, None) };
        debts.on_their_way -= 1;
        let token = debt.token.take();
        let (again, doubtful) = (std::mem::take(&mut debt.again), std::mem::take(&mut debt.doubtful));
        if again {
            debt.doubtful = doubtful;
            debts.wait(call_id.clone());
            return (token, Some(now));
        }
        if doubtful {
            let at = now + Duration::from_millis(config.straggler_ms);
            debts.postpone(call_id, at);
            return (token, Some(at));
        }
        debts.of.remove(call_id);
        (token, None)
    }

    /// `server` is alive and did not answer the deletion: again after a while. Gives what [`settled`](Self::settled)
    /// gives.
    pub(crate) fn unanswered(
        &mut self,
        server: ServerId,
        call_id: &CallId,
        config: &Config,
        now: Time,
    ) -> (Option<Token>, Option<Time>) {
        let Some(debts) = self.servers.get_mut(&server) else { return (None, None) };
        let Some(debt) = debts.of.get_mut(call_id) else { return (None, None) };
        debts.on_their_way -= 1;
        let token = debt.token.take();
        let at = now + Duration::from_millis(config.straggler_ms);
        debts.postpone(call_id, at);
        (token, Some(at))
    }

    /// The deletion was on its way to a server that died: it waits until the server is back.
    pub(crate) fn grounded(&mut self, server: ServerId, call_id: &CallId) -> Option<Token> {
        let debts = self.servers.get_mut(&server)?;
        let debt = debts.of.get_mut(call_id)?;
        debts.on_their_way -= 1;
        debt.again = false;
        let token = debt.token.take();
        debts.wait(call_id.clone());
        token
    }

    /// How many deletions must be paid before `server` counts as usable again.
    pub(crate) fn owed(&self, server: ServerId) -> usize {
        self.servers.get(&server).map_or(0, |debts| debts.waiting.len() + debts.on_their_way)
    }

    /// Whether `server` is owed anything, now or later.
    pub(crate) fn owes_anything(&self, server: ServerId) -> bool {
        self.servers.get(&server).is_some_and(|debts| !debts.of.is_empty())
    }

    /// Forget what could not be paid for too long: the server's own timeouts have ended it.
    pub(crate) fn expire(&mut self, server: ServerId, config: &Config, now: Time) {
        let Some(debts) = self.servers.get_mut(&server) else { return };
        while let Some((_, call_id)) = debts.waiting.first_key_value() {
            let call_id = call_id.clone();
            let age = debts.of.get(&call_id).map_or(Duration::MAX, |debt| now.since(debt.owed_at));
            if age < Duration::from_millis(config.owed_ms_max) {
                return;
            }
            debts.waiting.pop_first();
            debts.of.remove(&call_id);
        }
    }

    /// The server will never be asked again.
    pub(crate) fn forget_server(&mut self, server: ServerId) {
        self.servers.remove(&server);
    }
}

impl Debts {
    fn wait(&mut self, call_id: CallId) {
        let place = self.next_place;
        self.next_place += 1;
        if let Some(debt) = self.of.get_mut(&call_id) {
            debt.phase = Phase::Waiting(place);
        }
        self.waiting.insert(place, call_id);
    }

    fn postpone(&mut self, call_id: &CallId, until: Time) {
        if let Some(debt) = self.of.get_mut(call_id) {
            debt.phase = Phase::Later(until);
            self.later.push_back((until, call_id.clone()));
        }
    }

    /// What waited for its time waits for its turn.
    fn ripen(&mut self, now: Time) {
        // All are postponed by the same span, so that the front is always the soonest.
        while self.later.front().is_some_and(|(at, _)| *at <= now) {
            let Some((at, call_id)) = self.later.pop_front() else { return };
            if self.of.get(&call_id).is_some_and(|debt| debt.phase == Phase::Later(at)) {
                self.wait(call_id);
            }
        }
    }

    fn forget(&mut self, call_id: &CallId) -> Option<Token> {
        let debt = self.of.remove(call_id)?;
        if let Phase::Waiting(place) = debt.phase {
            self.waiting.remove(&place);
        }
        debt.token
    }

    fn forget_oldest(&mut self) -> Option<Token> {
        let (_, oldest) = self.waiting.pop_first()?;
        self.of.remove(&oldest)?.token
    }
}
