//! Socket addresses as the kernel writes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ptr;

use super::socklen;

/// A socket address of either family in the kernel's layout.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) union RawAddress {
    family: libc::sa_family_t,
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl RawAddress {
    /// Room for the kernel to write one.
    pub(super) const fn empty() -> Self {
        let v6 = libc::sockaddr_in6 {
            sin6_family: 0,
            sin6_port: 0,
            sin6_flowinfo: 0,
            sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
            sin6_scope_id: 0,
        };
        Self { v6 }
    }

    /// The address at the beginning of `bytes`, as the kernel wrote it there.
    pub(super) fn read(bytes: &[u8]) -> Option<SocketAddr> {
        let mut raw = Self::empty();
        let length = bytes.len().min(size_of::<Self>());
        // SAFETY: `length` is within both, and every bit pattern of the union is valid.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut raw).cast(), length) };
        raw.address()
    }

    /// The room an address of either family needs.
    pub(super) const fn capacity() -> libc::socklen_t {
        socklen::<Self>()
    }

    /// `address` in the kernel's layout, and the length of it.
    pub(super) fn new(address: SocketAddr) -> (Self, libc::socklen_t) {
        match address {
            SocketAddr::V4(address) => (Self::v4(address), socklen::<libc::sockaddr_in>()),
            SocketAddr::V6(address) => (Self::v6(address), socklen::<libc::sockaddr_in6>()),
        }
    }

    /// The address that the kernel wrote; `None` for another family or none at all.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        // SAFETY: each member starts with the family, and every bit pattern is a valid integer.
        match libc::c_int::from(unsafe { self.family }) {
            libc::AF_INET => {
                // SAFETY: plain integers, all initialised by `empty` or `new`.
                let v4 = unsafe { self.v4 };
                let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
                Some(SocketAddr::new(IpAddr::V4(ip), u16::from_be(v4.sin_port)))
            }
            libc::AF_INET6 => {
                // SAFETY: as above.
                let v6 = unsafe { self.v6 };
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                Some(SocketAddr::V6(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id)))
            }
            _ => None,
        }
    }

    #[allow(clippy::cast_possible_truncation)] // Address families are small numbers.
    fn v4(address: SocketAddrV4) -> Self {
        let v4 = libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: address.port().to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
            sin_zero: [0; 8],
        };
        // The whole union is initialised first, so that reading either member stays defined.
        let mut raw = Self::empty();
        raw.v4 = v4;
        raw
    }

    #[allow(clippy::cast_possible_truncation)]
    fn v6(address: SocketAddrV6) -> Self {
        let v6 = libc::sockaddr_in6 {
            sin6_family: libc::AF_INET6 as libc::sa_family_t,
            sin6_port: address.port().to_be(),
            sin6_flowinfo: 0,
            sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
            sin6_scope_id: address.scope_id(),
        };
        Self { v6 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_come_back_as_they_went() {
        for text in ["127.0.0.1:30000", "[2001:db8::1]:1", "[fe80::1%3]:65535"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(RawAddress::new(address).0.address(), Some(address));
        }
        assert_eq!(RawAddress::empty().address(), None);
    }
}
