//! What the pool tells session control.

use std::net::SocketAddr;
use std::time::Duration;

use mediaha_time::Time;

use crate::command::Token;
use crate::exchange::ServerId;
use crate::story::Attempt;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A media server took the offer or answer (or adopted call) of `token`.
    Anchored {
        /// The command's.
        token: Token,
        /// The call.
        call_id: Vec<u8>,
        /// The server's name.
        server: String,
        /// What the other party is to be sent; empty for an adopted call.
        sdp: Vec<u8>,
        /// Who was asked on the way.
        story: Vec<Attempt>,
    },
    /// The command has failed for good. A refused first offer leaves no call behind, a refused later request leaves
    /// the call as it was before.
    Refused {
        /// The command's.
        token: Token,
        /// The call.
        call_id: Vec<u8>,
        /// Whose fault it is, and so what to tell the caller.
        fault: Fault,
        /// In words; a server's own where a server refused.
        reason: String,
        /// Who was asked on the way.
        story: Vec<Attempt>,
    },
    /// The call is forgotten. Its server has deleted it, or will be told to when it is back.
    Deleted {
        /// The command's.
        token: Token,
        /// The call.
        call_id: Vec<u8>,
    },
    /// A call's media was created anew on another server, or on the same one after it lost its memory. Both parties
    /// must be told where to send now.
    Moved {
        /// The call.
        call_id: Vec<u8>,
        /// Who had it before.
        from_server: String,
        /// Who has it now.
        server: String,
        /// For the caller; `None` while the callee has not answered.
        sdp_for_caller: Option<Vec<u8>>,
        /// For the callee: what an INVITE to it must carry now.
        sdp_for_callee: Option<Vec<u8>>,
        /// Who was asked on the way.
        story: Vec<Attempt>,
    },
    /// The call's server is dead and no other of its list takes the call now. The pool goes on trying; a `Moved`
    /// follows when one does.
    Stranded {
        /// The call.
        call_id: Vec<u8>,
        /// Who had it.
        server: String,
        /// In words.
        why: String,
    },
    /// A server's state has changed.
    ServerState {
        /// Its name.
        server: String,
        /// What it is good for now.
        state: ServerState,
        /// In words.
        why: String,
        /// Since when.
        since: Time,
    },
}

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request's own: no server can do anything with it. No other one was asked.
    Caller,
    /// No server of the list gave a usable answer.
    NoServer,
    /// No server of the list has an address of the family that a party is reached by.
    Family,
    /// The call is not known (any more).
    UnknownCall,
    /// The pool has as much to do as it may, or the call has another request open.
    Busy,
}

/// What a server is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerState {
    /// Anything.
    Usable,
    /// It has been silent for too long. Asked last, not left out; its calls stay.
    Suspect,
    /// Known to be dead. Its calls move.
    Dead,
    /// It answers again, and is on probation.
    Recovering,
    /// Usable, and to take no new calls.
    Draining,
}

/// A server as the pool sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerView {
    /// How inputs and outputs name it. An id means one name at one address for as long as it is in this list.
    pub id: ServerId,
    /// Its name.
    pub name: String,
    /// Where its control port is.
    pub address: SocketAddr,
    /// What it is good for.
    pub state: ServerState,
    /// Why, in words.
    pub why: String,
    /// Since when.
    pub since: Time,
    /// How many calls are anchored there.
    pub calls: usize,
    /// How many deletions it is owed.
    pub owed: usize,
    /// The smoothed round-trip time, once measured.
    pub rtt: Option<Duration>,
    /// Whether packets come through its media; `None` while nobody knows.
    pub forwards: Option<bool>,
    /// False for a server that is configured no longer and only keeps its last calls.
    pub listed: bool,
}

impl Fault {
    /// The words that logs and Python know it by.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::NoServer => "no server",
            Self::Family => "address family",
            Self::UnknownCall => "unknown call",
            Self::Busy => "busy",
        }
    }
}

impl ServerState {
    /// One lower-case word, as logs and Python know it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usable => "usable",
            Self::Suspect => "suspect",
            Self::Dead => "dead",
            Self::Recovering => "recovering",
            Self::Draining => "draining",
        }
    }
}
