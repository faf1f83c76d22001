//! What a datagram is, by its first bytes (RFC 7983 §7).
//!
//! ```text
//!              [0..3]      STUN: a relay is no ICE agent, and answers no connectivity checks
//!              [16..19]    ZRTP: keys that the parties agree on by themselves (RFC 6189), beside RTP in the clear
//!              [20..63]    DTLS: the handshake that keys the SRTP of a stream over UDP/TLS (RFC 5764)
//!              [128..191]  RTP or RTCP, which a shared port tells apart by the second byte (RFC 5761 §4)
//! ```

use crate::content::Content;
use crate::counters::Cause;
use crate::plan::{Component, Side, StreamPlan};
use crate::{rtcp, rtp};

/// The length in bytes of a STUN header (RFC 8489 §5).
const STUN_HEADER_BYTES: usize = 20;
/// The length in bytes of the header of a DTLS record (RFC 6347 §4.1).
const DTLS_HEADER_BYTES: usize = 13;
/// What stands in the second word of ZRTP (RFC 6189 §5), and the length in bytes of the shortest packet: header, message, checksum.
const ZRTP_COOKIE: &[u8] = b"ZRTP";
const ZRTP_BYTES_MIN: usize = 28;

/// Something that is forwarded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Rtp(rtp::Header),
    Rtcp,
    /// A handshake beside the packets: DTLS, or ZRTP.
    Handshake,
    /// What is in it is the parties' business.
    Datagram,
}

/// What arrived at a port of `side`, as far as forwarding needs to know.
///
/// # Errors
/// Why it is not forwarded.
#[inline]
pub(crate) fn kind_untrusted(
    plan: &StreamPlan,
    side: Side,
    component: Component,
    bytes: &[u8],
) -> Result<Kind, Cause> {
    if plan.content == Content::Datagrams {
        return if bytes.is_empty() { Err(Cause::Malformed) } else { Ok(Kind::Datagram) };
    }
    match bytes.first() {
        Some(128..=191) => {
            let rtcp = component == Component::Rtcp || (plan.side(side).rtcp_mux && rtp::is_rtcp(bytes));
            let kind = if rtcp {
                rtcp::header_untrusted(bytes).ok().map(|_| Kind::Rtcp)
            } else {
                rtp::header_untrusted(bytes).ok().map(Kind::Rtp)
            };
            kind.ok_or(Cause::Malformed)
        }
        Some(16..=19) if is_zrtp(bytes) && component == Component::Rtp => Ok(Kind::Handshake),
        Some(20..=63) if plan.content == Content::DtlsRtp && bytes.len() >= DTLS_HEADER_BYTES => {
            Ok(Kind::Handshake)
        }
        Some(0..=3) if bytes.len() >= STUN_HEADER_BYTES => Err(Cause::Stun),
        _ => Err(Cause::Malformed),
    }
}

fn is_zrtp(bytes: &[u8]) -> bool {
    bytes.len() >= ZRTP_BYTES_MIN && bytes.get(4..8) == Some(ZRTP_COOKIE)
}
