//! The calls that the pool holds, and what is happening to each.
//!
//! ```text
//!              first offer          usable answer                its server died
//!   (unknown) ────────────▶ Seeking ─────────────▶ Serving ───────────────────────▶ Waiting ◀───────────┐
//!                              │ nobody               ▲                              │ a place is free  │
//!                              ▼                      │ all steps done               ▼                  │ a server is back,
//!                          (unknown)                  └─────────────────────────── Moving               │ or after a while
//!                                                                                    │ nobody           │
//!                                                                                    └───▶ Stranded ────┘
//! ```
//!
//! A deletion ends the call in every state; what it may have left on servers is owed to them
//! ([`Fence`](crate::fence::Fence)). A command for a call that is not served waits in [`Entry::wish`].

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use mediaha_time::Time;

use crate::call::{Agreement, Proposal};
use crate::command::Token;
use crate::exchange::{Cookie, ServerId};
use crate::story::Attempt;
use crate::walk::Walk;

/// A call as the servers know it.
pub(crate) type CallId = Arc<[u8]>;

/// A call as the pool knows it. A key is never used twice, so that what comes late finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CallKey(u64);

#[cfg(test)]
impl CallKey {
    pub(crate) const fn numbered(number: u64) -> Self {
        Self(number)
    }
}

/// One call.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: CallId,
    pub(crate) agreement: Agreement,
    /// The names of its servers, in the order in which they are to be asked.
    pub(crate) servers: Arc<[String]>,
    pub(crate) state: State,
    /// The command that is being done or waits for the call to be served.
    pub(crate) wish: Option<Wish>,
}

/// Where its media is.
#[derive(Debug)]
pub(crate) enum State {
    /// Nowhere yet: its first offer walks the list.
    Seeking { token: Token, walk: Walk },
    /// On this server.
    Serving { server: ServerId },
    /// On none that lives; it waits for its turn to be created anew.
    Waiting(Plight),
    /// It is being created anew.
    Moving(Box<Move>),
    /// No server takes it now. Waits for one to come back, or for its time.
    Stranded { plight: Plight, retry_at: Time },
}

/// What a call that has lost its server carries along.
#[derive(Clone, Debug)]
pub(crate) struct Plight {
    /// `None`: nobody that this pool knows.
    pub(crate) from: Option<ServerId>,
    pub(crate) from_name: Arc<str>,
    /// The server is alive and may still have it: it goes back there when no other one takes it.
    pub(crate) kept: bool,
    /// An offer was on its way there: what it creates must be deleted too.
    pub(crate) doubtful: bool,
    /// Session control has been told that the call is stranded.
    pub(crate) told: bool,
    pub(crate) retry_ms: u64,
}

/// A call being created anew.
#[derive(Debug)]
pub(crate) struct Move {
    pub(crate) plight: Plight,
    /// Finds a server for the offer.
    pub(crate) walk: Walk,
    /// The server that took it, and the request that is next there.
    pub(crate) rebuilding: Option<Rebuilding>,
    pub(crate) sdp_for_caller: Option<Vec<u8>>,
    pub(crate) sdp_for_callee: Option<Vec<u8>>,
}

/// The steps after the offer.
#[derive(Debug)]
pub(crate) struct Rebuilding {
    pub(crate) server: ServerId,
    pub(crate) step: usize,
    pub(crate) cookie: Cookie,
    /// The attempt's place in the story.
    pub(crate) place: Option<usize>,
    pub(crate) give_up_at: Time,
}

/// A command on its way.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) token: Token,
    pub(crate) what: What,
    /// While a server is being asked: the request, and the attempt's place in the story.
    pub(crate) asking: Option<(Cookie, Option<usize>)>,
    pub(crate) story: Vec<Attempt>,
    /// A server that was asked and does not answer until then is left, if there is another.
    pub(crate) impatient_at: Time,
    /// Refused then.
    pub(crate) give_up_at: Time,
    /// The servers that failed to do it; bounded by the list, as each is left only for another.
    pub(crate) failed: Vec<ServerId>,
    /// A server did not know the call any more. It is not believed twice.
    pub(crate) was_unknown: bool,
}

/// What it wishes.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Offer(Proposal),
    Answer(Proposal),
    /// To be served, by whomever.
    Adopt,
}

/// All calls.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    next_key: u64,
    by_id: HashMap<CallId, CallKey>,
    entries: HashMap<CallKey, Entry>,
    /// Those that no server takes.
    stranded: BTreeSet<CallKey>,
}

impl Calls {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn key(&self, call_id: &[u8]) -> Option<CallKey> {
        self.by_id.get(call_id).copied()
    }

    pub(crate) fn entry(&self, key: CallKey) -> Option<&Entry> {
        self.entries.get(&key)
    }

    pub(crate) fn entry_mut(&mut self, key: CallKey) -> Option<&mut Entry> {
        self.entries.get_mut(&key)
    }

    /// Keep a call that is not known yet.
    pub(crate) fn insert(&mut self, entry: Entry) -> CallKey {
        self.next_key += 1;
        let key = CallKey(self.next_key);
        self.by_id.insert(entry.id.clone(), key);
        self.entries.insert(key, entry);
        key
    }

    pub(crate) fn remove(&mut self, key: CallKey) -> Option<Entry> {
        let entry = self.entries.remove(&key)?;
        self.by_id.remove(&entry.id);
        self.stranded.remove(&key);
        Some(entry)
    }

    /// Put a call into another state; gives the one it was in.
    pub(crate) fn turn(&mut self, key: CallKey, state: State) -> Option<State> {
        let entry = self.entries.get_mut(&key)?;
        if matches!(state, State::Stranded { .. }) {
            self.stranded.insert(key);
        } else {
            self.stranded.remove(&key);
        }
        Some(std::mem::replace(&mut entry.state, state))
    }

    /// The stranded calls whose list has this server.
    pub(crate) fn stranded_with(&self, server: &str) -> Vec<CallKey> {
        let listed = |key: &CallKey| {
            let entry = self.entries.get(key);
            entry.is_some_and(|entry| entry.servers.iter().any(|name| name == server))
        };
        self.stranded.iter().copied().filter(listed).collect()
    }
}

impl Entry {
    /// Whether something of this call is or may be on `server`, and known to be.
    pub(crate) fn may_be_at(&self, server: ServerId) -> bool {
        match &self.state {
            State::Seeking { walk, .. } => walk.is_open_at(server),
            State::Serving { server: serving } => *serving == server,
            State::Waiting(plight) | State::Stranded { plight, .. } => plight.from == Some(server),
            State::Moving(moving) => {
                moving.plight.from == Some(server)
                    || moving.walk.is_open_at(server)
                    || moving.rebuilding.as_ref().is_some_and(|rebuilding| rebuilding.server == server)
            }
        }
    }
}
