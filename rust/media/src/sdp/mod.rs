//! SDP (RFC 8866) as a relay needs it: where the streams go, and the same text with the relay in that place.
//!
//! [`description_untrusted`] keeps every line and understands those that concern the relay; [`rewrite`] puts the
//! relay's addresses and ports in, takes out what would let the parties find each other behind its back (ICE,
//! RFC 8839, and other addresses; bundling, RFC 9143), and writes the attributes in rtpengine's order, because its clients compare.
//! What neither understands passes through as it came.

mod attribute;
mod codecs;
mod description;
mod line;
mod payload;
mod profile;
mod rewrite;
mod rtpmap;
#[cfg(test)]
mod tests;

use std::fmt;

pub use self::description::{Description, Direction, MediaSection, description_untrusted};
pub use self::profile::Profile;
pub use self::rewrite::{Placement, RewriteOptions, RtcpAttribute, rewrite};
pub use self::rtpmap::Rtpmap;

/// The longest SDP that is parsed, in bytes; what an ng datagram can carry.
pub const SDP_BYTES_MAX: usize = 65_535;
/// The most lines.
pub const LINES_MAX: usize = 4_096;
/// The most media sections.
pub const SECTIONS_MAX: usize = 64;
/// The most formats in one `m=` line: there are no more RTP payload types.
pub const FORMATS_MAX: usize = 128;

/// Why an SDP is unusable. All of it is the fault of whoever wrote it: another media server would say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SdpError {
    /// It does not begin as SDP does, or a line is none.
    NotSdp,
    /// One of the limits of this module is exceeded.
    TooLarge,
    /// An `m=` line does not say port, protocol and formats.
    BadMedia,
    /// A stream that would be relayed has no address.
    NoAddress,
    /// A stream that would be relayed has an address that is no unicast IP address.
    BadAddress,
    /// There is no `m=` line: there is nothing to relay.
    NoMedia,
}

impl SdpError {
    /// The text of the ng error reply, as rtpengine has it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotSdp | Self::TooLarge | Self::BadMedia | Self::BadAddress => {
                mediaha_ng::reason::SDP_UNPARSABLE
            }
            Self::NoAddress => mediaha_ng::reason::SDP_INCOMPLETE,
            Self::NoMedia => mediaha_ng::reason::SDP_NOT_REWRITTEN,
        }
    }
}

impl fmt::Display for SdpError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotSdp => "not SDP",
            Self::TooLarge => "too much SDP",
            Self::BadMedia => "an m= line without port, protocol and formats",
            Self::NoAddress => "a stream without an address",
            Self::BadAddress => "a stream with an address that nobody can send to",
            Self::NoMedia => "no media",
        })
    }
}

impl std::error::Error for SdpError {}
