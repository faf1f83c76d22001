//! The free ports of every address, and what is said when there are none.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::IpAddr;

use mediaha_media::{Interface, PortPair, PortsExhausted};
use mediaha_time::{Duration, Time};
use serde_json::json;

use super::RelayConfig;
use super::ports::Ports;
use super::sockets::pair_at;
use crate::record::{Level, Record, Records};

/// How often it is said that ports or descriptors have run out.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// Control's account of ports.
#[derive(Debug)]
pub(super) struct PortBook {
    ports: HashMap<IpAddr, Ports>,
    /// Pairs that are open.
    open: usize,
    records: Records,
    silent_until: Time,
}

impl PortBook {
    /// All ports are free.
    pub(super) fn new(config: &RelayConfig, records: Records) -> Self {
        let seeds = (config.seed..).zip(&config.addresses);
        let ports = seeds.map(|(seed, &address)| (address, Ports::new(&config.ports, seed))).collect();
        Self { ports, open: 0, records, silent_until: Time::ZERO }
    }

    /// Where it complains.
    pub(super) fn records(&self) -> &Records {
        &self.records
    }

    /// Takes the first pair that `bind` can bind; `bind` is given the RTP port.
    ///
    /// # Errors
    /// No pair is free, or the kernel refuses any.
    pub(super) fn open<T>(
        &mut self,
        interface: &Interface,
        now: Time,
        mut bind: impl FnMut(u16) -> io::Result<T>,
    ) -> Result<T, PortsExhausted> {
        // Pairs of calls that have just ended, and that their workers have not let go of yet.
        let mut held = Vec::new();
        let opened = self.try_all(interface, now, &mut held, &mut bind);
        if let Some(ports) = self.ports.get_mut(&interface.local) {
            for rtp in held {
                ports.give_back(rtp, now);
            }
        }
        opened
    }

    fn try_all<T>(
        &mut self,
        interface: &Interface,
        now: Time,
        held: &mut Vec<u16>,
        bind: &mut impl FnMut(u16) -> io::Result<T>,
    ) -> Result<T, PortsExhausted> {
        loop {
            let Some(ports) = self.ports.get_mut(&interface.local) else { return Err(PortsExhausted) };
            let Some(free) = ports.take(now) else {
                self.complain("ports_exhausted", json!({ "interface": interface.to_string() }), now);
                return Err(PortsExhausted);
            };
            let rtp = free.rtp;
            let error = match bind(rtp) {
                Ok(bound) => {
                    self.open += 1;
                    return Ok(bound);
                }
                Err(error) => error,
            };
            if error.kind() == io::ErrorKind::AddrInUse || error.kind() == io::ErrorKind::PermissionDenied {
                if free.rests(now) {
                    held.push(rtp);
                } else {
                    ports.held_elsewhere(rtp, now);
                }
                continue;
            }
            // No descriptors, no memory, or the address is gone: the next port would fare no better.
            ports.give_back(rtp, now);
            let facts = json!({ "interface": interface.to_string(), "port": rtp, "error": error.to_string(),
                "open_ports": self.open * 2, "hint": "is it the number of file descriptors? see ulimit -n, LimitNOFILE=" });
            self.complain("port_not_bound", facts, now);
            return Err(PortsExhausted);
        }
    }

    /// Takes note of pairs that are open already.
    ///
    /// # Errors
    /// Some are not ours to open.
    pub(super) fn reopen(&mut self, pairs: &[PortPair]) -> Result<(), PortsExhausted> {
        let mut by_address: HashMap<IpAddr, HashSet<u16>> = HashMap::new();
        for pair in pairs {
            by_address.entry(pair.rtp.ip()).or_default().insert(pair.rtp.port());
        }
        for (address, taken) in by_address {
            let ports = self.ports.get_mut(&address).ok_or(PortsExhausted)?;
            ports.take_all(&taken);
        }
        self.open += pairs.len();
        Ok(())
    }

    /// Takes back a pair that was opened.
    pub(super) fn close(&mut self, address: IpAddr, rtp: u16, now: Time) {
        if let Some(ports) = self.ports.get_mut(&address) {
            self.open -= 1;
            ports.give_back(rtp, now);
        }
    }

    /// The pairs that are not open, those that will be tried next at the end.
    pub(super) fn free_pairs(&self) -> Vec<PortPair> {
        let free =
            self.ports.iter().flat_map(|(&address, ports)| ports.free().map(move |rtp| pair_at(address, rtp)));
        let mut pairs: Vec<_> = free.collect();
        pairs.reverse();
        pairs
    }

    /// How many ports are open, and how many there are.
    pub(super) fn figures(&self) -> [u32; 2] {
        let pairs: usize = self.ports.values().map(Ports::pairs).sum();
        [self.open, pairs].map(|pairs| u32::try_from(pairs * 2).unwrap_or(u32::MAX))
    }

    /// Says at most once in a while why no ports could be opened.
    fn complain(&mut self, event: &'static str, facts: serde_json::Value, now: Time) {
        if now >= self.silent_until {
            self.silent_until = now + COMPLAIN_EVERY;
            self.records.push(Record::now(Level::Warning, event, facts));
        }
    }
}
