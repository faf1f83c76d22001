//! Which addresses are ports of this server itself.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use crate::interface::Interface;

/// The ports that media may be relayed on, on each address that this server has or is seen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ours {
    /// Each with the one that it is seen at.
    addresses: Vec<[IpAddr; 2]>,
    ports: RangeInclusive<u16>,
}

impl Default for Ours {
    /// None.
    fn default() -> Self {
        Self { addresses: Vec::new(), ports: 0..=0 }
    }
}

impl Ours {
    /// These ports on these interfaces.
    #[must_use]
    pub fn of(interfaces: &[Interface], ports: RangeInclusive<u16>) -> Self {
        Self { addresses: interfaces.iter().map(|it| [it.local, it.advertised]).collect(), ports }
    }

    /// The same for addresses that no NAT is in front of.
    #[must_use]
    pub fn at(addresses: &[IpAddr], ports: RangeInclusive<u16>) -> Self {
        Self { addresses: addresses.iter().map(|&address| [address; 2]).collect(), ports }
    }

    /// Whether packets that come from `source` may have been sent by this server.
    #[must_use]
    pub fn contains(&self, source: SocketAddr) -> bool {
        self.here(source).is_some()
    }

    /// The port of ours that is reached at `seen`, by its local address; `None` for somebody else's.
    #[must_use]
    pub fn here(&self, seen: SocketAddr) -> Option<SocketAddr> {
        if !self.ports.contains(&seen.port()) {
            return None;
        }
        let [local, _] = self.addresses.iter().find(|addresses| addresses.contains(&seen.ip()))?;
        Some(SocketAddr::new(*local, seen.port()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_ours_is_known_by_either_of_its_addresses() {
        let interfaces = ["10.0.0.1!203.0.113.1", "2001:db8::1"].map(|text| text.parse().unwrap());
        let ours = Ours::of(&interfaces, 30_000..=30_999);
        let here = |text: &str| ours.here(text.parse().unwrap()).map(|it| it.to_string());
        assert_eq!(here("203.0.113.1:30000").as_deref(), Some("10.0.0.1:30000"));
        assert_eq!(here("10.0.0.1:30999").as_deref(), Some("10.0.0.1:30999"));
        assert_eq!(here("[2001:db8::1]:30000").as_deref(), Some("[2001:db8::1]:30000"));
        for other in ["10.0.0.1:29999", "10.0.0.1:31000", "10.0.0.2:30000", "[2001:db8::2]:30000"] {
            assert_eq!(here(other), None, "{other}");
        }
        assert!(!Ours::default().contains("10.0.0.1:0".parse().unwrap()));
    }
}
