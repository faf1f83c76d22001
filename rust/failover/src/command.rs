//! What session control asks of the pool.

use std::net::SocketAddr;

use mediaha_ng::AddressFamily;

/// The caller's name for a command; it comes back in the one final event of that command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// A media server as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSpec {
    /// Unique; lists of servers name it.
    pub name: String,
    /// Where its `ng` control port is.
    pub address: SocketAddr,
}

/// One command. Those with a token are answered with exactly one of `Anchored`, `Refused`, `Deleted`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// These are the servers from now on. A server whose name and address are known keeps its state; one that is
    /// no longer named takes no new calls and is forgotten when its last call has ended.
    Servers(Vec<ServerSpec>),
    /// New calls pass the server over, or may go to it again. Calls that are there stay.
    Drain {
        /// Which server.
        server: String,
        /// Whether it drains from now on.
        draining: bool,
    },
    /// Somebody who knows says that the server is dead (its supervisor saw the process exit). Not doubted.
    Died {
        /// Which server.
        server: String,
        /// For the story, such as `exit status 1`.
        why: String,
    },
    /// Somebody who knows says that the server's process is gone and that another one is taking over what it left: calls,
    /// counters and sockets. That is no death unless it takes longer than `within_ms`: until then silence is not held against it,
    /// though new calls go elsewhere first.
    Succeeding {
        /// Which server.
        server: String,
        /// For the story, such as `process exited with signal 9`.
        why: String,
        /// How long it may take.
        within_ms: u64,
    },
    /// An SDP offer. A call-id means one call for ever: what was sent under it may arrive late. The first offer of a
    /// call walks the list of servers; a later one, from either party, goes to the server that has the call.
    /// Answered with `Anchored` or `Refused`.
    Offer {
        /// Comes back in the event.
        token: Token,
        /// The call, as the media servers will know it.
        call_id: Vec<u8>,
        /// Who makes the offer. In the first offer of a call this is the caller.
        from_tag: Vec<u8>,
        /// The other party, where it is known.
        to_tag: Option<Vec<u8>>,
        /// The offer.
        sdp: Vec<u8>,
        /// What the party that the SDP in the answer is for is reached by; `None`: as the sender is.
        family: Option<AddressFamily>,
        /// Names of servers in the order in which they are to be asked. When not empty in a later offer, it
        /// replaces the call's list.
        servers: Vec<String>,
    },
    /// The answer to the last offer. Answered with `Anchored` or `Refused`.
    Answer {
        /// Comes back in the event.
        token: Token,
        /// The call.
        call_id: Vec<u8>,
        /// Who made the offer.
        from_tag: Vec<u8>,
        /// Who answers.
        to_tag: Vec<u8>,
        /// The answer.
        sdp: Vec<u8>,
        /// What the party that made the offer is reached by; `None`: as its offer says.
        family: Option<AddressFamily>,
    },
    /// Forget the call, here and on every server. Answered with `Deleted`, also when the call is not known.
    Delete {
        /// Comes back in the event.
        token: Token,
        /// The call.
        call_id: Vec<u8>,
    },
    /// A call that somebody else (another `NeTS`) placed is this pool's from now on. Answered with `Anchored`, whose
    /// SDP is empty; when the call had to be created anew, a `Moved` with the new SDP comes before it. Answered with
    /// `Refused` when there is no server for it; then the pool does not know the call.
    Adopt {
        /// Comes back in the event.
        token: Token,
        /// The call.
        call_id: Vec<u8>,
        /// The caller.
        from_tag: Vec<u8>,
        /// The other party, where it is known.
        to_tag: Option<Vec<u8>>,
        /// The SDP the caller last sent.
        from_sdp: Vec<u8>,
        /// The SDP the other party last sent; `None` while it rings.
        to_sdp: Option<Vec<u8>>,
        /// What the other party is reached by; `None`: as its SDP says, or else as the caller is.
        to_family: Option<AddressFamily>,
        /// Names of servers in the order in which they are to be asked.
        servers: Vec<String>,
        /// The server that has the call; `None` when it is known to be lost.
        current: Option<String>,
    },
}
