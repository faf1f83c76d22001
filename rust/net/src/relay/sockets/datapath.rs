//! Control's end of the sockets.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mediaha_media::{
    Datapath, Interface, Load, PortPair, PortsExhausted, SideCounters, StreamCounters, StreamId, StreamPlan,
};
use mediaha_time::Time;

use super::pair::SocketPair;
use super::worker::Worker;
use crate::failure::Failure;
use crate::record::Records;
use crate::relay::RelayConfig;
use crate::relay::crew::Crew;
use crate::relay::mailbox::Mailbox;
use crate::relay::port_book::PortBook;
use crate::relay::tally::{Tally, TallySnapshot};
use crate::sys::monotonic;

/// What a worker is told.
#[derive(Debug)]
pub(super) enum Command {
    /// Forward a stream, or forward it differently.
    Install(Box<Install>),
    /// Forward it no longer, and let go of its sockets.
    Remove(StreamId),
}

/// A stream, with the sockets of its sides A and B.
#[derive(Debug)]
pub(super) struct Install {
    pub(super) stream: StreamId,
    pub(super) plan: StreamPlan,
    pub(super) pairs: [Arc<SocketPair>; 2],
    pub(super) counters: StreamCounters,
    pub(super) now: Time,
}

/// Forwards with one UDP socket a port.
#[derive(Debug)]
pub struct SocketsDatapath {
    book: PortBook,
    /// By RTP address; as bounded as the ports.
    pairs: HashMap<SocketAddr, Arc<SocketPair>>,
    traffic_class: u8,
    crew: Crew<Command>,
}

impl SocketsDatapath {
    /// Starts the worker threads. What goes wrong with them later is told to `failure`.
    ///
    /// # Errors
    /// No thread or file descriptor is left.
    pub fn start(config: &RelayConfig, records: Records, failure: Failure) -> io::Result<Self> {
        let mut crew = Crew::new(failure);
        for _ in 0..config.workers.max(1) {
            let (mailbox, tally) = (Arc::new(Mailbox::new()?), Arc::new(Tally::default()));
            let worker = Worker::new(Arc::clone(&mailbox), Arc::clone(&tally), records.clone(), config.coalesce)?;
            crew.employ(mailbox, tally, move || worker.run())?;
        }
        let book = PortBook::new(config, records);
        Ok(Self { book, pairs: HashMap::new(), traffic_class: config.traffic_class(), crew })
    }

    /// What each worker has counted.
    #[must_use]
    pub fn tallies(&self) -> Vec<TallySnapshot> {
        self.crew.tallies()
    }

    /// Measures how busy the workers were since the last call, which [`Datapath::load`] tells until the next one, and sees
    /// whether they work at all. To be called every half a second or so.
    pub fn sample(&mut self, now: Time) {
        self.crew.sample(now);
    }

    /// From now on workers are told of changes when [`Self::ring`] is called, once for many changes, or when a packet wakes them.
    pub fn gather(&mut self) {
        self.crew.gather();
    }

    /// Whether a worker may sleep over a change.
    #[must_use]
    pub fn is_unrung(&self) -> bool {
        self.crew.is_unrung()
    }

    /// Has the workers carry out what they were told.
    pub fn ring(&mut self) {
        self.crew.ring();
    }
}

impl Datapath for SocketsDatapath {
    fn open(&mut self, interface: &Interface) -> Result<PortPair, PortsExhausted> {
        let bind = |rtp| SocketPair::bind(interface.local, rtp, self.traffic_class);
        let pair = self.book.open(interface, monotonic(), bind)?;
        let ports = pair.ports();
        self.pairs.insert(ports.rtp, Arc::new(pair));
        Ok(ports)
    }

    fn reopen(&mut self, ports: &[PortPair]) -> Result<(), PortsExhausted> {
        self.book.reopen(ports)?;
        for pair in ports {
            let bound = SocketPair::bind(pair.rtp.ip(), pair.rtp.port(), self.traffic_class);
            let bound = bound.map_err(|_| PortsExhausted)?;
            self.pairs.insert(pair.rtp, Arc::new(bound));
        }
        Ok(())
    }

    fn close(&mut self, ports: PortPair) {
        // The worker may hold the sockets a moment longer, until it has carried out what it was told before.
        if self.pairs.remove(&ports.rtp).is_some() {
            self.book.close(ports.rtp.ip(), ports.rtp.port(), monotonic());
        }
    }

    fn install(&mut self, stream: StreamId, plan: StreamPlan, now: Time) {
        let [a, b] = plan.sides.map(|side| self.pairs.get(&side.local.rtp).cloned());
        let (Some(a), Some(b)) = (a, b) else {
            debug_assert!(false, "a stream is installed on ports that are not open");
            return;
        };
        let placed = self.crew.place(stream, self.crew.least_laden());
        let install = Install { stream, plan, pairs: [a, b], counters: placed.counters, now };
        self.crew.tell(placed.worker, Command::Install(Box::new(install)));
    }

    fn remove(&mut self, stream: StreamId) {
        if let Some(worker) = self.crew.leave(stream) {
            self.crew.tell(worker, Command::Remove(stream));
        }
    }

    fn counters(&self, stream: StreamId) -> Option<[SideCounters; 2]> {
        self.crew.counters(stream)
    }

    fn load(&self) -> Load {
        let [ports_open, ports_max] = self.book.figures();
        Load { ports_open, ports_max, busy_permille: self.crew.busy_permille() }
    }
}
