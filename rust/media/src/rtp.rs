//! RTP packets (RFC 3550 §5.1), and how they are told from RTCP on a shared port (RFC 5761 §4).

use std::fmt;

/// The length in bytes of the part of the header that every packet has.
pub const HEADER_BYTES: usize = 12;

/// The fixed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// 0..=127.
    pub payload_type: u8,
    /// Counts packets, modulo 2¹⁶.
    pub sequence: u16,
    /// Counts samples, modulo 2³².
    pub timestamp: u32,
    /// Names the source.
    pub ssrc: u32,
}

/// Why bytes are no RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtpError {
    /// Fewer bytes than the header.
    Short,
    /// The version is not 2.
    Version,
}

impl fmt::Display for RtpError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Short => "shorter than a header",
            Self::Version => "not of RTP version 2",
        })
    }
}

impl std::error::Error for RtpError {}

/// Reads the fixed header: all that forwarding needs. What follows may be encrypted (RFC 3711 §3.1), so that a relay must not
/// judge it.
///
/// # Errors
/// Any [`RtpError`].
pub fn header_untrusted(bytes: &[u8]) -> Result<Header, RtpError> {
    let Some(fixed) = bytes.first_chunk::<HEADER_BYTES>() else { return Err(RtpError::Short) };
    if fixed[0] >> 6 != 2 {
        return Err(RtpError::Version);
    }
    Ok(Header {
        payload_type: fixed[1] & 0x7f,
        sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
        timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
    })
}

/// Whether a packet with RTP's version on a shared port is RTCP: its second byte is then 192..=223, which would be
/// a payload type of 64..=95, and those must not be used on such a port (RFC 5761 §4).
#[must_use]
pub fn is_rtcp(bytes: &[u8]) -> bool {
    bytes.get(1).is_some_and(|kind| (192..=223).contains(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_read_whatever_follows_it() {
        let bytes = [0xb1, 0x80, 0x00, 0x07, 0, 0, 0, 160, 0xca, 0xfe, 0, 1, 0xff];
        let header = Header { payload_type: 0, sequence: 7, timestamp: 160, ssrc: 0xcafe_0001 };
        assert_eq!(header_untrusted(&bytes), Ok(header));
        for length in 0..HEADER_BYTES {
            assert_eq!(header_untrusted(&bytes[..length]), Err(RtpError::Short), "{length}");
        }
    }

    #[test]
    fn other_versions_are_not_rtp() {
        assert_eq!(header_untrusted(&[0x16; 40]), Err(RtpError::Version));
        assert_eq!(header_untrusted(&[0x00; 40]), Err(RtpError::Version));
    }

    #[test]
    fn sender_reports_are_told_from_audio() {
        assert!(is_rtcp(&[0x80, 200]));
        assert!(!is_rtcp(&[0x80, 0]));
        assert!(!is_rtcp(&[0x80, 0xe5]), "payload type 101 with the marker set");
        assert!(!is_rtcp(&[0x80]));
    }
}
