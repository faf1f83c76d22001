//! RTP packets (RFC 3550 §5.1), and how they are told from RTCP on a shared port (RFC 5761 §4).

use std::fmt;

/// The length in bytes of the part of the header that every packet has.
pub const HEADER_BYTES: usize = 12;

/// The fixed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Start of a talk spurt or end of a frame, as the payload's profile says.
    pub marker: bool,
    /// 0..=127.
    pub payload_type: u8,
    /// Counts packets, modulo 2¹⁶.
    pub sequence: u16,
    /// Counts samples, modulo 2³².
    pub timestamp: u32,
    /// Names the source.
    pub ssrc: u32,
}

/// A whole packet. What follows the header is not looked at by a relay, but by a player, a recorder or a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The fixed header.
    pub header: Header,
    /// The identifiers of mixed sources, four bytes each.
    pub csrcs: &'a [u8],
    /// The header extension (RFC 3550 §5.3.1): what the profile calls it, and its content.
    pub extension: Option<(u16, &'a [u8])>,
    /// The payload, padding removed.
    pub payload: &'a [u8],
}

/// Why bytes are no RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtpError {
    /// Fewer bytes than the header, or than it says that there are.
    Short,
    /// The version is not 2.
    Version,
    /// The padding is longer than what it could pad.
    Padding,
}

impl fmt::Display for RtpError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Short => "shorter than its header says",
            Self::Version => "not of RTP version 2",
            Self::Padding => "more padding than payload",
        })
    }
}

impl std::error::Error for RtpError {}

/// Reads the fixed header: all that forwarding needs.
///
/// # Errors
/// [`RtpError::Short`] or [`RtpError::Version`].
pub fn header_untrusted(bytes: &[u8]) -> Result<Header, RtpError> {
    let Some(fixed) = bytes.first_chunk::<HEADER_BYTES>() else { return Err(RtpError::Short) };
    if fixed[0] >> 6 != 2 {
        return Err(RtpError::Version);
    }
    Ok(Header {
        marker: fixed[1] & 0x80 != 0,
        payload_type: fixed[1] & 0x7f,
        sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
        timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
    })
}

/// Reads a whole packet.
///
/// # Errors
/// Any [`RtpError`].
pub fn packet_untrusted(bytes: &[u8]) -> Result<Packet<'_>, RtpError> {
    let header = header_untrusted(bytes)?;
    let (csrcs, rest) =
        bytes[HEADER_BYTES..].split_at_checked(usize::from(bytes[0] & 0x0f) * 4).ok_or(RtpError::Short)?;
    let (extension, rest) = if bytes[0] & 0x10 == 0 { (None, rest) } else { extension(rest)? };
    let payload = if bytes[0] & 0x20 == 0 { rest } else { without_padding(rest)? };
    Ok(Packet { header, csrcs, extension, payload })
}

/// Whether a packet with RTP's version on a shared port is RTCP: its second byte is then 192..=223, which would be
/// a payload type of 64..=95, and those must not be used on such a port (RFC 5761 §4).
#[must_use]
pub fn is_rtcp(bytes: &[u8]) -> bool {
    bytes.get(1).is_some_and(|kind| (192..=223).contains(kind))
}

type Extension<'a> = Option<(u16, &'a [u8])>;

fn extension(bytes: &[u8]) -> Result<(Extension<'_>, &[u8]), RtpError> {
    let (head, rest) = bytes.split_first_chunk::<4>().ok_or(RtpError::Short)?;
    let words = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let (content, rest) = rest.split_at_checked(words * 4).ok_or(RtpError::Short)?;
    Ok((Some((u16::from_be_bytes([head[0], head[1]]), content)), rest))
}

/// The last byte says how many bytes of padding there are, itself included.
fn without_padding(bytes: &[u8]) -> Result<&[u8], RtpError> {
    let count = usize::from(*bytes.last().ok_or(RtpError::Padding)?);
    if count == 0 {
        return Err(RtpError::Padding);
    }
    bytes.len().checked_sub(count).map(|kept| &bytes[..kept]).ok_or(RtpError::Padding)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Version 2 with one CSRC, an extension of one word, three bytes of payload and two of padding.
    const FULL: [u8; 29] = [
        0xb1, 0x80, 0x00, 0x07, 0, 0, 0, 160, 0xca, 0xfe, 0, 1, 0, 0, 0, 9, 0xbe, 0xde, 0, 1, 1, 2, 3, 4, b'a',
        b'b', b'c', 0, 2,
    ];

    #[test]
    fn every_part_of_a_packet_is_found() {
        let packet = packet_untrusted(&FULL).unwrap();
        assert_eq!(
            packet.header,
            Header { marker: true, payload_type: 0, sequence: 7, timestamp: 160, ssrc: 0xcafe_0001 }
        );
        assert_eq!(packet.csrcs, [0, 0, 0, 9]);
        assert_eq!(packet.extension, Some((0xbede, &[1, 2, 3, 4][..])));
        assert_eq!(packet.payload, b"abc");
    }

    #[test]
    fn a_packet_cut_anywhere_before_its_payload_is_short() {
        for length in 0..24 {
            assert_eq!(packet_untrusted(&FULL[..length]), Err(RtpError::Short), "{length}");
        }
    }

    #[test]
    fn other_versions_are_not_rtp() {
        assert_eq!(header_untrusted(&[0x16; 40]), Err(RtpError::Version));
        assert_eq!(header_untrusted(&[0x00; 40]), Err(RtpError::Version));
    }

    #[test]
    fn padding_cannot_eat_the_header() {
        let mut bytes = [0_u8; 14];
        bytes[0] = 0xa0;
        bytes[13] = 3;
        assert_eq!(packet_untrusted(&bytes), Err(RtpError::Padding));
        bytes[13] = 0;
        assert_eq!(packet_untrusted(&bytes), Err(RtpError::Padding));
        bytes[13] = 2;
        assert_eq!(packet_untrusted(&bytes).unwrap().payload, b"");
    }

    #[test]
    fn sender_reports_are_told_from_audio() {
        assert!(is_rtcp(&[0x80, 200]));
        assert!(!is_rtcp(&[0x80, 0]));
        assert!(!is_rtcp(&[0x80, 0xe5]), "payload type 101 with the marker set");
        assert!(!is_rtcp(&[0x80]));
    }
}
