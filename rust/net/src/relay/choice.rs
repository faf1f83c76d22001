//! Which datapath forwards: what was asked for, and what this machine can do.

use std::str::FromStr;
use std::sync::Arc;
use std::{fmt, io};

use mediaha_media::{Datapath, Interface, Load, PortPair, PortsExhausted, SideCounters, StreamId, StreamPlan};
use mediaha_time::{Duration, Time};
use serde_json::json;

use super::ephemeral::Ephemeral;
use super::kernel::{self, FastPath, Lanes};
use super::{KernelDatapath, NoLanes, RelayConfig, SocketsDatapath, SteeredDatapath, TallySnapshot, Unsteerable};
use crate::estate::Share;
use crate::failure::Failure;
use crate::record::{Level, Record, Records};
use crate::sys::netlink::packet_filter_in_use;

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

/// The datapath that was chosen.
#[derive(Debug)]
pub enum Relay {
    /// One socket a port.
    Sockets(SocketsDatapath),
    /// One socket a worker.
    Steered(SteeredDatapath),
    /// The kernel, in front of one of the others.
    Kernel(Box<KernelDatapath<Relay>>),
}

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

impl Relay {
    /// Starts what is asked for, or the best that can be had; says why it is that one.
    ///
    /// # Errors
    /// It cannot be had.
    pub fn start(
        choice: DatapathChoice,
        config: &RelayConfig,
        records: &Records,
        failure: &Failure,
    ) -> Result<(Self, String), RelayError> {
        match choice {
            DatapathChoice::Kernel => {
                let (relay, why) = in_front(config, records, failure)?;
                Ok((relay, format!("asked for; {why}")))
            }
            DatapathChoice::Auto | DatapathChoice::Sockets | DatapathChoice::Steered => {
                Self::in_user_space(choice, config, None, records, failure)
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
    ) -> Result<(Self, String), RelayError> {
        if lanes.is_none() {
            kernel::clear_the_way(&config.distinct_addresses(), &config.ports);
        }
        let steered = || SteeredDatapath::start(config, lanes, records.clone(), failure.clone());
        let sockets = |why: String| {
            let started = SocketsDatapath::start(config, lanes, records.clone(), failure.clone());
            started.map(|datapath| (Self::Sockets(datapath), why)).map_err(RelayError::Resources)
        };
        match choice {
            DatapathChoice::Sockets => sockets("asked for".to_owned()),
            DatapathChoice::Steered => {
                let datapath = steered().map_err(RelayError::Unsteerable)?;
                for why in [exposed(config), datapath.unguarded()].into_iter().flatten() {
                    records.push(Record::now(Level::Warning, "ports_not_ours_alone", json!({ "why": why })));
                }
                Ok((Self::Steered(datapath), "asked for".to_owned()))
            }
            DatapathChoice::Auto | DatapathChoice::Kernel => {
                if let Some(why) = exposed(config) {
                    return sockets(why);
                }
                match steered() {
                    Ok(datapath) => match datapath.unguarded() {
                        None => Ok((Self::Steered(datapath), "it works here, and costs least".to_owned())),
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
    ) -> Result<Self, RelayError> {
        if choice != DatapathChoice::Kernel {
            kernel::clear_the_way(&config.distinct_addresses(), &config.ports);
            return Self::take_over_in_user_space(steered, config, None, share, records, failure);
        }
        let fast = FastPath::start(config, FAREWELL, records.clone()).map_err(RelayError::NoLanes)?;
        let lanes = Some(fast.lanes());
        let under = Self::take_over_in_user_space(steered, config, lanes.as_ref(), share, records, failure)?;
        Ok(Self::Kernel(Box::new(KernelDatapath::take_over(fast, under))))
    }

    fn take_over_in_user_space(
        steered: bool,
        config: &RelayConfig,
        lanes: Option<&Arc<Lanes>>,
        share: Share,
        records: &Records,
        failure: &Failure,
    ) -> Result<Self, RelayError> {
        if steered {
            let taken = SteeredDatapath::take_over(config, lanes, share, records.clone(), failure.clone());
            return taken.map(Self::Steered).map_err(RelayError::Unsteerable);
        }
        let started = SocketsDatapath::start(config, lanes, records.clone(), failure.clone());
        let mut datapath = started.map_err(RelayError::Resources)?;
        datapath.share(share);
        Ok(Self::Sockets(datapath))
    }

    /// Has what it forwards in the kernel go on when it is dropped, for a successor to take over.
    pub(crate) fn leave_behind(&mut self) {
        if let Self::Kernel(datapath) = self {
            datapath.leave_behind();
        }
    }

    /// From now on, before the first stream, its parts outlive it.
    pub(crate) fn share(&mut self, share: Share) {
        match self {
            Self::Sockets(datapath) => datapath.share(share),
            Self::Steered(datapath) => datapath.share(share),
            Self::Kernel(datapath) => datapath.under_mut().share(share),
        }
    }

    /// Lets go of what a former life has left and no call has claimed.
    pub(crate) fn let_go_of_the_rest(&mut self) {
        match self {
            Self::Sockets(datapath) => datapath.let_go_of_the_rest(),
            Self::Steered(datapath) => datapath.let_go_of_the_rest(),
            Self::Kernel(datapath) => {
                datapath.let_go_of_the_rest();
                datapath.under_mut().let_go_of_the_rest();
            }
        }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sockets(_) => "sockets",
            Self::Steered(_) => "steered",
            Self::Kernel(_) => "kernel",
        }
    }

    /// How many flows the kernel forwards now, if it does at all.
    #[must_use]
    pub fn flows(&self) -> Option<usize> {
        match self {
            Self::Sockets(_) | Self::Steered(_) => None,
            Self::Kernel(datapath) => Some(datapath.flows()),
        }
    }

    /// Whether calls take file descriptors.
    #[must_use]
    pub fn takes_descriptors(&self) -> bool {
        match self {
            Self::Sockets(_) => true,
            Self::Steered(_) => false,
            Self::Kernel(datapath) => datapath.under().takes_descriptors(),
        }
    }

    /// What each worker has counted.
    #[must_use]
    pub fn tallies(&self) -> Vec<TallySnapshot> {
        match self {
            Self::Sockets(datapath) => datapath.tallies(),
            Self::Steered(datapath) => datapath.tallies(),
            Self::Kernel(datapath) => datapath.under().tallies(),
        }
    }

    /// Measures how busy the workers were since the last call, which [`Datapath::load`] tells until the next one, and sees
    /// whether they work at all. To be called every half a second or so.
    pub fn sample(&mut self, now: Time) {
        match self {
            Self::Sockets(datapath) => datapath.sample(now),
            Self::Steered(datapath) => datapath.sample(now),
            Self::Kernel(datapath) => {
                datapath.sample(now);
                datapath.under_mut().sample(now);
            }
        }
    }

    /// From now on workers are told of changes when [`Self::ring`] is called, once for many changes, or when a packet wakes them.
    pub fn gather(&mut self) {
        match self {
            Self::Sockets(datapath) => datapath.gather(),
            Self::Steered(datapath) => datapath.gather(),
            Self::Kernel(datapath) => datapath.under_mut().gather(),
        }
    }

    /// Whether a worker may sleep over a change.
    #[must_use]
    pub fn is_unrung(&self) -> bool {
        match self {
            Self::Sockets(datapath) => datapath.is_unrung(),
            Self::Steered(datapath) => datapath.is_unrung(),
            Self::Kernel(datapath) => datapath.under().is_unrung(),
        }
    }

    /// Has the workers carry out what they were told.
    pub fn ring(&mut self) {
        match self {
            Self::Sockets(datapath) => datapath.ring(),
            Self::Steered(datapath) => datapath.ring(),
            Self::Kernel(datapath) => datapath.under_mut().ring(),
        }
    }

    /// Does a little of what makes opening ports faster, for an idle moment; false when there is nothing left to do.
    pub fn look_ahead(&mut self) -> bool {
        match self {
            Self::Sockets(_) => false,
            Self::Steered(datapath) => datapath.look_ahead(),
            Self::Kernel(datapath) => datapath.under_mut().look_ahead(),
        }
    }

    /// Whether ports stay ours when they are closed, where that depends on us.
    pub fn keep_ports(&mut self, keeps: bool) {
        match self {
            Self::Sockets(_) => {}
            Self::Steered(datapath) => datapath.keep_ports(keeps),
            Self::Kernel(datapath) => datapath.under_mut().keep_ports(keeps),
        }
    }

    fn datapath(&self) -> &dyn Datapath {
        match self {
            Self::Sockets(datapath) => datapath,
            Self::Steered(datapath) => datapath,
            Self::Kernel(datapath) => &**datapath,
        }
    }

    fn datapath_mut(&mut self) -> &mut dyn Datapath {
        match self {
            Self::Sockets(datapath) => datapath,
            Self::Steered(datapath) => datapath,
            Self::Kernel(datapath) => &mut **datapath,
        }
    }
}

impl Datapath for Relay {
    fn open(&mut self, interface: &Interface) -> Result<PortPair, PortsExhausted> {
        self.datapath_mut().open(interface)
    }

    fn reopen(&mut self, ports: &[PortPair]) -> Result<(), PortsExhausted> {
        self.datapath_mut().reopen(ports)
    }

    fn close(&mut self, ports: PortPair) {
        self.datapath_mut().close(ports);
    }

    fn install(&mut self, stream: StreamId, plan: StreamPlan, now: Time) {
        self.datapath_mut().install(stream, plan, now);
    }

    fn remove(&mut self, stream: StreamId) {
        self.datapath_mut().remove(stream);
    }

    fn counters(&self, stream: StreamId) -> Option<[SideCounters; 2]> {
        self.datapath().counters(stream)
    }

    fn load(&self) -> Load {
        self.datapath().load()
    }
}

/// Starts the kernel in front of what is best of the others.
fn in_front(config: &RelayConfig, records: &Records, failure: &Failure) -> Result<(Relay, String), RelayError> {
    let fast = FastPath::start(config, Duration::ZERO, records.clone()).map_err(RelayError::NoLanes)?;
    let lanes = Some(fast.lanes());
    let (under, why) = Relay::in_user_space(DatapathChoice::Kernel, config, lanes.as_ref(), records, failure)?;
    let why = format!("what is not plain goes by {} ({why})", under.name());
    let datapath = KernelDatapath::start(fast, under).map_err(RelayError::NoLanes)?;
    if packet_filter_in_use() {
        let why = "what the kernel forwards does not pass the packet filter (nftables, iptables) of this host";
        records.push(Record::now(Level::Warning, "packet_filter_passed_by", json!({ "why": why })));
    }
    Ok((Relay::Kernel(Box::new(datapath)), why))
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
