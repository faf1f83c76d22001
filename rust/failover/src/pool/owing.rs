//! What servers must still delete: of calls that ended, moved away, or were taken by another server first.

use mediaha_ng::{Delete, Request};
use mediaha_time::Time;

use super::{Pool, millis};
use crate::command::Token;
use crate::event::Event;
use crate::exchange::{Cookie, ServerId};
use crate::fence::Way;
use crate::flights::Purpose;
use crate::registry::CallId;
use crate::timers::Timer;

impl Pool {
    /// `server` is to delete the call, now or when it is back. `doubtful`: an offer may still arrive there.
    pub(super) fn owe(
        &mut self,
        server: ServerId,
        call_id: &CallId,
        doubtful: bool,
        token: Option<Token>,
        now: Time,
    ) {
        if self.servers.get(server).is_none() {
            return self.deleted(token, call_id);
        }
        let dropped = self.fence.owe(server, call_id, doubtful, token, &self.config, now);
        self.deleted(dropped, call_id);
        self.pay(server, now);
    }

    /// Send what deletions may be sent to `server`.
    pub(super) fn pay(&mut self, server: ServerId, now: Time) {
        if self.servers.is_dead(server) {
            return;
        }
        while let Some(call_id) = self.fence.pay(server, &self.config, now) {
            // Without this delay rtpengine keeps a deleted call for half a minute.
            let delete = Delete { call_id: call_id.to_vec(), delay_s: Some(0), ..Delete::default() };
            let give_up_at = now + millis(self.config.command_ms_max) / 2;
            self.send(server, Purpose::Delete(call_id), Request::Delete(delete), give_up_at, now);
        }
    }

    /// An offer of the call is about to go to `server`. Gives whether the server may have something of the call.
    pub(super) fn make_way(&mut self, server: ServerId, call_id: &CallId) -> bool {
        match self.fence.make_way(server, call_id) {
            Way::Free { owed, token } => {
                self.deleted(token, call_id);
                owed
            }
            Way::Blocked => true,
        }
    }

    /// The server answered; whether it knew the call does not matter.
    pub(super) fn delete_answered(&mut self, server: ServerId, call_id: &CallId, now: Time) {
        let (token, again_at) = self.fence.settled(server, call_id, &self.config, now);
        self.delete_over(server, call_id, token, again_at, now);
    }

    pub(super) fn delete_unanswered(&mut self, server: ServerId, call_id: &CallId, now: Time) {
        let (token, again_at) = self.fence.unanswered(server, call_id, &self.config, now);
        self.delete_over(server, call_id, token, again_at, now);
    }

    pub(super) fn delete_grounded(&mut self, server: ServerId, call_id: &CallId) {
        let token = self.fence.grounded(server, call_id);
        self.deleted(token, call_id);
    }

    /// An offer that was no longer waited for was taken after all.
    pub(super) fn late_winner(&mut self, server: ServerId, cookie: Cookie, now: Time) {
        let Some(call_id) = self.flights.late_winner(server, cookie) else { return };
        let entry = self.calls.key(&call_id).and_then(|key| self.calls.entry(key));
        // A call that is there now is not to be deleted because it was also there before.
        if entry.is_none_or(|entry| !entry.may_be_at(server)) {
            self.owe(server, &call_id, false, None, now);
        }
    }

    fn delete_over(
        &mut self,
        server: ServerId,
        call_id: &CallId,
        token: Option<Token>,
        again_at: Option<Time>,
        now: Time,
    ) {
        self.deleted(token, call_id);
        if let Some(at) = again_at.filter(|&at| at > now) {
            self.timers.set(at, Timer::Debts(server));
        }
        self.pay(server, now);
    }

    fn deleted(&mut self, token: Option<Token>, call_id: &CallId) {
        if let Some(token) = token {
            self.tell(Event::Deleted { token, call_id: call_id.to_vec() });
        }
    }
}
