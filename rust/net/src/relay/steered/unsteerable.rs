//! Why ports cannot be steered here.

use std::net::IpAddr;
use std::{fmt, io};

use super::switch::Refusal;

/// Why ports cannot be steered. In each case sockets still can be bound.
#[derive(Debug)]
pub enum Unsteerable {
    /// The kernel does not grant what it takes.
    Refused {
        /// What was asked for.
        what: &'static str,
        /// Who may have it.
        needs: &'static str,
        /// The kernel's reason.
        error: io::Error,
    },
    /// Everything was granted, and a datagram still did not come through.
    Undelivered {
        /// The address on which it was tried.
        address: IpAddr,
        /// How far it came.
        what: &'static str,
    },
    /// Of what a former life has left, something is missing.
    Incomplete,
    /// No file descriptor, thread or memory could be had.
    Resources(io::Error),
}

impl From<Refusal> for Unsteerable {
    fn from(refusal: Refusal) -> Self {
        let bpf = "CAP_BPF and CAP_NET_ADMIN, and Linux 5.9";
        let (what, error) = match refusal {
            Refusal::Map(error) => ("a table that is shared with the kernel", error),
            Refusal::Socket(error) => ("putting a socket into such a table", error),
            Refusal::Program(error) => ("loading a program that chooses sockets", error),
            Refusal::Link(error) => ("attaching a program to the network", error),
        };
        Self::Refused { what, needs: bpf, error }
    }
}

impl Unsteerable {
    /// What the kernel said to a socket that sends with headers of our own.
    pub(super) fn raw(error: io::Error) -> Self {
        Self::Refused { what: "sending from any port", needs: "CAP_NET_RAW", error }
    }
}

impl fmt::Display for Unsteerable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { what, needs, error } => write!(formatter, "{what} takes {needs}: {error}"),
            Self::Undelivered { address, what } => write!(formatter, "on {address} {what}"),
            Self::Incomplete => formatter.write_str("a program or a socket was not kept"),
            Self::Resources(error) => write!(formatter, "{error}"),
        }
    }
}

impl std::error::Error for Unsteerable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused { error, .. } | Self::Resources(error) => Some(error),
            Self::Undelivered { .. } | Self::Incomplete => None,
        }
    }
}
