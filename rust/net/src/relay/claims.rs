//! Which media servers use which ports of this host.
//!
//! A bound port is known to the kernel, a steered one only to who steers it: another server could bind it and would never hear
//! anything there. So every media server says which ports it uses, by the name of a socket in the abstract namespace of Unix
//! sockets, that everybody can read in `/proc/net/unix` and that is gone with its process.
//!
//! ```text
//! @mediaha-ports/steered/127.0.0.1/30000-39999/00f3a1d2c4b59687
//! ```

use std::io;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

const PREFIX: &str = "mediaha-ports";

/// How ports are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Each open one is bound.
    Bound,
    /// Each open one is steered.
    Steered,
}

impl Manner {
    const fn name(self) -> &'static str {
        match self {
            Self::Bound => "bound",
            Self::Steered => "steered",
        }
    }
}

/// What one media server says of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) manner: Manner,
    pub(super) address: IpAddr,
    pub(super) ports: RangeInclusive<u16>,
    token: u64,
}

/// The claims of this server, which end when it is dropped.
#[derive(Debug)]
pub(super) struct Claims {
    own: Vec<Claim>,
    _sockets: Vec<UnixDatagram>,
}

impl Claims {
    /// Says that `ports` are used on these addresses; `token` is random.
    ///
    /// # Errors
    /// The kernel's, when the process has no file descriptor left.
    pub(super) fn stake(
        manner: Manner,
        addresses: &[IpAddr],
        ports: &RangeInclusive<u16>,
        token: u64,
    ) -> io::Result<Self> {
        let claim = |&address| Claim { manner, address, ports: ports.clone(), token };
        let own: Vec<Claim> = addresses.iter().map(claim).collect();
        let bind = |claim: &Claim| UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(claim.name())?);
        let sockets = own.iter().map(bind).collect::<io::Result<_>>()?;
        Ok(Self { own, _sockets: sockets })
    }

    /// What other servers say of ports that these claims are about. Of two that look at the same time, each sees the other.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub(super) fn rivals(&self) -> io::Result<Vec<Claim>> {
        let sockets = std::fs::read_to_string("/proc/net/unix")?;
        let named = sockets.lines().filter_map(|line| Some(line.split_once('@')?.1));
        let rivals =
            named.filter_map(claim_untrusted).filter(|claim| self.own.iter().any(|own| own.rivals(claim)));
        Ok(rivals.collect())
    }
}

impl Claim {
    fn name(&self) -> String {
        let (first, last) = (self.ports.start(), self.ports.end());
        format!("{PREFIX}/{}/{}/{first}-{last}/{:016x}", self.manner.name(), self.address, self.token)
    }

    fn rivals(&self, other: &Self) -> bool {
        let overlap = self.ports.start() <= other.ports.end() && other.ports.start() <= self.ports.end();
        self.token != other.token && self.address == other.address && overlap
    }
}

/// Reads a name that anybody may have chosen.
fn claim_untrusted(name: &str) -> Option<Claim> {
    let mut fields = name.trim_end().strip_prefix(PREFIX)?.strip_prefix('/')?.split('/');
    let manner = match fields.next()? {
        "bound" => Manner::Bound,
        "steered" => Manner::Steered,
        _ => return None,
    };
    let address = fields.next()?.parse().ok()?;
    let (first, last) = fields.next()?.split_once('-')?;
    let ports = first.parse().ok()?..=last.parse().ok()?;
    Some(Claim { manner, address, ports, token: u64::from_str_radix(fields.next()?, 16).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: [IpAddr; 1] = [IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1))];

    #[test]
    fn two_servers_see_each_other_where_their_ports_meet_and_as_long_as_they_live() {
        let steered = Claims::stake(Manner::Steered, &HERE, &(30_000..=30_999), 1).unwrap();
        assert!(steered.rivals().unwrap().is_empty());
        let bound = Claims::stake(Manner::Bound, &HERE, &(30_999..=31_999), 2).unwrap();
        let beside = Claims::stake(Manner::Bound, &HERE, &(31_000..=31_999), 3).unwrap();
        let rivals = steered.rivals().unwrap();
        assert_eq!(rivals.len(), 1);
        assert_eq!((rivals[0].manner, &rivals[0].ports), (Manner::Bound, &(30_999..=31_999)));
        assert_eq!(bound.rivals().unwrap().len(), 2);
        drop(bound);
        assert!(steered.rivals().unwrap().is_empty());
        drop(beside);
    }

    #[test]
    fn a_name_is_read_as_it_was_written_and_others_are_not() {
        let claim = Claim {
            manner: Manner::Steered,
            address: "2001:db8::1".parse().unwrap(),
            ports: 30_000..=39_999,
            token: 0xf3,
        };
        assert_eq!(claim_untrusted(&claim.name()), Some(claim));
        for name in ["", "mediaha-ports", "mediaha-ports/steered/x/1-2/3", "mediaha-ports/steered/::1/1-99999/3"] {
            assert_eq!(claim_untrusted(name), None);
        }
    }
}
