//! Where in a packet is what, from its Ethernet header on.

pub(super) const ETHERNET: i16 = 14;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Ipv4,
    Ipv6,
}

impl Family {
    /// As the kernel numbers it.
    pub(super) const fn number(self) -> i32 {
        match self {
            Self::Ipv4 => libc::AF_INET,
            Self::Ipv6 => libc::AF_INET6,
        }
    }

    pub(super) const fn ip_bytes(self) -> i16 {
        match self {
            Self::Ipv4 => 20,
            Self::Ipv6 => 40,
        }
    }

    /// Where it says how many routers it may still pass.
    pub(super) const fn hops(self) -> i16 {
        match self {
            Self::Ipv4 => ETHERNET + 8,
            Self::Ipv6 => ETHERNET + 7,
        }
    }

    pub(super) const fn source(self) -> i16 {
        match self {
            Self::Ipv4 => ETHERNET + 12,
            Self::Ipv6 => ETHERNET + 8,
        }
    }

    pub(super) const fn words(self) -> i16 {
        match self {
            Self::Ipv4 => 1,
            Self::Ipv6 => 4,
        }
    }

    pub(super) const fn destination(self) -> i16 {
        self.source() + 4 * self.words()
    }

    pub(super) const fn udp(self) -> i16 {
        ETHERNET + self.ip_bytes()
    }

    pub(super) const fn payload(self) -> i16 {
        self.udp() + 8
    }

    /// Of the shortest packet that is looked at: one of RTCP.
    pub(super) const fn shortest(self) -> i16 {
        self.payload() + 8
    }

    /// With the fixed header of RTP.
    pub(super) const fn with_rtp(self) -> i16 {
        self.payload() + 12
    }
}
