//! Which address family an SDP leads to. Who has IPv6 alone can do nothing with an IPv4 address, and the other way round.

use std::net::IpAddr;

use mediaha_ng::AddressFamily;

/// The family of the first address that media could be sent to; `None` when there is none, as on hold by `0.0.0.0`.
pub(crate) fn of(sdp: &[u8]) -> Option<AddressFamily> {
    all(sdp).next()
}

/// Whether media can be sent there from an address of `family`; an SDP without an address says nothing against it.
pub(crate) fn fits(sdp: &[u8], family: AddressFamily) -> bool {
    of(sdp).is_none() || all(sdp).any(|one| one == family)
}

/// A set of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Families {
    v4: bool,
    v6: bool,
}

impl Families {
    pub(crate) fn insert(&mut self, family: AddressFamily) {
        match family {
            AddressFamily::V4 => self.v4 = true,
            AddressFamily::V6 => self.v6 = true,
        }
    }

    pub(crate) fn contains(self, family: AddressFamily) -> bool {
        match family {
            AddressFamily::V4 => self.v4,
            AddressFamily::V6 => self.v6,
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        !self.v4 && !self.v6
    }
}

fn all(sdp: &[u8]) -> impl Iterator<Item = AddressFamily> {
    let lines = sdp.split(|&byte| byte == b'\n').filter_map(|line| line.strip_prefix(b"c="));
    lines.filter_map(|line| {
        let address: IpAddr = std::str::from_utf8(line).ok()?.split_whitespace().nth(2)?.parse().ok()?;
        (!address.is_unspecified()).then(|| AddressFamily::of(address))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_on_hold_and_a_name_say_nothing() {
        for sdp in [
            "v=0\r\n",
            "v=0\r\nc=IN IP4 0.0.0.0\r\n",
            "c=IN IP6 ::\r\n",
            "c=IN IP4 phone.example.test\r\n",
            "c=\r\n",
        ] {
            assert_eq!(of(sdp.as_bytes()), None, "{sdp}");
            assert!(fits(sdp.as_bytes(), AddressFamily::V6), "{sdp}");
        }
    }

    #[test]
    fn one_stream_of_the_family_will_do() {
        let sdp = b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 1 RTP/AVP 0\r\nm=video 3 RTP/AVP 99\r\nc=IN IP6 2001:db8::1\r\n";
        assert_eq!(of(sdp), Some(AddressFamily::V4));
        assert!(fits(sdp, AddressFamily::V6) && fits(sdp, AddressFamily::V4));
        assert!(!fits(b"c=IN IP4 192.0.2.1\n", AddressFamily::V6));
    }
}
