//! Which datapath forwards: what was asked for, and what this machine can do.

use std::str::FromStr;
use std::sync::Arc;
use std::{fmt, io};

use mediaha_time::Duration;
use serde_json::json;

use super::ephemeral::Ephemeral;
use super::kernel::{self, FastPath, Lanes};
use super::local::{LocalDatapath, Relay};
use super::{KernelDatapath, NoLanes, RelayConfig, SocketsDatapath, SteeredDatapath, Unsteerable};
use crate::estate::Share;
use crate::failure::Failure;
use crate::record::{Level, Record, Records};
use crate::sys::netlink::{PORTS_DECIDE_WAYS, ipsec_in_use, packet_filter_in_use, ports_decide_ways};

/// How long a process that is known to have died may take to let go of its flows.
const FAREWELL: Duration = Duration::from_millis(500);

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DatapathChoice {
    /// The fastest that works here and takes nothing from other programs.
    #[default]
    Auto,
    /// One socket a port.
    Sockets,
    /// One socket a worker, or no start.
    Steered,
    /// Flows that are plain in the kernel, or no start; the others as `Auto` has them.
    Kernel,
}

impl FromStr for DatapathChoice {
    type Err = UnknownDatapath;

    fn from_str(text: &str) -> Result<Self, UnknownDatapath> {
        match text {
            "auto" => Ok(Self::Auto),
            "sockets" => Ok(Self::Sockets),
            "steered" => Ok(Self::Steered),
            "kernel" => Ok(Self::Kernel),
            _ => Err(UnknownDatapath(text.to_owned())),
        }
    }
}

/// There is no datapath of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownDatapath(String);

impl fmt::Display for UnknownDatapath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{}\" is no datapath: write auto, sockets, steered or kernel", self.0)
    }
}

impl std::error::Error for UnknownDatapath {}

/// Why no datapath could be started.
#[derive(Debug)]
pub enum RelayError {
    /// Steering was asked for and cannot be had.
    Unsteerable(Unsteerable),
    /// Forwarding in the kernel was asked for and cannot be had.
    NoLanes(NoLanes),
    /// No file descriptor or thread is left.
    Resources(io::Error),
}

impl fmt::Display for RelayError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsteerable(error) => error.fmt(formatter),
            Self::NoLanes(error) => error.fmt(formatter),
            Self::Resources(error) => error.fmt(formatter),
        }
    }
}

/// Starts what is asked for, or the best that can be had; says why it is that one.
///
/// # Errors
/// It cannot be had.
pub fn start(
    choice: DatapathChoice,
    config: &RelayConfig,
    records: &Records,
    failure: &Failure,
) -> Result<(Relay, String), RelayError> {
    match choice {
        DatapathChoice::Kernel => {
            let (relay, why) = in_front(config, records, failure)?;
            Ok((relay, format!("asked for; {why}")))
        }
        DatapathChoice::Auto | DatapathChoice::Sockets | DatapathChoice::Steered => {
            in_user_space(choice, config, None, records, failure)
        }
    }
}

/// Starts one of the others; `lanes` are those of a kernel that is to be in front of it.
fn in_user_space(
    choice: DatapathChoice,
    config: &RelayConfig,
    lanes: Option<&Arc<Lanes>>,
    records: &Records,
    failure: &Failure,
) -> Result<(Relay, String), RelayError> {
    if lanes.is_none() {
        kernel::clear_the_way(&config.distinct_addresses(), &config.ports);
    }
    let steered = || SteeredDatapath::start(config, lanes, records.clone(), failure.clone());
    let sockets = |why: String| {
        let started = SocketsDatapath::start(config, lanes, records.clone(), failure.clone());
        started.map(|datapath| (Box::new(datapath) as Relay, why)).map_err(RelayError::Resources)
    };
    match choice {
        DatapathChoice::Sockets => sockets("asked for".to_owned()),
        DatapathChoice::Steered => {
            let datapath = steered().map_err(RelayError::Unsteerable)?;
            for why in [exposed(config), datapath.unguarded()].into_iter().flatten() {
                records.push(Record::now(Level::Warning, "ports_not_ours_alone", json!({ "why": why })));
            }
            Ok((Box::new(datapath), "asked for".to_owned()))
        }
        DatapathChoice::Auto | DatapathChoice::Kernel => {
            if let Some(why) = exposed(config) {
                return sockets(why);
            }
            if ports_decide_ways() {
                return sockets(PORTS_DECIDE_WAYS.to_owned());
            }
            match steered() {
                Ok(datapath) => match datapath.unguarded() {
                    None => Ok((Box::new(datapath), "it works here, and costs least".to_owned())),
                    Some(why) => sockets(why),
                },
                Err(error) => sockets(error.to_string()),
            }
        }
    }
}

/// Goes on with what a former life of the server has left, which is told by what it was asked for, and by whether it
/// `steered`.
///
/// # Errors
/// Some of it is missing, or no file descriptor or thread is left.
pub(crate) fn take_over(
    choice: DatapathChoice,
    steered: bool,
    config: &RelayConfig,
    share: Share,
    records: &Records,
    failure: &Failure,
) -> Result<Relay, RelayError> {
    if choice != DatapathChoice::Kernel {
        kernel::clear_the_way(&config.distinct_addresses(), &config.ports);
        return take_over_in_user_space(steered, config, None, share, records, failure);
    }
    let fast = FastPath::start(config, FAREWELL, records.clone()).map_err(RelayError::NoLanes)?;
    let lanes = Some(fast.lanes());
    let under = take_over_in_user_space(steered, config, lanes.as_ref(), share, records, failure)?;
    Ok(Box::new(KernelDatapath::take_over(fast, under)))
}

fn take_over_in_user_space(
    steered: bool,
    config: &RelayConfig,
    lanes: Option<&Arc<Lanes>>,
    share: Share,
    records: &Records,
    failure: &Failure,
) -> Result<Relay, RelayError> {
    if steered {
        let taken = SteeredDatapath::take_over(config, lanes, share, records.clone(), failure.clone());
        return Ok(Box::new(taken.map_err(RelayError::Unsteerable)?));
    }
    let started = SocketsDatapath::start(config, lanes, records.clone(), failure.clone());
    let mut datapath = started.map_err(RelayError::Resources)?;
    datapath.share(share);
    Ok(Box::new(datapath))
}

/// Starts the kernel in front of what is best of the others.
fn in_front(config: &RelayConfig, records: &Records, failure: &Failure) -> Result<(Relay, String), RelayError> {
    let fast = FastPath::start(config, Duration::ZERO, records.clone()).map_err(RelayError::NoLanes)?;
    let lanes = Some(fast.lanes());
    let (under, why) = in_user_space(DatapathChoice::Kernel, config, lanes.as_ref(), records, failure)?;
    let why = format!("what is not plain goes by {} ({why})", under.name());
    let datapath = KernelDatapath::start(fast, under).map_err(RelayError::NoLanes)?;
    if packet_filter_in_use() {
        let why = "what the kernel forwards does not pass the packet filter (nftables, iptables) of this host";
        records.push(Record::now(Level::Warning, "packet_filter_passed_by", json!({ "why": why })));
    }
    if ipsec_in_use() {
        let why = "there are policies of IPsec on this host: what leaves it is not forwarded by the kernel, which would not encrypt it";
        records.push(Record::now(Level::Warning, "nothing_for_the_kernel", json!({ "why": why })));
    }
    Ok((Box::new(datapath), why))
}

/// Why a program that asks for any port may be given one that is steered. It need not bind it first, so that it could not be
/// refused.
fn exposed(config: &RelayConfig) -> Option<String> {
    match Ephemeral::of_this_host() {
        Ok(ephemeral) => ephemeral.first_in(&config.ports).map(|port| {
            format!(
                "port {port} and others are given to programs that ask for any port; \
                 reserve the media ports: sysctl net.ipv4.ip_local_reserved_ports"
            )
        }),
        Err(error) => Some(format!("which ports are given to programs that ask for any cannot be read: {error}")),
    }
}
