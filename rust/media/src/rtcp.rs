//! RTCP packets (RFC 3550 §6): the common header of the first packet in a compound.

use std::fmt;

/// The length in bytes of the shortest useful packet: a common header and an SSRC.
pub const HEADER_BYTES: usize = 8;

/// Why bytes are not RTCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpError {
    /// Fewer bytes than a packet needs.
    Short,
    /// The version is not 2.
    Version,
    /// The packet type is not one of RTCP's (192..=223, RFC 5761 §4).
    PacketType,
}

impl fmt::Display for RtcpError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Short => "shorter than a header and an SSRC",
            Self::Version => "not of RTP version 2",
            Self::PacketType => "not an RTCP packet type",
        })
    }
}

impl std::error::Error for RtcpError {}

/// Looks at the first header of a compound: all that forwarding needs. What follows may be encrypted (RFC 3711
/// §3.4), so that a relay must not judge it. Gives the packet type.
///
/// # Errors
/// Any [`RtcpError`].
pub fn header_untrusted(bytes: &[u8]) -> Result<u8, RtcpError> {
    if bytes.len() < HEADER_BYTES {
        Err(RtcpError::Short)
    } else if bytes[0] >> 6 != 2 {
        Err(RtcpError::Version)
    } else if !(192..=223).contains(&bytes[1]) {
        Err(RtcpError::PacketType)
    } else {
        Ok(bytes[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compound_is_known_by_its_first_packet() {
        let bytes = [0x81, 201, 0, 1, 0, 0, 0, 5, 0x81, 203, 0, 1, 0, 0, 0, 5];
        assert_eq!(header_untrusted(&bytes), Ok(201));
    }

    #[test]
    fn audio_on_the_rtcp_port_is_not_rtcp() {
        assert_eq!(header_untrusted(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), Err(RtcpError::PacketType));
        assert_eq!(header_untrusted(&[0x00; 8]), Err(RtcpError::Version));
        assert_eq!(header_untrusted(&[0x80, 200, 0, 1]), Err(RtcpError::Short));
    }
}
