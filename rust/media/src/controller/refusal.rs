//! Why a request is not carried out, in the words that ng clients match on.

use mediaha_ng::{Reply, reason};

use super::statistics::Refused;
use crate::datapath::PortsExhausted;
use crate::sdp::SdpError;

/// Whose fault it is, and what the client does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Too many calls, or draining: another server may have room.
    Sessions,
    /// The workers are too busy: another server may not be.
    Load,
    /// No ports are left: another server may have some.
    Ports,
    /// The call is not known, or not between these parties: the client may have to begin it anew.
    UnknownCall,
    /// The same, to a request that changes no SDP; rtpengine spells it otherwise then.
    UnknownCallId,
    /// There is no such party in the call, by its tag,
    UnknownTag,
    /// by what it was called,
    UnknownLabel,
    /// or by the address in its SDP.
    UnknownAddress,
    /// What is to be an address is none.
    NoAddress,
    /// Nothing goes from the one party to the other.
    NoFlow,
    /// There was nothing to delete, and the client wants to be told so.
    NothingDeleted,
    /// The SDP cannot be relayed by any server.
    Sdp(SdpError),
    /// The SDP has more streams, or more bytes, than this server takes.
    TooLarge,
    /// What one party would be offered is encrypted otherwise than what the other one offers: another server may be able to.
    Keys,
    /// A call-id, tag or branch is longer than any that SIP has.
    NameTooLong,
}

impl Refusal {
    /// The reply. A client that knows the form is told of a limit as such.
    pub(super) fn reply(self, supports_load_limit: bool) -> Reply {
        let limit = matches!(self, Self::Sessions | Self::Load);
        if limit && supports_load_limit {
            return Reply::LoadLimit { message: self.reason().as_bytes().to_vec() };
        }
        Reply::error(self.reason())
    }

    /// What there was too little of.
    pub(super) fn wanting(self) -> Option<Refused> {
        match self {
            Self::Sessions => Some(Refused::Sessions),
            Self::Load => Some(Refused::Load),
            Self::Ports => Some(Refused::Ports),
            _ => None,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Sessions => reason::SESSION_LIMIT,
            Self::Load => reason::LOAD_LIMIT,
            Self::Ports => reason::NO_PORTS,
            Self::UnknownCall => reason::UNKNOWN_CALL,
            Self::UnknownCallId => reason::UNKNOWN_CALL_ID,
            Self::UnknownTag => reason::UNKNOWN_TAG,
            Self::UnknownLabel => reason::UNKNOWN_LABEL,
            Self::UnknownAddress => reason::UNKNOWN_ADDRESS,
            Self::NoAddress => reason::BAD_ADDRESS,
            Self::NoFlow => reason::NO_FLOW,
            Self::NothingDeleted => reason::NOTHING_DELETED,
            Self::Sdp(error) => error.reason(),
            Self::TooLarge => reason::SDP_NOT_REWRITTEN,
            Self::Keys => reason::KEYS,
            Self::NameTooLong => "Call-id, tag or branch is too long",
        }
    }
}

impl From<PortsExhausted> for Refusal {
    fn from(_: PortsExhausted) -> Self {
        Self::Ports
    }
}

impl From<SdpError> for Refusal {
    fn from(error: SdpError) -> Self {
        Self::Sdp(error)
    }
}
