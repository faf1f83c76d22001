//! Replies: what a media server answers.

use std::fmt;

use crate::reason;
use crate::value::Dictionary;

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To a ping. Only `result: pong` is rtpengine's; the rest is ours, and foreign clients pass over it.
    Pong {
        /// Random bytes chosen when the server started: other bytes mean that it has lost its memory.
        instance: Option<Vec<u8>>,
        /// How full the server is, in per cent of its session limit.
        load: Option<u32>,
        /// It takes no new calls.
        draining: bool,
        /// It knows `adopt`, and takes many of them in one datagram ([`crate::bundle`]).
        adopts: bool,
    },
    /// To an offer or answer: the SDP for the other party. Also to an adoption without an answer.
    Sdp(Vec<u8>),
    /// To an adoption.
    Adopted {
        /// The SDP for the party that answered.
        sdp: Vec<u8>,
        /// The SDP for the party that had offered.
        answer_sdp: Vec<u8>,
    },
    /// To anything else: the whole dictionary, `result: ok` included; there may be a `warning` in it.
    Done(Dictionary),
    /// It was not done.
    Error {
        /// One of the texts of [`crate::reason`], where clients match on the text.
        reason: Vec<u8>,
    },
    /// It was not done because the server is full; only clients that claim to support it are told in this form.
    LoadLimit {
        /// Which limit.
        message: Vec<u8>,
    },
}

/// Why a dictionary is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// There is no `result`, or it is not a text.
    NoResult,
    /// `result` is a word this crate does not know.
    UnknownResult,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoResult => "the reply has no result",
            Self::UnknownResult => "the reply has a result that is not known",
        })
    }
}

impl std::error::Error for ReplyError {}

impl Reply {
    /// An error with this text, one of [`crate::reason`] if possible.
    #[must_use]
    pub fn error(reason: &str) -> Self {
        Self::Error { reason: reason.as_bytes().to_vec() }
    }

    /// `result: ok` and nothing else.
    #[must_use]
    pub fn ok() -> Self {
        Self::Done(Dictionary::new().with("result", "ok"))
    }

    /// Whether this is an error that blames the request: another server would say the same.
    #[must_use]
    pub fn is_callers_fault(&self) -> bool {
        matches!(self, Self::Error { reason } if reason::is_callers_fault(reason))
    }

    /// Whether this refuses because the server is full: it works, and another may have room.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        match self {
            Self::LoadLimit { .. } => true,
            Self::Error { reason } => reason::is_limit(reason),
            _ => false,
        }
    }

    /// Whether this says that the server does not know the call: it may have lost its memory.
    #[must_use]
    pub fn is_unknown_call(&self) -> bool {
        match self {
            // rtpengine spells it in two ways.
            Self::Error { reason } => reason.eq_ignore_ascii_case(reason::UNKNOWN_CALL.as_bytes()),
            Self::Done(body) => body.text("warning") == Some(reason::NOTHING_DELETED.as_bytes()),
            _ => false,
        }
    }

    /// Whether this says that the server does not know the command.
    #[must_use]
    pub fn is_unrecognized_command(&self) -> bool {
        matches!(self, Self::Error { reason } if reason == reason::UNRECOGNIZED_COMMAND.as_bytes())
    }

    /// The body that says this; [`reply_untrusted`] reads it back.
    #[must_use]
    pub fn to_dictionary(&self) -> Dictionary {
        match self {
            Self::Pong { instance, load, draining, adopts } => pong(instance.as_ref(), *load, *draining, *adopts),
            Self::Sdp(sdp) => Dictionary::new().with("sdp", sdp.clone()).with("result", "ok"),
            Self::Adopted { sdp, answer_sdp } => Dictionary::new()
                .with("sdp", sdp.clone())
                .with("answer sdp", answer_sdp.clone())
                .with("result", "ok"),
            Self::Done(body) => body.clone(),
            Self::Error { reason } => {
                Dictionary::new().with("result", "error").with("error-reason", reason.clone())
            }
            Self::LoadLimit { message } => {
                Dictionary::new().with("result", "load limit").with("message", message.clone())
            }
        }
    }
}

fn pong(instance: Option<&Vec<u8>>, load: Option<u32>, draining: bool, adopts: bool) -> Dictionary {
    let mut body = Dictionary::new().with("result", "pong");
    if let Some(instance) = instance {
        body.set("instance", instance.clone());
    }
    if let Some(load) = load {
        body.set("load", load);
    }
    if draining {
        body.set("draining", 1_u32);
    }
    if adopts {
        body.set("adopts", 1_u32);
    }
    body
}

/// Gives a parsed body its type.
///
/// # Errors
///
/// It has no `result`, or one that is not known.
pub fn reply_untrusted(body: &Dictionary) -> Result<Reply, ReplyError> {
    match body.text("result").ok_or(ReplyError::NoResult)? {
        b"pong" => Ok(Reply::Pong {
            instance: body.text("instance").map(<[u8]>::to_vec),
            load: body.integer("load").and_then(|load| u32::try_from(load).ok()),
            draining: body.integer("draining").is_some_and(|draining| draining != 0),
            adopts: body.integer("adopts").is_some_and(|adopts| adopts != 0),
        }),
        b"ok" => Ok(match (body.text("sdp"), body.text("answer sdp")) {
            (Some(sdp), Some(answer)) => Reply::Adopted { sdp: sdp.to_vec(), answer_sdp: answer.to_vec() },
            (Some(sdp), None) => Reply::Sdp(sdp.to_vec()),
            (None, _) => Reply::Done(body.clone()),
        }),
        b"error" => Ok(Reply::Error { reason: body.text("error-reason").unwrap_or_default().to_vec() }),
        b"load limit" => Ok(Reply::LoadLimit { message: body.text("message").unwrap_or_default().to_vec() }),
        _ => Err(ReplyError::UnknownResult),
    }
}
