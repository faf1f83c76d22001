//! Who is believed at which port, as the program in the kernel knows it, how many packets came there, and how many it has refused.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Relaxed, Release};

use mediaha_media::Believed;

use super::lookup::{PORTS, belief};
use crate::sys::Shared;
use crate::sys::bpf::SharedMap;

/// Ports are steered to no inlet of a higher number.
const INLETS_MAX: usize = 256;

/// The table that is shared with the program. Control opens ports to anybody, workers say when a party has become certain.
#[derive(Debug)]
pub(super) struct Strangers {
    addresses: Vec<IpAddr>,
    words: Shared<AtomicU32>,
}

impl Strangers {
    /// Memory for the ports of so many addresses.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn map(addresses: usize) -> io::Result<SharedMap> {
        SharedMap::new("mediaha_believe", Self::bytes(addresses))
    }

    /// How long that memory is. Behind the entries of the ports is a word for each inlet.
    pub(super) fn bytes(addresses: usize) -> u32 {
        let words = entries(addresses).saturating_add(INLETS_MAX);
        u32::try_from(words.saturating_mul(4)).unwrap_or(u32::MAX)
    }

    /// The table in that memory: anybody is believed.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn new(addresses: &[IpAddr], map: &SharedMap) -> io::Result<Self> {
        Ok(Self { addresses: addresses.to_vec(), words: map.memory()? })
    }

    /// From now on the program lets through whoever may be the party.
    ///
    /// While an entry changes the program may compare with half of it; then a packet of a stranger gets through, and is judged
    /// by the worker, or the first packet of a party is lost that has moved without telling: nobody else is believed before.
    pub(super) fn believe(&self, port: SocketAddr, believed: Believed) {
        let Some(entry) = self.entry(port) else { return };
        let (who, host) = match believed {
            Believed::Anybody => (belief::ANYBODY, None),
            Believed::Host(host) => (belief::HOST, Some(host)),
            Believed::Only(source) => {
                (belief::ONLY + u32::from(u16::from_ne_bytes(source.port().to_be_bytes())), Some(source.ip()))
            }
        };
        let address = words(host);
        let known = &entry[belief::ADDRESS..][..belief::ADDRESS_WORDS];
        let same = known.iter().zip(address).all(|(known, word)| known.load(Relaxed) == word);
        if same && entry[belief::WHO].load(Relaxed) == who {
            return;
        }
        entry[belief::WHO].store(belief::ANYBODY, Release);
        known.iter().zip(address).for_each(|(known, word)| known.store(word, Release));
        entry[belief::WHO].store(who, Release);
    }

    /// How many packets to this port were refused since this was last asked.
    pub(super) fn refused(&self, port: SocketAddr) -> u64 {
        let Some(entry) = self.entry(port) else { return 0 };
        // Nearly always there were none, and a cache line that is only read is nobody's to wait for.
        if entry[belief::REFUSED].load(Relaxed) == 0 { 0 } else { entry[belief::REFUSED].swap(0, Relaxed).into() }
    }

    /// How many packets have come to this port, modulo 2³²; from where it is counted is for [`Self::forgive`] to say.
    pub(super) fn arrived(&self, port: SocketAddr) -> u32 {
        self.entry(port).map_or(0, |entry| entry[belief::ARRIVED].load(Relaxed))
    }

    /// Counts so many fewer, modulo 2³².
    pub(super) fn forgive(&self, port: SocketAddr, packets: u32) {
        if let Some(entry) = self.entry(port) {
            entry[belief::ARRIVED].fetch_sub(packets, Relaxed);
        }
    }

    /// Begins to count anew what comes to this port.
    pub(super) fn forget(&self, port: SocketAddr) {
        if let Some(entry) = self.entry(port) {
            entry[belief::ARRIVED].store(0, Relaxed);
            entry[belief::REFUSED].store(0, Relaxed);
        }
    }

    /// How many of the packets that were dropped at the inlets of a worker are no longer asked after, modulo 2³², for a successor to know
    /// as well. The worker is known by its first inlet.
    pub(super) fn known_drops(&self, inlet: usize) -> &AtomicU32 {
        &self.words.as_slice()[entries(self.addresses.len()) + inlet % INLETS_MAX]
    }

    fn entry(&self, port: SocketAddr) -> Option<&[AtomicU32]> {
        let address = self.addresses.iter().position(|&address| address == port.ip())?;
        let place = address * PORTS as usize + usize::from(port.port());
        self.words.as_slice().get(place * belief::WORDS..)?.get(..belief::WORDS)
    }
}

/// Words of the entries of all ports of so many addresses.
fn entries(addresses: usize) -> usize {
    addresses.saturating_mul(PORTS as usize).saturating_mul(belief::WORDS)
}

/// An address as the program is told it.
fn words(host: Option<IpAddr>) -> [u32; belief::ADDRESS_WORDS] {
    let mut words = [0; belief::ADDRESS_WORDS];
    match host {
        Some(IpAddr::V4(address)) => words[0] = u32::from_ne_bytes(address.octets()),
        Some(IpAddr::V6(address)) => {
            let octets = address.octets();
            let (chunks, _) = octets.as_chunks::<4>();
            words[1..].iter_mut().zip(chunks).for_each(|(word, chunk)| *word = u32::from_ne_bytes(*chunk));
        }
        None => {}
    }
    words
}
