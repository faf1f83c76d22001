//! The attributes that a relay treats in its own way, and the order in which rtpengine writes attributes.

use super::description::Direction;

/// An `a=` line, as far as a relay is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attribute<'a> {
    /// `sendrecv` and its like.
    Direction(Direction),
    /// `rtcp:`, with what follows.
    Rtcp(&'a [u8]),
    /// `rtcp-mux`.
    RtcpMux,
    /// Further addresses of its author, which would lead the parties past the relay, or make them refuse what comes from it:
    /// interactive connectivity establishment (RFC 8839), an older kind of it (`alt`), the other address family (`altc`, RFC 6947),
    /// addresses to choose from (`ccap`, RFC 7006), senders to listen to (`source-filter`, RFC 4570).
    Elsewhere,
    /// `group:BUNDLE` (RFC 9143): several streams on one port, which the relay has given a port each.
    Bundle,
    /// `rtpmap`, `fmtp` or `rtcp-fb` of one payload type.
    Payload(PayloadAttribute, &'a [u8]),
    /// `mid`.
    Mid,
    /// `crypto`, `setup`, `fingerprint`, in this order.
    Security(u8),
    /// `ptime`.
    Ptime,
    /// Anything else.
    Other,
}

/// What is said of a payload type, in the order it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PayloadAttribute {
    Rtpmap,
    Fmtp,
    RtcpFeedback,
}

impl<'a> Attribute<'a> {
    /// The attribute in this line; `None` if it is not an `a=` line.
    pub(super) fn of(text: &'a [u8]) -> Option<Self> {
        let text = text.strip_prefix(b"a=")?;
        let colon = text.iter().position(|byte| *byte == b':');
        let (name, value) =
            colon.map_or((text, &text[text.len()..]), |colon| (&text[..colon], &text[colon + 1..]));
        Some(match name {
            b"sendrecv" => Self::Direction(Direction::SendRecv),
            b"sendonly" => Self::Direction(Direction::SendOnly),
            b"recvonly" => Self::Direction(Direction::RecvOnly),
            b"inactive" => Self::Direction(Direction::Inactive),
            b"rtcp" => Self::Rtcp(value),
            b"rtcp-mux" => Self::RtcpMux,
            b"candidate" | b"remote-candidates" | b"end-of-candidates" | b"alt" | b"altc" | b"ccap"
            | b"source-filter" => Self::Elsewhere,
            _ if name.starts_with(b"ice-") => Self::Elsewhere,
            b"group" if value.starts_with(b"BUNDLE") => Self::Bundle,
            b"rtpmap" => Self::Payload(PayloadAttribute::Rtpmap, payload_type(value)),
            b"fmtp" => Self::Payload(PayloadAttribute::Fmtp, payload_type(value)),
            b"rtcp-fb" if !value.starts_with(b"*") => {
                Self::Payload(PayloadAttribute::RtcpFeedback, payload_type(value))
            }
            b"mid" => Self::Mid,
            b"crypto" => Self::Security(0),
            b"setup" => Self::Security(1),
            b"fingerprint" => Self::Security(2),
            b"ptime" => Self::Ptime,
            _ => Self::Other,
        })
    }

    /// Where the line stands among the attributes of its section, whose formats are given. Lines that compare
    /// equal keep their order.
    pub(super) fn rank(self, formats: &[Vec<u8>]) -> (u8, usize, u8) {
        match self {
            Self::Other | Self::Elsewhere | Self::Bundle => (0, 0, 0),
            Self::Mid => (1, 0, 0),
            Self::Payload(what, payload) => {
                let place = formats.iter().position(|format| format == payload).unwrap_or(formats.len());
                (2, place, what as u8)
            }
            Self::Direction(_) => (3, 0, 0),
            Self::Rtcp(_) => (4, 0, 0),
            Self::RtcpMux => (5, 0, 0),
            Self::Security(which) => (6, 0, which),
            Self::Ptime => (7, 0, 0),
        }
    }
}

fn payload_type(value: &[u8]) -> &[u8] {
    value.split(|byte| *byte == b' ').next().unwrap_or_default()
}
