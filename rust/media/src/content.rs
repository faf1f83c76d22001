//! What a stream carries, by the transport protocol of its `m=` line.

/// What the packets of a stream are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// RTP and RTCP, in the clear or keyed by the signalling.
    #[default]
    Rtp,
    /// The same, keyed with DTLS (RFC 5764), whose handshake passes through the same ports.
    DtlsRtp,
    /// Datagrams that the relay does not look into: fax (UDPTL, RFC 7345), floor control (RFC 8856) and their like.
    Datagrams,
}

/// What is sent over UDP without being RTP; written in both cases of letters out there.
const DATAGRAMS: [&[u8]; 7] =
    [b"udptl", b"UDP/TLS/UDPTL", b"udp", b"UDP/BFCP", b"UDP/TLS/BFCP", b"UDP/DTLS/SCTP", b"DTLS/SCTP"];

impl Content {
    /// What is carried over a transport protocol such as `RTP/AVP`; `None` for what a relay of UDP cannot carry.
    #[must_use]
    pub fn over_untrusted(protocol: &[u8]) -> Option<Self> {
        if protocol.starts_with(b"RTP/") {
            Some(Self::Rtp)
        } else if protocol.starts_with(b"UDP/TLS/RTP/") {
            Some(Self::DtlsRtp)
        } else {
            DATAGRAMS.iter().any(|it| protocol.eq_ignore_ascii_case(it)).then_some(Self::Datagrams)
        }
    }

    /// Whether there are reports beside the packets, and payload types in them.
    #[must_use]
    pub const fn is_rtp(self) -> bool {
        !matches!(self, Self::Datagrams)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_over_udp_can_be_carried() {
        let carried = |protocol: &str| Content::over_untrusted(protocol.as_bytes());
        assert_eq!(carried("RTP/SAVPF"), Some(Content::Rtp));
        assert_eq!(carried("UDP/TLS/RTP/SAVP"), Some(Content::DtlsRtp));
        assert_eq!(carried("UDPTL"), Some(Content::Datagrams));
        assert_eq!(carried("udptl"), Some(Content::Datagrams));
        for other in ["TCP/MSRP", "TCP/BFCP", "TCP", "", "UDPTLS", "rtp/avp"] {
            assert_eq!(carried(other), None, "{other}");
        }
    }
}
