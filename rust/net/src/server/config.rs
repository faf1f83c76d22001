//! What a media server is told at its start, and why it may not start.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::{fmt, io};

use mediaha_media::Interface;
use mediaha_time::Duration;

use crate::relay::{DatapathChoice, NoLanes, Unsteerable};

/// The settings of a media server. [`MediaServerConfig::new`] gives the usual values.
#[derive(Clone, Debug)]
pub struct MediaServerConfig {
    /// What it is called in records.
    pub name: String,
    /// Where `ng` is listened for; port 0 takes a free one. An address of this host rather than the unspecified one:
    /// replies leave from it.
    pub listen_ng: SocketAddr,
    /// Where media is relayed, in order of preference.
    pub interfaces: Vec<Interface>,
    /// The ports for RTP and RTCP, on each interface.
    pub ports: RangeInclusive<u16>,
    /// How many threads relay.
    pub workers: usize,
    /// How many calls there may be at once.
    pub sessions_max: usize,
    /// After which silence of all parties an answered call is ended.
    pub silence_timeout: Duration,
    /// The same for a call on hold.
    pub held_timeout: Duration,
    /// After which time an offer that nobody answers is forgotten.
    pub orphan_timeout: Duration,
    /// For how long packets may be gathered before they are forwarded, when there are many. It saves half of the CPU time
    /// of some hundred calls, and adds half of this to the delay on average. Zero forwards each at once.
    pub coalesce: Duration,
    /// How busy the busiest worker may be, in thousandths of its time, before further calls are refused.
    pub busy_permille_max: u32,
    /// How routers are asked to treat what is sent: the DSCP (RFC 2474), 0 to 63.
    pub dscp: u8,
    /// What forwards the packets.
    pub datapath: DatapathChoice,
}

impl MediaServerConfig {
    /// The usual settings: one worker, 20,000 calls.
    #[must_use]
    pub fn new(listen_ng: SocketAddr, interfaces: Vec<Interface>, ports: RangeInclusive<u16>) -> Self {
        Self {
            name: "media".to_owned(),
            listen_ng,
            interfaces,
            ports,
            workers: 1,
            sessions_max: 20_000,
            silence_timeout: Duration::from_secs(60),
            held_timeout: Duration::from_secs(3_600),
            orphan_timeout: Duration::from_secs(180),
            coalesce: Duration::from_micros(500),
            busy_permille_max: 900,
            // Expedited forwarding, for the audio of telephony (RFC 4594 §4.1).
            dscp: 46,
            datapath: DatapathChoice::default(),
        }
    }

    /// # Errors
    /// What is wrong by itself, before anything is bound.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        if self.interfaces.is_empty() {
            return Err(StartError::NoInterface);
        }
        let first_even = u32::from(*self.ports.start()).next_multiple_of(2).max(2);
        if first_even + 1 > u32::from(*self.ports.end()) {
            return Err(StartError::NoPorts { ports: self.ports.clone() });
        }
        Ok(())
    }
}

/// Why a media server cannot start.
#[derive(Debug)]
pub enum StartError {
    /// There is nowhere to relay.
    NoInterface,
    /// The range of ports holds no even port with the odd one above it.
    NoPorts {
        /// The range.
        ports: RangeInclusive<u16>,
    },
    /// The control port cannot be bound.
    Control {
        /// Where it was to be.
        listen_ng: SocketAddr,
        /// The kernel's reason.
        error: io::Error,
    },
    /// An interface's address cannot be bound.
    Interface {
        /// Which interface.
        interface: Interface,
        /// The kernel's reason.
        error: io::Error,
    },
    /// Ports were to be steered, and cannot be.
    Datapath(Unsteerable),
    /// The kernel was to forward, and cannot.
    NoLanes(NoLanes),
    /// No file descriptor, thread or memory could be had.
    Resources(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoInterface => formatter.write_str("a media server needs at least one interface to relay on"),
            Self::NoPorts { ports } => write!(
                formatter,
                "the ports {}-{} hold no pair of an even port and the odd one above it",
                ports.start(),
                ports.end()
            ),
            Self::Control { listen_ng, error } if error.kind() == io::ErrorKind::AddrInUse => {
                write!(formatter, "the control port {listen_ng}/udp is in use by another program")
            }
            Self::Control { listen_ng, error } => write!(formatter, "cannot listen on {listen_ng}/udp: {error}"),
            Self::Interface { interface, error } if error.kind() == io::ErrorKind::AddrNotAvailable => {
                write!(formatter, "interface {interface}: {} is not an address of this host", interface.local)
            }
            Self::Interface { interface, error } => write!(formatter, "interface {interface}: {error}"),
            Self::Datapath(error) => write!(formatter, "the steered datapath cannot be had: {error}"),
            Self::NoLanes(error) => write!(formatter, "the kernel datapath cannot be had: {error}"),
            Self::Resources(error) => write!(formatter, "cannot start a media server: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoInterface | Self::NoPorts { .. } => None,
            Self::Datapath(error) => Some(error),
            Self::NoLanes(error) => Some(error),
            Self::Control { error, .. } | Self::Interface { error, .. } | Self::Resources(error) => Some(error),
        }
    }
}
