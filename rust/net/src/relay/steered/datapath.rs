//! Control's end of the steered ports.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;

use mediaha_media::{
    Believed, Datapath, Interface, Load, PortPair, PortsExhausted, SideCounters, StreamCounters, StreamId,
    StreamPlan,
};
use mediaha_time::Time;
use serde_json::json;

use super::inlets::Inlets;
use super::overflow::Overflow;
use super::rehearsal::rehearse;
use super::switch::Switch;
use super::unsteerable::Unsteerable;
use super::worker::Worker;
use crate::estate::{Key, Share};
use crate::failure::Failure;
use crate::record::{Level, Record, Records};
use crate::relay::RelayConfig;
use crate::relay::crew::Crew;
use crate::relay::kernel::{Lanes, Usher};
use crate::relay::local::{LocalDatapath, Workers};
use crate::relay::mailbox::Mailbox;
use crate::relay::port_book::PortBook;
use crate::relay::sockets::{SocketPair, pair_at};
use crate::relay::tally::Tally;
use crate::sys::monotonic;
use crate::sys::netlink::{PORTS_DECIDE_WAYS, ports_decide_ways};

/// What a worker is told.
#[derive(Debug)]
pub(super) enum Command {
    /// Forward a stream, or forward it differently.
    Install(Box<Install>),
    /// Forward it no longer.
    Remove(StreamId),
    /// Send each packet by a socket of its port, or no longer.
    Detours(bool),
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
    /// Pairs that have not been looked at since the start, see [`SteeredDatapath::look_ahead`].
    unseen: Vec<PortPair>,
    /// Ports stay ours when they are closed.
    keeps: bool,
    /// What the workers were told last.
    detours: bool,
}

/// How many pairs one look ahead takes: a tenth of a millisecond of work.
const LOOK_AHEAD: usize = 8;

impl SteeredDatapath {
    /// Puts the program into the kernel, sees a packet through on every address, and starts the worker threads. What goes
    /// wrong with them later is told to `failure`.
    ///
    /// # Errors
    /// Why ports cannot be steered here.
    pub(in crate::relay) fn start(
        config: &RelayConfig,
        lanes: Option<&Arc<Lanes>>,
        records: Records,
        failure: Failure,
    ) -> Result<Self, Unsteerable> {
        let addresses = config.distinct_addresses();
        let workers = config.workers.max(1);
        let mut book = PortBook::new(config, records);
        let inlets = Inlets::bind(&addresses, workers).map_err(Unsteerable::Resources)?;
        let switch = Switch::start(&addresses, inlets.all())?;
        for &address in &addresses {
            let number = inlets.number(0, address);
            rehearse(address, &mut book, &switch, inlets.socket(number), number)?;
        }
        Self::at_work(config, lanes, switch, inlets, book, false, failure)
    }

    /// Goes on with what a former life has left.
    ///
    /// # Errors
    /// Some of it is missing, or no file descriptor or thread is left.
    pub(in crate::relay) fn take_over(
        config: &RelayConfig,
        lanes: Option<&Arc<Lanes>>,
        mut share: Share,
        records: Records,
        failure: Failure,
    ) -> Result<Self, Unsteerable> {
        let addresses = config.distinct_addresses();
        let inherited = &mut share.inherited;
        let inlets =
            Inlets::inherited(&addresses, config.workers.max(1), |number| inherited.remove(&Key::Inlet(number)))
                .ok_or(Unsteerable::Incomplete)?;
        let switch = Switch::inherited(&addresses, |key| inherited.remove(&key)).ok_or(Unsteerable::Incomplete)?;
        let book = PortBook::new(config, records);
        let mut taken = Self::at_work(config, lanes, switch, inlets, book, true, failure)?;
        taken.crew.count_in(share.lives);
        Ok(taken)
    }

    fn at_work(
        config: &RelayConfig,
        lanes: Option<&Arc<Lanes>>,
        switch: Switch,
        inlets: Inlets,
        book: PortBook,
        holding: bool,
        failure: Failure,
    ) -> Result<Self, Unsteerable> {
        let mut crew = Crew::new(failure);
        for worker in 0..config.workers.max(1) {
            let mailbox = Arc::new(Mailbox::new().map_err(Unsteerable::Resources)?);
            mailbox.hold(holding);
            let tally = Arc::new(Tally::default());
            let sockets = inlets.of(worker).map(|(_, socket)| Arc::clone(socket)).collect();
            let overflow = Overflow::new(inlets.of(worker), switch.strangers());
            let strangers = Arc::clone(switch.strangers());
            let usher = lanes.map(|lanes| Usher::new(Arc::clone(lanes), config.traffic_class())).transpose();
            let usher = usher.map_err(Unsteerable::Resources)?;
            let (mail, count) = (Arc::clone(&mailbox), Arc::clone(&tally));
            let worker = Worker::new(config, sockets, strangers, overflow, mail, count, usher);
            let worker = worker.map_err(Unsteerable::Resources)?;
            crew.employ(mailbox, tally, move || worker.run()).map_err(Unsteerable::Resources)?;
        }
        let unseen = if switch.unguarded().is_none() { book.free_pairs() } else { Vec::new() };
        let pairs = HashMap::new();
        let mut steered = Self { book, pairs, switch, inlets, crew, unseen, keeps: true, detours: false };
        steered.look_at_ways();
        Ok(steered)
    }

    /// Why other programs could bind a port that is steered, if they could.
    #[must_use]
    pub fn unguarded(&self) -> Option<String> {
        self.switch.unguarded().map(ToString::to_string)
    }

    /// Has packets take a detour while their ways depend on what the kernel does not see of them.
    fn look_at_ways(&mut self) {
        let detours = ports_decide_ways();
        if std::mem::replace(&mut self.detours, detours) == detours {
            return;
        }
        self.crew.tell_all(|| Command::Detours(detours));
        let (level, event) = if detours {
            (Level::Warning, "packets_take_a_detour")
        } else {
            (Level::Info, "packets_go_straight_again")
        };
        let why = format!(
            "{PORTS_DECIDE_WAYS}: while there are, each packet leaves by a socket of its own, which is dear"
        );
        self.book.records().push(Record::now(level, event, json!({ "why": why })));
    }

    fn steer(&mut self, ports: [SocketAddr; 2], worker: usize) {
        let number = self.inlets.number(worker, ports[0].ip());
        for port in ports {
            self.switch.steer(port, number);
        }
        self.pairs.insert(ports[0], worker);
    }
}

impl Datapath for SteeredDatapath {
    fn open(&mut self, interface: &Interface) -> Result<PortPair, PortsExhausted> {
        let Self { book, switch, .. } = self;
        let (ports, bound) = book.open(interface, monotonic(), |rtp| {
            let ports = pair_at(interface.local, rtp);
            if switch.is_kept(ports.rtp) && switch.is_kept(ports.rtcp) {
                return Ok((ports, None));
            }
            // A port that another program has bound, or another server keeps, cannot be bound, and is passed over.
            SocketPair::bind(interface.local, rtp, 0).map(|bound| (ports, Some(bound)))
        })?;
        self.steer([ports.rtp, ports.rtcp], self.crew.least_laden());
        // Only now: in between, somebody else could have bound them.
        drop(bound);
        Ok(ports)
    }

    fn reopen(&mut self, ports: &[PortPair]) -> Result<(), PortsExhausted> {
        self.book.reopen(ports)?;
        for pair in ports {
            // Packets wait where they were steered to before. A port that was not steered yet is, by whoever has its stream.
            let worker = self.switch.steered(pair.rtp).and_then(|number| self.inlets.worker(number)).unwrap_or(0);
            self.steer([pair.rtp, pair.rtcp], worker);
        }
        Ok(())
    }

    fn close(&mut self, ports: PortPair) {
        if self.pairs.remove(&ports.rtp).is_some() {
            for port in [ports.rtp, ports.rtcp] {
                if self.keeps {
                    self.switch.keep(port);
                } else {
                    self.switch.release(port);
                }
            }
            self.book.close(ports.rtp.ip(), ports.rtp.port(), monotonic());
        }
    }

    fn install(&mut self, stream: StreamId, plan: StreamPlan, now: Time) {
        let [Some(worker), Some(_)] = plan.sides.map(|side| self.pairs.get(&side.local.rtp).copied()) else {
            debug_assert!(false, "a stream is installed on ports that are not open");
            return;
        };
        let placed = self.crew.place(stream, worker);
        // The worker does so as well; but a party may send as soon as its SDP is answered, which is before the worker looks.
        plan.ports().into_iter().for_each(|port| self.switch.strangers().believe(port, Believed::Anybody));
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
        self.crew.load(self.book.figures())
    }
}

impl LocalDatapath for SteeredDatapath {
    fn name(&self) -> &'static str {
        "steered"
    }

    fn takes_descriptors(&self) -> bool {
        false
    }

    fn workers(&self) -> &dyn Workers {
        &self.crew
    }

    fn workers_mut(&mut self) -> &mut dyn Workers {
        &mut self.crew
    }

    /// Looks besides whether the ways of this host are others.
    fn sample(&mut self, now: Time) {
        self.look_at_ways();
        self.crew.sample(now);
    }

    /// Finds out for some more ports whether another program has them, and keeps those that are free: opening one then takes no
    /// system call. For idle moments; false when there is nothing left to do.
    fn look_ahead(&mut self) -> bool {
        let seen = self.unseen.split_off(self.unseen.len().saturating_sub(LOOK_AHEAD));
        for ports in seen {
            let both = [ports.rtp, ports.rtcp];
            if !both.iter().all(|&port| self.switch.is_anybodys(port)) {
                continue;
            }
            if let Ok(bound) = SocketPair::bind(ports.rtp.ip(), ports.rtp.port(), 0) {
                for port in both {
                    self.switch.keep(port);
                }
                drop(bound);
            }
        }
        !self.unseen.is_empty()
    }

    /// Whether ports stay ours when they are closed, so that nobody else can bind them. A server that drains lets go of them:
    /// the one that takes its place may want them.
    fn keep_ports(&mut self, keeps: bool) {
        if std::mem::replace(&mut self.keeps, keeps) == keeps {
            return;
        }
        if keeps && self.switch.unguarded().is_none() {
            self.unseen = self.book.free_pairs();
            return;
        }
        self.unseen = Vec::new();
        for port in self.book.free_pairs().into_iter().flat_map(|ports| [ports.rtp, ports.rtcp]) {
            if self.switch.is_kept(port) {
                self.switch.release(port);
            }
        }
    }

    /// From now on, before the first stream, the programs and the sockets that they steer to outlive it.
    fn share(&mut self, share: Share) {
        for (number, inlet) in (0..).zip(self.inlets.all()) {
            share.courier.keep(Key::Inlet(number), inlet.as_fd());
        }
        for (key, descriptor) in self.switch.descriptors() {
            share.courier.keep(key, descriptor);
        }
        self.crew.count_in(share.lives);
    }

    fn let_go_of_the_rest(&mut self) {
        self.crew.let_go_of_the_rest();
        let open = |port: SocketAddr| self.pairs.contains_key(&SocketAddr::new(port.ip(), port.port() & !1));
        self.switch.close_unless(open);
    }
}
