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

impl NoLanes {
    /// For use with `map_err`.
    pub(super) fn refused(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| Self::Refused { what, error }
    }
}

impl fmt::Display for NoLanes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { what, error } => write!(
                formatter,
                "{what} takes CAP_BPF, CAP_NET_ADMIN, a file system of type bpf, and Linux 6.6: {error}"
            ),
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
