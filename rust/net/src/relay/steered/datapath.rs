//! Control's end of the steered ports.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use mediaha_media::{
    Datapath, Interface, Load, PortPair, PortsExhausted, SideCounters, StreamCounters, StreamId, StreamPlan,
};
use mediaha_time::Time;

use super::inlets::Inlets;
use super::rehearsal::rehearse;
use super::switch::Switch;
use super::unsteerable::Unsteerable;
use super::worker::Worker;
use crate::failure::Failure;
use crate::record::Records;
use crate::relay::RelayConfig;
use crate::relay::crew::Crew;
use crate::relay::mailbox::Mailbox;
use crate::relay::port_book::PortBook;
use crate::relay::sockets::SocketPair;
use crate::relay::tally::{Tally, TallySnapshot};
use crate::sys::monotonic;

/// What a worker is told.
#[derive(Debug)]
pub(super) enum Command {
    /// Forward a stream, or forward it differently.
    Install(Box<Install>),
    /// Forward it no longer.
    Remove(StreamId),
}

/// A stream.
#[derive(Debug)]
pub(super) struct Install {
    pub(super) stream: StreamId,
    pub(super) plan: StreamPlan,
    pub(super) counters: StreamCounters,
    pub(super) now: Time,
}

/// Forwards with one socket for all ports of a worker.
#[derive(Debug)]
pub struct SteeredDatapath {
    book: PortBook,
    /// The pairs that are open, by their RTP port, and the worker that they are steered to. As bounded as the ports.
    pairs: HashMap<SocketAddr, usize>,
    // Dropped before the crew: no packet is steered to a worker that has ended.
    switch: Switch,
    inlets: Inlets,
    crew: Crew<Command>,
}

impl SteeredDatapath {
    /// Puts the program into the kernel, sees a packet through on every address, and starts the worker threads. What goes
    /// wrong with them later is told to `failure`.
    ///
    /// # Errors
    /// Why ports cannot be steered here.
    pub fn start(config: &RelayConfig, records: Records, failure: Failure) -> Result<Self, Unsteerable> {
        let addresses = config.distinct_addresses();
        let workers = config.workers.max(1);
        let inlets = Inlets::bind(&addresses, workers).map_err(Unsteerable::Resources)?;
        let switch = Switch::start(&addresses, inlets.all())?;
        let mut book = PortBook::new(config, records);
        for &address in &addresses {
            let number = inlets.number(0, address);
            rehearse(address, &mut book, &switch, inlets.socket(number), number)?;
        }
        let mut crew = Crew::new(failure);
        for worker in 0..workers {
            let mailbox = Arc::new(Mailbox::new().map_err(Unsteerable::Resources)?);
            let tally = Arc::new(Tally::default());
            let sockets = inlets.of(worker).to_vec();
            let worker = Worker::new(config, sockets, Arc::clone(&mailbox), Arc::clone(&tally));
            let worker = worker.map_err(Unsteerable::Resources)?;
            crew.employ(mailbox, tally, move || worker.run()).map_err(Unsteerable::Resources)?;
        }
        Ok(Self { book, pairs: HashMap::new(), switch, inlets, crew })
    }

    /// Why other programs could bind a port that is steered, if they could.
    #[must_use]
    pub fn unguarded(&self) -> Option<String> {
        self.switch.unguarded().map(ToString::to_string)
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
        for worker in 0..self.crew.len() {
            self.crew.tally(worker).overflowed.add(self.inlets.overflowed(worker));
        }
    }

    fn steer(&mut self, ports: [SocketAddr; 2], worker: usize) {
        let number = self.inlets.number(worker, ports[0].ip());
        for port in ports {
            self.switch.steer(port, Some(number));
        }
        self.pairs.insert(ports[0], worker);
    }
}

impl Datapath for SteeredDatapath {
    fn open(&mut self, interface: &Interface) -> Result<PortPair, PortsExhausted> {
        // A port that another program has bound, or another server steers, cannot be bound, and is passed over.
        let bound = self.book.open(interface, monotonic(), |rtp| SocketPair::bind(interface.local, rtp))?;
        let ports = bound.ports();
        self.steer([ports.rtp, ports.rtcp], self.crew.least_laden());
        // Only now: in between, somebody else could have bound them.
        drop(bound);
        Ok(ports)
    }

    fn reopen(&mut self, ports: &[PortPair]) -> Result<(), PortsExhausted> {
        self.book.reopen(ports)?;
        for (pair, worker) in ports.iter().zip((0..self.crew.len()).cycle()) {
            self.steer([pair.rtp, pair.rtcp], worker);
        }
        Ok(())
    }

    fn close(&mut self, ports: PortPair) {
        if self.pairs.remove(&ports.rtp).is_some() {
            self.switch.steer(ports.rtp, None);
            self.switch.steer(ports.rtcp, None);
            self.book.close(ports.rtp.ip(), ports.rtp.port(), monotonic());
        }
    }

    fn install(&mut self, stream: StreamId, plan: StreamPlan, now: Time) {
        let [Some(worker), Some(_)] = plan.sides.map(|side| self.pairs.get(&side.local.rtp).copied()) else {
            debug_assert!(false, "a stream is installed on ports that are not open");
            return;
        };
        let placed = self.crew.place(stream, worker);
        let install = Install { stream, plan, counters: placed.counters, now };
        self.crew.tell(placed.worker, Command::Install(Box::new(install)));
        // The worker that has the stream may not be the one that was least laden when a port was opened.
        for side in plan.sides {
            if self.pairs.get(&side.local.rtp) != Some(&placed.worker) {
                self.steer([side.local.rtp, side.local.rtcp], placed.worker);
            }
        }
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
