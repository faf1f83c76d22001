//! Requests: what a client asks of a media server.

use std::fmt;

use crate::block::{Block, block_untrusted};
use crate::options::Options;
use crate::value::{Dictionary, Value};
use crate::{fields, reason, rtpp_flags};

/// One request. The call is known by its call-id, its two parties by from-tag and to-tag.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::large_enum_variant,
    reason = "lives as long as one datagram; nearly all of them are offers and pings"
)]
pub enum Request {
    /// Are you there?
    Ping,
    /// An SDP offer: make or change the streams of a call, answer with the SDP for the other party.
    Offer(Media),
    /// The answer to it, from the other party; [`Media::to_tag`] is set.
    Answer(Media),
    /// Take over a call that was on another server: mediaha's own addition.
    Adopt(Adoption),
    /// Forget a call, or one party or branch of it.
    Delete(Delete),
    /// Withhold what parties send, or pass it on again.
    Block(Block),
    /// What is known of a call?
    Query(Query),
    /// Which calls are there? At most `limit` of them.
    List {
        /// The most call-ids wanted.
        limit: u32,
    },
    /// Counters of the whole server.
    Statistics,
    /// A command this crate has no type for, by its name; answered with [`crate::reason::UNRECOGNIZED_COMMAND`].
    Unsupported(Vec<u8>),
}

/// An offer or an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Media {
    /// The call.
    pub call_id: Vec<u8>,
    /// The tag of the party that made the call, in requests of the call's own direction; of whoever sent this SDP
    /// in an offer, of the offerer in an answer.
    pub from_tag: Vec<u8>,
    /// The other party's tag, where it is known. Always set in an answer.
    pub to_tag: Option<Vec<u8>>,
    /// The branch of the SIP request, when the call may fork.
    pub via_branch: Option<Vec<u8>>,
    /// The SDP, unparsed.
    pub sdp: Vec<u8>,
    /// Everything else.
    pub options: Options,
}

/// A call as its parties have agreed on it, at another server: an offer and the answer to it in one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adoption {
    /// The offer; its options hold for the answer, too.
    pub offer: Media,
    /// The SDP of the other party, which has [`Media::to_tag`]; `None` while it rings.
    pub answer_sdp: Option<Vec<u8>>,
}

/// A deletion. Without tags the whole call goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delete {
    /// The call.
    pub call_id: Vec<u8>,
    /// Only the dialogue of this party,
    pub from_tag: Option<Vec<u8>>,
    /// with this one,
    pub to_tag: Option<Vec<u8>>,
    /// or only this branch.
    pub via_branch: Option<Vec<u8>>,
    /// Seconds to wait before it is done; the server's default when `None`.
    pub delay_s: Option<u32>,
    /// `fatal`: that there is nothing to delete is an error.
    pub fatal: bool,
}

/// A question about one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The call.
    pub call_id: Vec<u8>,
    /// Only this party,
    pub from_tag: Option<Vec<u8>>,
    /// or the dialogue with this one.
    pub to_tag: Option<Vec<u8>>,
}

/// Why a dictionary is no request. [`reason`](Self::reason) is the text to answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// It names no command.
    NoCommand,
    /// It names no call.
    NoCallId,
    /// An offer or answer without from-tag.
    NoFromTag,
    /// An answer without to-tag.
    NoToTag,
    /// An offer or answer without SDP.
    NoSdp,
    /// `list` with a limit below zero.
    BadLimit,
}

impl RequestError {
    /// The text of the error reply.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoCommand => reason::NO_COMMAND,
            Self::NoCallId => reason::NO_CALL_ID,
            Self::NoFromTag => reason::NO_FROM_TAG,
            Self::NoToTag => reason::NO_TO_TAG,
            Self::NoSdp => reason::NO_SDP,
            Self::BadLimit => reason::BAD_LIMIT,
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.reason())
    }
}

impl std::error::Error for RequestError {}

/// Gives a parsed body its type. Keys that are not known are passed over.
///
/// # Errors
///
/// What the command needs is missing.
pub fn request_untrusted(body: &Dictionary) -> Result<Request, RequestError> {
    let spread = rtpp_flags::spread(body);
    let body = spread.as_ref().unwrap_or(body);
    let command = body.text("command").ok_or(RequestError::NoCommand)?;
    match command {
        b"ping" => Ok(Request::Ping),
        b"offer" => media(body).map(Request::Offer),
        b"answer" => {
            let media = media(body)?;
            if media.to_tag.is_none() { Err(RequestError::NoToTag) } else { Ok(Request::Answer(media)) }
        }
        b"adopt" => adoption(body).map(Request::Adopt),
        b"delete" => delete(body).map(Request::Delete),
        b"query" => query(body).map(Request::Query),
        b"list" => list(body),
        b"statistics" => Ok(Request::Statistics),
        other => match block_untrusted(other, body) {
            Some(block) => block.map(Request::Block),
            None => Ok(Request::Unsupported(other.to_vec())),
        },
    }
}

fn media(body: &Dictionary) -> Result<Media, RequestError> {
    Ok(Media {
        sdp: owned(body, "sdp").ok_or(RequestError::NoSdp)?,
        call_id: owned(body, "call-id").ok_or(RequestError::NoCallId)?,
        from_tag: owned(body, "from-tag").ok_or(RequestError::NoFromTag)?,
        to_tag: owned(body, "to-tag"),
        via_branch: owned(body, "via-branch"),
        options: Options::from_dictionary(body),
    })
}

fn adoption(body: &Dictionary) -> Result<Adoption, RequestError> {
    let (offer, answer_sdp) = (media(body)?, owned(body, "answer sdp"));
    if answer_sdp.is_some() && offer.to_tag.is_none() {
        return Err(RequestError::NoToTag);
    }
    Ok(Adoption { offer, answer_sdp })
}

fn delete(body: &Dictionary) -> Result<Delete, RequestError> {
    let delay = fields::value(body, "delete delay").and_then(Value::integer);
    Ok(Delete {
        call_id: owned(body, "call-id").ok_or(RequestError::NoCallId)?,
        from_tag: owned(body, "from-tag"),
        to_tag: owned(body, "to-tag"),
        via_branch: owned(body, "via-branch"),
        delay_s: delay.and_then(|seconds| u32::try_from(seconds).ok()),
        fatal: fields::words(body, "flags").any(|flag| fields::same_word(flag, "fatal")),
    })
}

fn query(body: &Dictionary) -> Result<Query, RequestError> {
    Ok(Query {
        call_id: owned(body, "call-id").ok_or(RequestError::NoCallId)?,
        from_tag: owned(body, "from-tag"),
        to_tag: owned(body, "to-tag"),
    })
}

fn list(body: &Dictionary) -> Result<Request, RequestError> {
    let limit = body.integer("limit").unwrap_or(i64::from(LIST_LIMIT));
    u32::try_from(limit).map(|limit| Request::List { limit }).map_err(|_| RequestError::BadLimit)
}

fn owned(body: &Dictionary, key: &str) -> Option<Vec<u8>> {
    fields::text(body, key).map(<[u8]>::to_vec)
}

/// How many calls are listed when the client does not say.
const LIST_LIMIT: u32 = 32;

impl Request {
    /// The name of the command.
    #[must_use]
    pub fn command(&self) -> &[u8] {
        match self {
            Self::Ping => b"ping",
            Self::Offer(_) => b"offer",
            Self::Answer(_) => b"answer",
            Self::Adopt(_) => b"adopt",
            Self::Delete(_) => b"delete",
            Self::Block(block) => block.command(),
            Self::Query(_) => b"query",
            Self::List { .. } => b"list",
            Self::Statistics => b"statistics",
            Self::Unsupported(command) => command,
        }
    }

    /// The body that asks for this; [`request_untrusted`] reads it back.
    #[must_use]
    pub fn to_dictionary(&self) -> Dictionary {
        let mut body = Dictionary::new().with("command", self.command());
        match self {
            Self::Offer(media) | Self::Answer(media) => media.write_to(&mut body),
            Self::Adopt(Adoption { offer, answer_sdp }) => {
                offer.write_to(&mut body);
                set_some(&mut body, "answer sdp", answer_sdp.as_ref());
            }
            Self::Delete(delete) => {
                set_call(&mut body, &delete.call_id, delete.from_tag.as_ref(), delete.to_tag.as_ref());
                set_some(&mut body, "via-branch", delete.via_branch.as_ref());
                if let Some(seconds) = delete.delay_s {
                    body.set("delete delay", seconds);
                }
                if delete.fatal {
                    body.set("flags", vec![Value::from("fatal")]);
                }
            }
            Self::Block(block) => block.write_to(&mut body),
            Self::Query(query) => {
                set_call(&mut body, &query.call_id, query.from_tag.as_ref(), query.to_tag.as_ref());
            }
            Self::List { limit } => body.set("limit", *limit),
            Self::Ping | Self::Statistics | Self::Unsupported(_) => {}
        }
        body
    }
}

impl Media {
    fn write_to(&self, body: &mut Dictionary) {
        set_call(body, &self.call_id, Some(&self.from_tag), self.to_tag.as_ref());
        set_some(body, "via-branch", self.via_branch.as_ref());
        self.options.write_to(body);
        body.set("sdp", self.sdp.clone());
    }
}

fn set_call(body: &mut Dictionary, call_id: &[u8], from_tag: Option<&Vec<u8>>, to_tag: Option<&Vec<u8>>) {
    body.set("call-id", call_id);
    set_some(body, "from-tag", from_tag);
    set_some(body, "to-tag", to_tag);
}

fn set_some(body: &mut Dictionary, key: &str, text: Option<&Vec<u8>>) {
    if let Some(text) = text {
        body.set(key, text.clone());
    }
}
