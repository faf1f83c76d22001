//! SIP messages (RFC 3261 section 7): read from a datagram, changed by copying, written to a datagram. No I/O, no clock.
//!
//! Header values are kept as they were written and read only when somebody asks; what is not understood passes through
//! untouched. [`read_untrusted`] checks what every message must have (Via, From, To, Call-ID, `CSeq`).
//!
//! Values share the text that they were cut from, so that copying a message copies no text. RFC numbers without
//! further note mean RFC 3261.

mod fields;
mod headers;
mod names;
mod reading;
mod text;
mod uri;
mod writing;

use std::borrow::Cow;

pub use fields::{
    CSeq, NameAddr, Via, cseq_untrusted, first_of, name_addr_untrusted, split_commas, via_untrusted,
};
pub use headers::{Field, Headers};
pub use names::{is_token, key_of, reason_of};
pub use reading::{Reading, Refused, SizeLimits, read_untrusted};
pub use text::Text;
pub use uri::{DEFAULT_PORT, DEFAULT_PORT_TLS, Uri, equivalent, uri_untrusted};
pub use writing::{LineBreak, response_headers, write};

/// What Via and the start line say.
pub const VERSION: &str = "SIP/2.0";

/// The hops that a request has left when its Max-Forwards is missing, as RFC 2543 peers do.
pub const MAX_FORWARDS: u32 = 70;

/// A URI or header field does not follow the grammar (section 25); the text says what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(pub Cow<'static, str>);

impl Malformed {
    pub(crate) const fn because(why: &'static str) -> Self {
        Self(Cow::Borrowed(why))
    }
}

/// The first line of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// `INVITE sip:bob@example.test SIP/2.0`; the URI is as written.
    Request {
        /// A token.
        method: Text,
        /// As written.
        uri: Text,
    },
    /// `SIP/2.0 200 OK`.
    Response {
        /// From 100 to 699.
        status: u16,
        /// For people; it may be empty.
        reason: Text,
    },
}

/// How the letters of a message's head stand for bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As section 7 wants it.
    Utf8,
    /// Of a message that was not valid UTF-8, old phones' names mostly: written back byte for byte.
    Latin1,
}
