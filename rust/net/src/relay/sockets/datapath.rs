//! Control's end of the sockets.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::thread;

use mediaha_media::{
    Component, Datapath, Interface, Load, PortPair, PortsExhausted, SideCounters, StreamCounters, StreamId,
    StreamPlan,
};
use mediaha_time::{Duration, Time};

use super::pair::SocketPair;
use super::worker::Worker;
use crate::estate::{Courier, Key, Share};
use crate::failure::Failure;
use crate::record::Records;
use crate::relay::RelayConfig;
use crate::relay::crew::Crew;
use crate::relay::kernel::{Lanes, Usher};
use crate::relay::local::{LocalDatapath, Workers};
use crate::relay::mailbox::Mailbox;
use crate::relay::port_book::PortBook;
use crate::relay::tally::Tally;
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
    config: RelayConfig,
    book: PortBook,
    /// By RTP address; as bounded as the ports.
    pairs: HashMap<SocketAddr, Arc<SocketPair>>,
    crew: Crew<Command>,
    /// Pairs that are closed, and that their worker may not have let go of yet.
    closing: HashMap<SocketAddr, Weak<SocketPair>>,
    /// To who keeps the sockets for a successor.
    courier: Option<Courier>,
    /// Sockets of a former life.
    inherited: HashMap<Key, OwnedFd>,
}

/// How long control waits for a worker to let go of ports that are wanted again. They are those that were closed longest ago, so
/// that it hardly ever has to.
const LET_GO_WITHIN: Duration = Duration::from_millis(5);
/// How long it sleeps in between.
const NAP: Duration = Duration::from_micros(50);
/// From how many on it is looked which pairs have been let go of.
const CLOSING_MAX: usize = 64;

impl SocketsDatapath {
    /// Starts the worker threads. What goes wrong with them later is told to `failure`.
    ///
    /// # Errors
    /// No thread or file descriptor is left.
    pub(in crate::relay) fn start(
        config: &RelayConfig,
        lanes: Option<&Arc<Lanes>>,
        records: Records,
        failure: Failure,
    ) -> io::Result<Self> {
        let mut crew = Crew::new(failure);
        for _ in 0..config.workers.max(1) {
            let (mailbox, tally) = (Arc::new(Mailbox::new()?), Arc::new(Tally::default()));
            let usher = lanes.map(|lanes| Usher::new(Arc::clone(lanes), config.traffic_class())).transpose()?;
            let (mail, count) = (Arc::clone(&mailbox), Arc::clone(&tally));
            let worker = Worker::new(config, mail, count, records.clone(), usher)?;
            crew.employ(mailbox, tally, move || worker.run())?;
        }
        let book = PortBook::new(config, records);
        let (courier, inherited, closing) = (None, HashMap::new(), HashMap::new());
        Ok(Self { config: config.clone(), book, pairs: HashMap::new(), closing, crew, courier, inherited })
    }

    /// The two sockets of a former life, or, where they were not kept, new ones on the same ports.
    fn take_over(&mut self, ports: PortPair) -> io::Result<SocketPair> {
        let mut socket = |port| self.config.key(port).and_then(|key| self.inherited.remove(&key));
        if let [Some(even), Some(odd)] = [socket(ports.rtp), socket(ports.rtcp)] {
            return Ok(SocketPair::inherited([even, odd], ports));
        }
        let pair = SocketPair::bind(ports.rtp.ip(), ports.rtp.port(), self.config.traffic_class())?;
        self.have_kept(&pair);
        Ok(pair)
    }

    fn have_kept(&self, pair: &SocketPair) {
        let Some(courier) = &self.courier else { return };
        let ports = [pair.ports().rtp, pair.ports().rtcp];
        for (port, component) in ports.into_iter().zip(Component::BOTH) {
            if let Some(key) = self.config.key(port) {
                courier.keep(key, pair.socket(component).as_fd());
            }
        }
    }
}

impl Datapath for SocketsDatapath {
    fn open(&mut self, interface: &Interface) -> Result<PortPair, PortsExhausted> {
        let Self { book, closing, crew, config, .. } = self;
        let now = monotonic();
        let pair = book.open(interface, now, |rtp| {
            if let Some(former) = closing.remove(&SocketAddr::new(interface.local, rtp)) {
                let_go(&former, crew, now + LET_GO_WITHIN);
            }
            SocketPair::bind(interface.local, rtp, config.traffic_class())
        })?;
        let ports = pair.ports();
        self.have_kept(&pair);
        self.pairs.insert(ports.rtp, Arc::new(pair));
        Ok(ports)
    }

    fn reopen(&mut self, ports: &[PortPair]) -> Result<(), PortsExhausted> {
        self.book.reopen(ports)?;
        for &pair in ports {
            let sockets = self.take_over(pair).map_err(|_| PortsExhausted)?;
            self.pairs.insert(pair.rtp, Arc::new(sockets));
        }
        Ok(())
    }

    fn close(&mut self, ports: PortPair) {
        // The worker may hold the sockets a moment longer, until it has carried out what it was told before.
        if let Some(pair) = self.pairs.remove(&ports.rtp) {
            if self.closing.len() >= CLOSING_MAX {
                self.closing.retain(|_, pair| pair.strong_count() > 0);
            }
            self.closing.insert(ports.rtp, Arc::downgrade(&pair));
            if let Some(courier) = &self.courier {
                let keys = [ports.rtp, ports.rtcp].into_iter().filter_map(|port| self.config.key(port));
                keys.for_each(|key| courier.drop(key));
            }
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
        self.crew.load(self.book.figures())
    }
}

impl LocalDatapath for SocketsDatapath {
    fn name(&self) -> &'static str {
        "sockets"
    }

    fn takes_descriptors(&self) -> bool {
        true
    }

    fn workers(&self) -> &dyn Workers {
        &self.crew
    }

    fn workers_mut(&mut self) -> &mut dyn Workers {
        &mut self.crew
    }

    /// From now on, before the first stream, its sockets outlive it, and those of a former life are taken over.
    fn share(&mut self, share: Share) {
        self.crew.count_in(share.lives);
        self.courier = Some(share.courier);
        self.inherited = share.inherited;
    }

    fn let_go_of_the_rest(&mut self) {
        self.crew.let_go_of_the_rest();
        for (key, _) in self.inherited.drain() {
            if let Some(courier) = &self.courier {
                courier.drop(key);
            }
        }
    }
}

/// Waits until the worker of a pair that was closed has let go of it, but not for long.
fn let_go(pair: &Weak<SocketPair>, crew: &mut Crew<Command>, give_up_at: Time) {
    while pair.strong_count() > 0 && monotonic() < give_up_at {
        crew.ring();
        thread::sleep(NAP);
    }
}
