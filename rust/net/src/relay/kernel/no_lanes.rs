//! Why the kernel cannot forward here.

use std::net::IpAddr;
use std::{fmt, io};

/// Why there is no fast path. In each case the datapath underneath can be had.
#[derive(Debug)]
pub enum NoLanes {
    /// The kernel does not grant what it takes.
    Refused {
        /// What was asked for.
        what: &'static str,
        /// Who may have it.
        needs: &'static str,
        /// The kernel's reason.
        error: io::Error,
    },
    /// Everything was granted, and a datagram still was not forwarded.
    Undelivered {
        /// The address on which it was tried.
        address: IpAddr,
        /// How far it came.
        what: &'static str,
    },
}

/// To load a program.
pub(super) const RIGHTS: &str = "CAP_BPF and CAP_NET_ADMIN (for a container: --cap-add BPF --cap-add NET_ADMIN)";
/// To have it outlive the process.
pub(super) const PLACE: &str = "a file system of type bpf \
    (mount -t bpf bpf /sys/fs/bpf; for a container: --volume /sys/fs/bpf:/sys/fs/bpf)";
/// To have it see packets.
pub(super) const AGE: &str = "Linux 6.6, and CAP_NET_ADMIN";

impl NoLanes {
    /// For use with `map_err`.
    pub(super) fn refused(what: &'static str, needs: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| Self::Refused { what, needs, error }
    }
}

impl fmt::Display for NoLanes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { what, needs, error } => write!(formatter, "{what} takes {needs}: {error}"),
            Self::Undelivered { address, what } => write!(formatter, "on {address} {what}"),
        }
    }
}

impl std::error::Error for NoLanes {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused { error, .. } => Some(error),
            Self::Undelivered { .. } => None,
        }
    }
}
