//! The envelope: a cookie, a space, and a dictionary in bencode or JSON.

use std::fmt;

use crate::reply::Reply;
use crate::request::Request;
use crate::value::Dictionary;
use crate::{COOKIE_BYTES_MAX, DATAGRAM_BYTES_MAX, bencode, json, reason};

/// How a body is written. A reply is written as its request was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As rtpengine's clients do by default.
    Bencode,
    /// As a person would.
    Json,
}

/// One datagram, either way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Chosen by the client; the reply repeats it. No space in it, at most [`COOKIE_BYTES_MAX`] bytes.
    pub cookie: Vec<u8>,
    /// How the body is written.
    pub encoding: Encoding,
    /// The request or reply.
    pub body: Dictionary,
}

impl Datagram {
    /// A request in bencode.
    #[must_use]
    pub fn asking(cookie: Vec<u8>, request: &Request) -> Self {
        Self { cookie, encoding: Encoding::Bencode, body: request.to_dictionary() }
    }

    /// The reply to this request: same cookie, same encoding.
    #[must_use]
    pub fn answered_by(&self, reply: &Reply) -> Self {
        Self { cookie: self.cookie.clone(), encoding: self.encoding, body: reply.to_dictionary() }
    }

    /// The bytes to send. JSON has no bytes outside of UTF-8: there they become U+FFFD.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(&self.cookie);
        bytes.push(b' ');
        match self.encoding {
            Encoding::Bencode => bencode::write_dictionary(&self.body, &mut bytes),
            Encoding::Json => json::write_dictionary(&self.body, &mut bytes),
        }
        bytes
    }
}

/// Why bytes are no datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatagramError {
    /// There is no cookie (or none that is short enough) under which anything could be answered: drop it.
    NoCookie,
    /// The body is illegible: answer with an error under this cookie.
    Body {
        /// The cookie to answer under.
        cookie: Vec<u8>,
        /// How to write the answer.
        encoding: Encoding,
        /// What is wrong.
        fault: BodyFault,
    },
}

impl DatagramError {
    /// The error reply that the sender should get, if it can get any.
    #[must_use]
    pub fn reply(&self) -> Option<Datagram> {
        match self {
            Self::NoCookie => None,
            Self::Body { cookie, encoding, fault } => Some(Datagram {
                cookie: cookie.clone(),
                encoding: *encoding,
                body: Reply::error(fault.reason(*encoding)).to_dictionary(),
            }),
        }
    }
}

impl fmt::Display for DatagramError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCookie => formatter.write_str("no cookie"),
            Self::Body { encoding, fault, .. } => formatter.write_str(fault.reason(*encoding)),
        }
    }
}

impl std::error::Error for DatagramError {}

/// What is wrong with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFault {
    /// There is none.
    Empty,
    /// It starts like neither a bencoded nor a JSON dictionary.
    UnknownFormat,
    /// It is broken inside.
    Malformed,
    /// Nested deeper than [`crate::DEPTH_MAX`], or more than [`crate::VALUES_MAX`] values.
    TooLarge,
}

impl BodyFault {
    fn reason(self, encoding: Encoding) -> &'static str {
        match (self, encoding) {
            (Self::Empty, _) => reason::NO_PAYLOAD,
            (Self::UnknownFormat, _) => reason::UNKNOWN_FORMAT,
            (Self::Malformed | Self::TooLarge, Encoding::Bencode) => reason::BAD_BENCODE,
            (Self::Malformed | Self::TooLarge, Encoding::Json) => reason::BAD_JSON,
        }
    }
}

/// Parses the envelope and the body. At most [`DATAGRAM_BYTES_MAX`] bytes, which UDP cannot exceed.
///
/// # Errors
///
/// [`DatagramError::NoCookie`] for what cannot be answered, [`DatagramError::Body`] for what can.
pub fn datagram_untrusted(bytes: &[u8]) -> Result<Datagram, DatagramError> {
    let space = bytes.iter().take(COOKIE_BYTES_MAX + 1).position(|byte| *byte == b' ');
    let (cookie, body) = match space {
        Some(length) if length > 0 && bytes.len() <= DATAGRAM_BYTES_MAX => {
            (&bytes[..length], &bytes[length + 1..])
        }
        _ => return Err(DatagramError::NoCookie),
    };
    let encoding = if body.first() == Some(&b'{') { Encoding::Json } else { Encoding::Bencode };
    let parsed = match body.first() {
        Some(b'{') => json::dictionary_untrusted(body),
        Some(b'd') => bencode::dictionary_untrusted(body),
        Some(_) => Err(BodyFault::UnknownFormat),
        None => Err(BodyFault::Empty),
    };
    match parsed {
        Ok(body) => Ok(Datagram { cookie: cookie.to_vec(), encoding, body }),
        Err(fault) => Err(DatagramError::Body { cookie: cookie.to_vec(), encoding, fault }),
    }
}
