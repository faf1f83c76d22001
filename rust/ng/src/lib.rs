//! The `ng` protocol that media servers are controlled with: rtpengine's, over UDP, in bencode or JSON.
//!
//! A datagram is a cookie, a space and a dictionary. This crate turns bytes into typed requests and replies
//! and back; it opens no socket and reads no clock.
//!
//! ```
//! use mediaha_ng::{Reply, Request, datagram_untrusted, request_untrusted};
//!
//! let asked = datagram_untrusted(b"1234_1 d7:command4:pinge").unwrap();
//! assert_eq!(request_untrusted(&asked.body).unwrap(), Request::Ping);
//! let reply = asked.answered_by(&Reply::Pong { instance: None, load: None, draining: false, adopts: false });
//! assert_eq!(reply.to_bytes(), b"1234_1 d6:result4:ponge");
//! ```
//!
//! From the bytes inwards: [`datagram_untrusted`] parses the envelope, [`request_untrusted`] and
//! [`reply_untrusted`] give the dictionary a type, [`Duplicates`] answers a retransmission with what was
//! answered before.
#![forbid(unsafe_code)]

mod bencode;
mod block;
pub mod bundle;
mod codecs;
mod datagram;
mod duplicates;
mod fields;
mod json;
mod options;
pub mod reason;
mod reply;
mod request;
mod rtpp_flags;
mod unknown;
mod value;

pub use block::{Block, Blockable, Named};
pub use codecs::Codecs;
pub use datagram::{BodyFault, Datagram, DatagramError, Encoding, datagram_untrusted};
pub use duplicates::{Duplicates, DuplicatesConfig};
pub use options::{AddressFamily, Options, RtcpMux};
pub use reply::{Reply, ReplyError, reply_untrusted};
pub use request::{Adoption, Delete, Media, Query, Request, RequestError, request_untrusted};
pub use value::{Dictionary, Value};

/// The longest datagram that is parsed, in bytes: what fits into one UDP datagram.
pub const DATAGRAM_BYTES_MAX: usize = 65_535;
/// How the call-ids of probes begin: sessions through which a client sends packets to itself, to see whether media is forwarded.
/// A server counts them among no calls.
pub const PROBE_CALL_IDS: &str = "mediaha-probe-";
/// The longest cookie, in bytes. Clients use some twenty.
pub const COOKIE_BYTES_MAX: usize = 256;
/// How deep lists and dictionaries may be nested. Real messages reach five.
pub const DEPTH_MAX: usize = 16;
/// How many values (keys not counted) one datagram may hold in all.
pub const VALUES_MAX: usize = 8_192;
