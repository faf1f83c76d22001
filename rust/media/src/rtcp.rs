//! RTCP packets (RFC 3550 §6): the common header of each packet in a compound.

use std::fmt;

/// The length in bytes of the shortest useful packet: a common header and an SSRC.
pub const HEADER_BYTES: usize = 8;

/// One packet of a compound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// 200 sender report, 201 receiver report, 202 source description, 203 goodbye, 204 application, 205 and
    /// 206 feedback (RFC 4585), 207 extended report (RFC 3611).
    pub packet_type: u8,
    /// How many reports, chunks or sources, or the feedback's format.
    pub count: u8,
    /// What follows the common header, padding included.
    pub body: &'a [u8],
}

/// Why bytes are not RTCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpError {
    /// Fewer bytes than a packet needs, or than its length field says.
    Short,
    /// The version is not 2.
    Version,
    /// The packet type is not one of RTCP's (192..=223, RFC 5761 §4).
    PacketType,
}

impl fmt::Display for RtcpError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Short => "shorter than its length field says",
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
/// Any [`RtcpError`]; `Short` only for less than [`HEADER_BYTES`].
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

/// The packets of a compound, in order; an error ends it.
pub fn packets_untrusted(bytes: &[u8]) -> impl Iterator<Item = Result<Packet<'_>, RtcpError>> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let bytes = rest.take().filter(|bytes| !bytes.is_empty())?;
        match first_packet(bytes) {
            Ok((packet, after)) => {
                rest = Some(after);
                Some(Ok(packet))
            }
            Err(error) => Some(Err(error)),
        }
    })
}

fn first_packet(bytes: &[u8]) -> Result<(Packet<'_>, &[u8]), RtcpError> {
    let (head, rest) = bytes.split_first_chunk::<4>().ok_or(RtcpError::Short)?;
    if head[0] >> 6 != 2 {
        return Err(RtcpError::Version);
    }
    if !(192..=223).contains(&head[1]) {
        return Err(RtcpError::PacketType);
    }
    let words = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let (body, after) = rest.split_at_checked(words * 4).ok_or(RtcpError::Short)?;
    Ok((Packet { packet_type: head[1], count: head[0] & 0x1f, body }, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compound_is_taken_apart() {
        let bytes = [0x81, 201, 0, 1, 0, 0, 0, 5, 0x81, 203, 0, 1, 0, 0, 0, 5];
        let kinds: Vec<_> = packets_untrusted(&bytes).map(|packet| packet.unwrap().packet_type).collect();
        assert_eq!(kinds, [201, 203]);
        assert_eq!(header_untrusted(&bytes), Ok(201));
    }

    #[test]
    fn a_length_beyond_the_end_ends_the_compound_with_an_error() {
        let bytes = [0x80, 201, 0, 1, 0, 0, 0, 5, 0x80, 200, 0, 6, 0, 0, 0, 5];
        let packets: Vec<_> = packets_untrusted(&bytes).collect();
        assert_eq!(packets.len(), 2);
        assert_eq!(packets[1], Err(RtcpError::Short));
    }

    #[test]
    fn audio_on_the_rtcp_port_is_not_rtcp() {
        assert_eq!(header_untrusted(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), Err(RtcpError::PacketType));
        assert_eq!(header_untrusted(&[0x00; 8]), Err(RtcpError::Version));
        assert_eq!(header_untrusted(&[0x80, 200, 0, 1]), Err(RtcpError::Short));
    }
}
