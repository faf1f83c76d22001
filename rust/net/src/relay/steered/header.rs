//! The IP and UDP headers that a datagram is sent on with.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;
const UDP_BYTES: usize = 8;
const HOPS: u8 = 64;
const UDP: u8 = 17;
/// Up to this length an IPv4 packet forbids routers to cut it, and needs no identification (RFC 6864 §4.1).
const UNCUT_IPV4_BYTES: usize = 576;
/// Every path of IPv6 takes packets of this length (RFC 8200 §5), and only the sender may cut longer ones.
const UNCUT_IPV6_BYTES: usize = 1280;

/// Writes the headers for `payload` into the end of `headroom`, which has room for the longest; returns how many bytes they
/// take. `None` for addresses of different families, and for a packet that may have to be cut on its way.
#[inline]
pub(super) fn write(
    headroom: &mut [u8],
    payload: &[u8],
    from: SocketAddr,
    to: SocketAddr,
    traffic_class: u8,
) -> Option<usize> {
    let udp_length = u16::try_from(UDP_BYTES + payload.len()).ok()?;
    let (rest, udp) = headroom.split_last_chunk_mut::<UDP_BYTES>()?;
    udp[0..2].copy_from_slice(&from.port().to_be_bytes());
    udp[2..4].copy_from_slice(&to.port().to_be_bytes());
    udp[4..6].copy_from_slice(&udp_length.to_be_bytes());
    udp[6..8].copy_from_slice(&[0; 2]);
    let sum = Sum::default().and(udp).and(payload).and(&[0, UDP]).and(&udp_length.to_be_bytes());
    match (from, to) {
        (SocketAddr::V4(from), SocketAddr::V4(to)) => {
            let (_, ip) = rest.split_last_chunk_mut::<IPV4_BYTES>()?;
            write_ipv4(ip, payload.len(), *from.ip(), *to.ip(), traffic_class)?;
            udp[6..8].copy_from_slice(&sum.and(&ip[12..20]).checksum());
            Some(IPV4_BYTES + UDP_BYTES)
        }
        (SocketAddr::V6(from), SocketAddr::V6(to)) => {
            let (_, ip) = rest.split_last_chunk_mut::<IPV6_BYTES>()?;
            if IPV6_BYTES + usize::from(udp_length) > UNCUT_IPV6_BYTES {
                return None;
            }
            write_ipv6(ip, udp_length, *from.ip(), *to.ip(), traffic_class);
            udp[6..8].copy_from_slice(&sum.and(&ip[8..40]).checksum());
            Some(IPV6_BYTES + UDP_BYTES)
        }
        _ => None,
    }
}

/// The header of RFC 791 §3.1; the kernel fills in its checksum, and the identification of packets that may be cut.
fn write_ipv4(
    ip: &mut [u8; IPV4_BYTES],
    payload: usize,
    from: Ipv4Addr,
    to: Ipv4Addr,
    traffic_class: u8,
) -> Option<()> {
    const DONT_FRAGMENT: u8 = 0x40;
    let length = IPV4_BYTES + UDP_BYTES + payload;
    let uncut = if length <= UNCUT_IPV4_BYTES { DONT_FRAGMENT } else { 0 };
    ip[0..2].copy_from_slice(&[0x45, traffic_class]);
    ip[2..4].copy_from_slice(&u16::try_from(length).ok()?.to_be_bytes());
    ip[4..12].copy_from_slice(&[0, 0, uncut, 0, HOPS, UDP, 0, 0]);
    ip[12..16].copy_from_slice(&from.octets());
    ip[16..20].copy_from_slice(&to.octets());
    Some(())
}

/// The header of RFC 8200 §3.
fn write_ipv6(ip: &mut [u8; IPV6_BYTES], udp_length: u16, from: Ipv6Addr, to: Ipv6Addr, traffic_class: u8) {
    ip[0..4].copy_from_slice(&[0x60 | traffic_class >> 4, traffic_class << 4, 0, 0]);
    ip[4..6].copy_from_slice(&udp_length.to_be_bytes());
    ip[6..8].copy_from_slice(&[UDP, HOPS]);
    ip[8..24].copy_from_slice(&from.octets());
    ip[24..40].copy_from_slice(&to.octets());
}

/// The sum of 16-bit words of which a checksum is made (RFC 1071). Each part is taken as if it began at an even place, and filled
/// up with zeroes; words are taken in the machine's own order, which RFC 1071 §2 (B) allows.
#[derive(Clone, Copy, Default)]
struct Sum(u64);

impl Sum {
    #[inline]
    fn and(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<4>();
        // A datagram has at most 2^14 words of 32 bits, so that 64 cannot overflow.
        let sum: u64 = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        Self(self.0 + sum + u64::from(u32::from_ne_bytes(last)))
    }

    /// As it stands in the header. Zero would mean that there is none (RFC 768), and is sent as its other form.
    #[inline]
    fn checksum(self) -> [u8; 2] {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        let checksum = !u16::try_from(sum).unwrap_or(u16::MAX);
        if checksum == 0 { [0xff; 2] } else { checksum.to_ne_bytes() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(from: &str, to: &str, payload: &[u8]) -> Option<Vec<u8>> {
        let mut headroom = [0xee; 48];
        let length = write(&mut headroom, payload, from.parse().unwrap(), to.parse().unwrap(), 0xb8)?;
        Some(headroom[48 - length..].to_vec())
    }

    #[test]
    fn an_ipv4_packet_as_it_is_on_the_wire() {
        let headers = headers("192.0.2.1:30000", "198.51.100.7:4000", b"hi!").unwrap();
        let expected = [
            0x45, 0xb8, 0, 31, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100,
            7, // IP, its checksum left out
            0x75, 0x30, 0x0f, 0xa0, 0, 11, 0x05, 0x62, // UDP
        ];
        assert_eq!(headers, expected);
    }

    #[test]
    fn an_ipv6_packet_as_it_is_on_the_wire() {
        let headers = headers("[2001:db8::1]:30000", "[2001:db8::2]:4000", b"hi!").unwrap();
        assert_eq!(headers[..8], [0x6b, 0x80, 0, 0, 0, 11, 17, 64]);
        assert_eq!(headers[40..46], [0x75, 0x30, 0x0f, 0xa0, 0, 11]);
        // The sum over the pseudo-header, the UDP header with its checksum, and the data is all ones.
        let sum = Sum::default().and(&headers[8..48]).and(b"hi!").and(&[0, 17, 0, 11]);
        assert_eq!(sum.checksum(), [0xff; 2]);
    }

    #[test]
    fn what_may_have_to_be_cut_says_so() {
        let long = headers("192.0.2.1:1", "192.0.2.2:2", &[0; 549]).unwrap();
        assert_eq!(long[6], 0, "routers may cut it");
        assert_eq!(headers("192.0.2.1:1", "192.0.2.2:2", &[0; 548]).unwrap()[6], 0x40);
        assert!(headers("[::1]:1", "[::1]:2", &[0; 1232]).is_some());
        assert!(headers("[::1]:1", "[::1]:2", &[0; 1233]).is_none(), "the kernel must cut it");
        assert!(headers("192.0.2.1:1", "[::1]:2", b"").is_none());
    }

    #[test]
    fn the_checksum_of_rfc_1071s_example() {
        let sum = Sum::default().and(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.checksum(), [0x22, 0x0d], "the complement of ddf2");
        assert_eq!(Sum::default().and(&[0xff; 2]).checksum(), [0xff; 2], "zero is sent as its other form");
    }
}
