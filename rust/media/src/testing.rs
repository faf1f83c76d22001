//! A datapath that is a table: it forwards nothing, and says what would be forwarded. For tests and simulations.
//!
//! It is strict where a real one would shrug: a port closed twice, a plan with a port that is not open, or a
//! stream removed twice is a bug in control, and panics.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use mediaha_time::Time;

use crate::counters::{SideCounters, StreamCounters};
use crate::datapath::{Datapath, Load, PortsExhausted};
use crate::interface::Interface;
use crate::ours::Ours;
use crate::plan::{Component, PortPair, Side, StreamId, StreamPlan};
use crate::stream::{Stream, Verdict};

/// Streams and ports in memory.
#[derive(Debug)]
pub struct TableDatapath {
    ports: RangeInclusive<u16>,
    busy_permille: u32,
    is_behind: bool,
    /// Open pairs by their RTP address.
    open: BTreeMap<SocketAddr, PortPair>,
    streams: BTreeMap<StreamId, (Stream, StreamCounters)>,
    arrivals: BTreeMap<SocketAddr, (StreamId, Side, Component)>,
    /// The counters of a former life's streams.
    left: BTreeMap<StreamId, StreamCounters>,
    ours: Arc<Ours>,
}

impl TableDatapath {
    /// One that has these ports on every interface.
    #[must_use]
    pub fn new(ports: RangeInclusive<u16>) -> Self {
        Self {
            ports,
            busy_permille: 0,
            is_behind: false,
            open: BTreeMap::new(),
            streams: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            left: BTreeMap::new(),
            ours: Arc::default(),
        }
    }

    /// The same of a server whose ports these are.
    #[must_use]
    pub fn beside(self, ours: &Ours) -> Self {
        Self { ours: Arc::new(ours.clone()), ..self }
    }

    /// What its successor finds when this one is killed: the same ports, and the memory of the counters.
    #[must_use]
    pub fn killed(self) -> Self {
        let left = self.streams.into_iter().map(|(id, (_, counters))| (id, counters)).collect();
        Self { left, ours: self.ours, ..Self::new(self.ports) }
    }

    /// A packet arrives at a local address; `None` when no stream listens there.
    pub fn packet(&mut self, local: SocketAddr, bytes: &[u8], source: SocketAddr, now: Time) -> Option<Verdict> {
        let (stream, side, component) = *self.arrivals.get(&local)?;
        let (stream, _) = self.streams.get_mut(&stream)?;
        Some(stream.packet(side, component, bytes, source, now))
    }

    /// Pretends that the busiest worker is this busy.
    pub fn pretend_busy(&mut self, permille: u32) {
        self.busy_permille = permille;
    }

    /// Pretends that packets were dropped lately because a worker was behind.
    pub fn pretend_behind(&mut self) {
        self.is_behind = true;
    }

    /// Whether every port is closed and every stream removed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.streams.is_empty() && self.arrivals.is_empty()
    }

    /// The open pairs of ports.
    pub fn open_ports(&self) -> impl Iterator<Item = PortPair> + '_ {
        self.open.values().copied()
    }

    /// What is installed.
    pub fn plans(&self) -> impl Iterator<Item = (StreamId, &StreamPlan)> {
        self.streams.iter().map(|(id, (stream, _))| (*id, stream.plan()))
    }

    fn forget_arrivals(&mut self, stream: StreamId) {
        self.arrivals.retain(|_, (listening, ..)| *listening != stream);
    }
}

impl Datapath for TableDatapath {
    fn open(&mut self, interface: &Interface) -> Result<PortPair, PortsExhausted> {
        let pair = |port: u16| PortPair {
            rtp: SocketAddr::new(interface.local, port),
            rtcp: SocketAddr::new(interface.local, port + 1),
        };
        let (first, last) = (self.ports.start().next_multiple_of(2), *self.ports.end());
        let free = (first..last).step_by(2).map(pair).find(|pair| !self.open.contains_key(&pair.rtp));
        let free = free.ok_or(PortsExhausted)?;
        self.open.insert(free.rtp, free);
        Ok(free)
    }

    fn reopen(&mut self, ports: &[PortPair]) -> Result<(), PortsExhausted> {
        for pair in ports {
            if !self.ports.contains(&pair.rtp.port()) || self.open.insert(pair.rtp, *pair).is_some() {
                return Err(PortsExhausted);
            }
        }
        Ok(())
    }

    fn close(&mut self, ports: PortPair) {
        assert!(!self.arrivals.contains_key(&ports.rtp), "{ports:?} is closed under a stream");
        assert_eq!(self.open.remove(&ports.rtp), Some(ports), "a pair is closed that is not open");
    }

    fn install(&mut self, stream: StreamId, plan: StreamPlan, now: Time) {
        self.forget_arrivals(stream);
        for side in Side::BOTH {
            let local = plan.side(side).local;
            assert_eq!(self.open.get(&local.rtp), Some(&local), "a plan has a port that is not open");
            for (address, component) in [(local.rtp, Component::Rtp), (local.rtcp, Component::Rtcp)] {
                let before = self.arrivals.insert(address, (stream, side, component));
                assert_eq!(before, None, "{address} belongs to two streams");
            }
        }
        if let Some((installed, _)) = self.streams.get_mut(&stream) {
            installed.replan(plan, now);
        } else {
            let counters = self.left.remove(&stream).unwrap_or_default();
            let begun = Stream::new(plan, counters.clone(), now).beside(&self.ours);
            self.streams.insert(stream, (begun, counters));
        }
    }

    fn remove(&mut self, stream: StreamId) {
        assert!(self.streams.remove(&stream).is_some(), "{stream:?} is removed and does not exist");
        self.forget_arrivals(stream);
    }

    fn counters(&self, stream: StreamId) -> Option<[SideCounters; 2]> {
        self.streams.get(&stream).map(|(_, counters)| counters.snapshot())
    }

    fn load(&self) -> Load {
        let ports_open = u32::try_from(self.open.len() * 2).unwrap_or(u32::MAX);
        let ports_max = u32::try_from(self.ports.len()).unwrap_or(u32::MAX);
        let (busy_permille, is_behind) = (self.busy_permille, self.is_behind);
        Load { ports_open, ports_max, busy_permille, expected_permille: busy_permille, is_behind, unclaimed: 0 }
    }
}
