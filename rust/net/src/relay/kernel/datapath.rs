//! Control's end of the lanes.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use mediaha_media::{
    Datapath, Interface, Load, PortPair, PortsExhausted, Side, SideCounters, StreamId, StreamPlan,
};
use mediaha_time::{Duration, Time};
use serde_json::json;

use super::lanes::{Lane, Lanes};
use super::no_lanes::{self, NoLanes};
use super::pins::Pins;
use super::program::program;
use super::rehearsal::rehearse;
use crate::estate::Share;
use crate::record::{Level, Record, Records};
use crate::relay::RelayConfig;
use crate::relay::local::{LocalDatapath, Relay, Workers};
use crate::sys::bpf::{Occasion, Program};
use crate::sys::monotonic;
use crate::sys::netlink::{self, Netlink, ipsec_in_use};

/// How long flows that a dead process has left are forwarded, if nobody claims them.
const UNCLAIMED_MAX: Duration = Duration::from_secs(30);
const LOOPBACK: u32 = 1;

/// The lanes and their program, made before the datapath that is to be underneath.
#[derive(Debug)]
pub(in crate::relay) struct FastPath {
    addresses: Vec<IpAddr>,
    pins: Pins,
    lanes: Arc<Lanes>,
    program: Program,
    notices: Netlink,
    /// Whether packets might have had to be encrypted when it was last looked.
    ipsec: bool,
    records: Records,
    /// Ports whose flows a dead process has left, and until when they may be claimed.
    unclaimed: HashSet<SocketAddr>,
    claim_until: Time,
}

impl FastPath {
    /// Puts the program before all interfaces that have one of our addresses. The process before this one has so long to end.
    ///
    /// # Errors
    /// The kernel does not grant it.
    pub(in crate::relay) fn start(
        config: &RelayConfig,
        patience: Duration,
        records: Records,
    ) -> Result<Self, NoLanes> {
        let addresses = config.distinct_addresses();
        let notices = Netlink::listening().map_err(NoLanes::refused("hearing of routes", no_lanes::RIGHTS))?;
        let mut pins = Pins::take(&config.name, &addresses, &config.ports, patience)
            .map_err(NoLanes::refused("a folder to keep programs in", no_lanes::PLACE))?;
        let (map, left) = pins
            .lanes(&addresses, &config.ports)
            .map_err(NoLanes::refused("a table that is shared with the kernel", no_lanes::RIGHTS))?;
        let lanes = Lanes::of(&map, &addresses, &config.ports)
            .map_err(NoLanes::refused("a table that is shared with the kernel", no_lanes::RIGHTS))?;
        let now = monotonic();
        lanes.renew(now);
        let unclaimed: HashSet<SocketAddr> = if left { lanes.open().collect() } else { HashSet::new() };
        let instructions = program(&addresses, &config.ports, config.traffic_class(), map.as_raw_fd());
        let program = Program::load(Occasion::Ingress, "mediaha_lanes", &instructions)
            .map_err(NoLanes::refused("loading a program that forwards", no_lanes::RIGHTS))?;
        if !unclaimed.is_empty() {
            let facts = json!({ "flows": unclaimed.len(), "claim_s": UNCLAIMED_MAX.as_secs() });
            records.push(Record::now(Level::Info, "flows_taken_over", facts));
        }
        let claim_until = now + UNCLAIMED_MAX;
        let lanes = Arc::new(lanes);
        let ipsec = ipsec_in_use();
        let mut fast = Self { addresses, pins, lanes, program, notices, ipsec, records, unclaimed, claim_until };
        fast.attach().map_err(|(_, error)| NoLanes::refused("a program at an interface", no_lanes::AGE)(error))?;
        Ok(fast)
    }

    /// What the workers underneath write into.
    pub(in crate::relay) fn lanes(&self) -> Arc<Lanes> {
        Arc::clone(&self.lanes)
    }

    fn attach(&mut self) -> Result<(), (u32, std::io::Error)> {
        let mut interfaces = netlink::interfaces_with(&self.addresses).map_err(|error| (0, error))?;
        if !interfaces.contains(&LOOPBACK) {
            interfaces.push(LOOPBACK);
        }
        // Where packets do not begin with an Ethernet header, they go up.
        let ask = Netlink::new().map_err(|error| (0, error))?;
        interfaces.retain(|&number| ask.interface(number).is_ok_and(|interface| interface.ethernet));
        self.pins.attach(&self.program, &interfaces)
    }

    fn sample(&mut self, now: Time) {
        self.lanes.renew(now);
        if self.notices.heard() {
            if let Err((interface, error)) = self.attach() {
                let facts = json!({ "interface": interface, "error": error.to_string() });
                self.records.push(Record::now(Level::Warning, "interface_without_lanes", facts));
            }
            self.lanes.reroute();
        }
        // The kernel tells of policies elsewhere than of routes.
        let ipsec = ipsec_in_use();
        if ipsec != std::mem::replace(&mut self.ipsec, ipsec) {
            self.lanes.reroute();
        }
        if now >= self.claim_until {
            self.sweep();
        }
    }

    /// Ends what a dead process has left and nobody has claimed.
    fn sweep(&mut self) {
        if self.unclaimed.is_empty() {
            return;
        }
        let facts = json!({ "flows": self.unclaimed.len() });
        self.records.push(Record::now(Level::Info, "flows_unclaimed", facts));
        for port in self.unclaimed.drain() {
            self.lanes.at(port).into_iter().for_each(Lane::idle);
        }
    }
}

/// Ends what is forwarded, unless it is left behind. The program goes with the pins.
impl Drop for FastPath {
    fn drop(&mut self) {
        if self.pins.go_with_us() {
            self.lanes.end();
        }
    }
}

/// Forwards in the kernel what is plain, and by `under` all else.
#[derive(Debug)]
pub struct KernelDatapath {
    under: Relay,
    fast: FastPath,
    /// As bounded as the ports.
    streams: HashMap<StreamId, Ways>,
}

/// Where the packets of a stream are counted.
#[derive(Debug)]
struct Ways {
    ports: [PortPair; 2],
    /// What was counted at ports that the stream no longer has.
    carried: [SideCounters; 2],
}

impl KernelDatapath {
    /// Sees a packet through on every address.
    ///
    /// # Errors
    /// It did not arrive.
    pub(in crate::relay) fn start(mut fast: FastPath, mut under: Relay) -> Result<Self, NoLanes> {
        for &address in &fast.addresses {
            rehearse(address, &mut *under, &fast.lanes)?;
        }
        fast.pins.succeed();
        Ok(Self { under, fast, streams: HashMap::new() })
    }

    /// Goes on with the flows that a former life of the server has left, once their ports are opened again.
    pub(in crate::relay) fn take_over(mut fast: FastPath, under: Relay) -> Self {
        fast.pins.succeed();
        Self { under, fast, streams: HashMap::new() }
    }

    fn counted(&self, ports: PortPair) -> SideCounters {
        let mut counted = SideCounters::default();
        for lane in [ports.rtp, ports.rtcp].into_iter().filter_map(|port| self.fast.lanes.at(port)) {
            counted.join(&lane.account().figures);
        }
        counted
    }
}

impl Datapath for KernelDatapath {
    fn open(&mut self, interface: &Interface) -> Result<PortPair, PortsExhausted> {
        // What a dead process has left may still be claimed.
        let mut passed_over = Vec::new();
        let opened = loop {
            match self.under.open(interface) {
                Ok(ports) if [ports.rtp, ports.rtcp].iter().any(|port| self.fast.unclaimed.contains(port)) => {
                    passed_over.push(ports);
                }
                opened => break opened,
            }
        };
        for ports in passed_over {
            self.under.close(ports);
        }
        if let Ok(ports) = opened {
            [ports.rtp, ports.rtcp].into_iter().filter_map(|port| self.fast.lanes.at(port)).for_each(Lane::clear);
        }
        opened
    }

    fn reopen(&mut self, ports: &[PortPair]) -> Result<(), PortsExhausted> {
        for pair in ports {
            for port in [pair.rtp, pair.rtcp] {
                self.fast.unclaimed.remove(&port);
            }
        }
        self.under.reopen(ports)
    }

    fn close(&mut self, ports: PortPair) {
        self.under.close(ports);
    }

    fn install(&mut self, stream: StreamId, plan: StreamPlan, now: Time) {
        let ports = plan.sides.map(|side| side.local);
        let before = self.streams.insert(stream, Ways { ports, carried: Default::default() });
        let mut carried = before.as_ref().map(|before| before.carried).unwrap_or_default();
        for (side, before) in Side::BOTH.into_iter().zip(before.iter().flat_map(|before| before.ports)) {
            let index = side.index();
            if before != ports[index] {
                carried[index].join(&self.counted(before));
            }
        }
        self.streams.insert(stream, Ways { ports, carried });
        self.under.install(stream, plan, now);
    }

    fn remove(&mut self, stream: StreamId) {
        self.streams.remove(&stream);
        self.under.remove(stream);
    }

    fn counters(&self, stream: StreamId) -> Option<[SideCounters; 2]> {
        let mut counters = self.under.counters(stream)?;
        if let Some(ways) = self.streams.get(&stream) {
            for (index, counters) in counters.iter_mut().enumerate() {
                counters.join(&ways.carried[index]);
                counters.join(&self.counted(ways.ports[index]));
            }
        }
        Some(counters)
    }

    fn load(&self) -> Load {
        self.under.load()
    }
}

impl LocalDatapath for KernelDatapath {
    fn name(&self) -> &'static str {
        "kernel"
    }

    fn takes_descriptors(&self) -> bool {
        self.under.takes_descriptors()
    }

    fn flows(&self) -> Option<usize> {
        Some(self.fast.lanes.open().count())
    }

    fn workers(&self) -> &dyn Workers {
        self.under.workers()
    }

    fn workers_mut(&mut self) -> &mut dyn Workers {
        self.under.workers_mut()
    }

    /// Says besides that the process lives, and looks after routes and interfaces.
    fn sample(&mut self, now: Time) {
        self.fast.sample(now);
        self.under.sample(now);
    }

    fn look_ahead(&mut self) -> bool {
        self.under.look_ahead()
    }

    fn keep_ports(&mut self, keeps: bool) {
        self.under.keep_ports(keeps);
    }

    fn share(&mut self, share: Share) {
        self.under.share(share);
    }

    fn let_go_of_the_rest(&mut self) {
        self.fast.sweep();
        self.under.let_go_of_the_rest();
    }

    /// The flows go on until the lease is over.
    fn leave_behind(&mut self) {
        self.fast.pins.leave();
    }
}
