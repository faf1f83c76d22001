//! What a relay is made of.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;

use mediaha_media::Ours;
use mediaha_time::Duration;

use crate::estate::Key;

/// The settings that every datapath takes.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// What the server is called, to be found again by the process that comes after this one.
    pub name: String,
    /// The local addresses that ports are opened on.
    pub addresses: Vec<IpAddr>,
    /// The ports that may be used on each of them.
    pub ports: RangeInclusive<u16>,
    /// How many worker threads.
    pub workers: usize,
    /// How long packets may be gathered when they are many; zero for never.
    pub coalesce: Duration,
    /// How routers are asked to treat what is sent: the DSCP (RFC 2474), 0 to 63.
    pub dscp: u8,
    /// Shuffles the order in which ports are used.
    pub seed: u64,
}

impl RelayConfig {
    /// The byte of the IP header that the DSCP is in.
    pub(super) fn traffic_class(&self) -> u8 {
        self.dscp << 2
    }

    /// Names a port of ours to whoever keeps it.
    pub(super) fn key(&self, port: SocketAddr) -> Option<Key> {
        let address = self.distinct_addresses().iter().position(|&address| address == port.ip())?;
        Some(Key::Port { address: u8::try_from(address).ok()?, port: port.port() })
    }

    /// The ports that packets of ours may come from.
    pub(super) fn ours(&self) -> Arc<Ours> {
        Arc::new(Ours::at(&self.distinct_addresses(), self.ports.clone()))
    }

    /// The local addresses, each once.
    pub(super) fn distinct_addresses(&self) -> Vec<IpAddr> {
        let mut distinct = Vec::new();
        for &address in &self.addresses {
            if !distinct.contains(&address) {
                distinct.push(address);
            }
        }
        distinct
    }
}
