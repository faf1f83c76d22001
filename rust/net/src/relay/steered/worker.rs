//! A worker thread: one socket for everything, batches in, batches out.

use std::io;
use std::sync::Arc;
use std::thread;

use mediaha_media::{Believed, Verdict};
use mediaha_time::{Duration, Time};

use super::datapath::{Command, Install};
use super::early::{Early, EarlyPacket};
use super::outlet::Outlet;
use super::overflow::Overflow;
use super::strangers::Strangers;
use super::table::{Judged, Table};
use crate::relay::RelayConfig;
use crate::relay::kernel::{Ticket, Usher};
use crate::relay::mailbox::Mailbox;
use crate::relay::pace::Pace;
use crate::relay::stamps::Stamps;
use crate::relay::tally::Tally;
use crate::sys::transit::{Arrival, Arrivals};
use crate::sys::udp::UdpSocket;
use crate::sys::{Epoll, Events, Trigger, monotonic, precise_timers, realtime};

/// How many packets one call receives or sends: more would save nothing, and what is worked on at once fits the cache.
pub(super) const BATCH: usize = 64;
/// How many batches of one socket are forwarded before the others, and control, have their turn.
const BATCHES_MAX: usize = 4;
/// How many commands are carried out before packets are looked for again.
const COMMANDS_MAX: usize = 64;
/// How often it is looked which parties have become certain.
const SETTLE_EVERY: Duration = Duration::from_millis(500);
/// How long a worker that waits for streams sleeps.
const NAP: Duration = Duration::from_micros(100);
/// The token of the mailbox's bell; the sockets have smaller ones.
const BELL: u64 = u64::MAX;

/// What one thread owns.
pub(super) struct Worker {
    epoll: Epoll,
    events: Events,
    /// One for each address family.
    inlets: Vec<Arc<UdpSocket>>,
    outlet: Outlet,
    arrivals: Arrivals,
    table: Table,
    /// Of the packets of one batch.
    tickets: Vec<(usize, Ticket)>,
    early: Early,
    pace: Pace,
    stamps: Stamps,
    mailbox: Arc<Mailbox<Command>>,
    tally: Arc<Tally>,
    strangers: Arc<Strangers>,
    overflow: Overflow,
    settle_at: Time,
}

/// What a look has found.
#[derive(Clone, Copy, Default)]
struct Found {
    packets: usize,
    /// There may be more.
    more: bool,
}

impl Worker {
    /// A worker without streams, that receives from `inlets`.
    ///
    /// # Errors
    /// The kernel's: no file descriptor is left, or it takes `CAP_NET_RAW`.
    pub(super) fn new(
        config: &RelayConfig,
        inlets: Vec<Arc<UdpSocket>>,
        strangers: Arc<Strangers>,
        overflow: Overflow,
        mailbox: Arc<Mailbox<Command>>,
        tally: Arc<Tally>,
        usher: Option<Usher>,
    ) -> io::Result<Self> {
        let addresses = config.distinct_addresses();
        let epoll = Epoll::new()?;
        epoll.add(&mailbox.bell, BELL, Trigger::Level)?;
        for (token, inlet) in (0..).zip(&inlets) {
            epoll.add(&**inlet, token, Trigger::Level)?;
        }
        Ok(Self {
            epoll,
            events: Events::new(inlets.len() + 1),
            inlets,
            outlet: Outlet::new(&addresses, BATCH, config.traffic_class())?,
            arrivals: Arrivals::new(BATCH),
            table: Table::new(config, usher),
            tickets: Vec::with_capacity(BATCH),
            early: Early::default(),
            pace: Pace::new(config.coalesce, monotonic()),
            stamps: Stamps::new(monotonic(), realtime()),
            mailbox,
            tally,
            strangers,
            overflow,
            settle_at: Time::ZERO,
        })
    }

    /// Works until the mailbox says stop.
    ///
    /// # Panics
    /// If the kernel refuses to wait: without that nothing can be relayed, and whoever runs this thread must know.
    pub(super) fn run(mut self) {
        // Without it a pause is 50 µs longer than asked for; nothing depends on it.
        let _ = precise_timers();
        self.wait_for_streams();
        let mut done_at = monotonic();
        while !self.mailbox.is_stopping() {
            let pausing = self.pace.pauses(done_at);
            if !pausing {
                let timeout = self.settle_at.since(done_at);
                self.epoll.wait(&mut self.events, Some(timeout)).expect("epoll waits");
                if self.events.iter().any(|ready| ready.token == BELL) {
                    self.mailbox.bell.drain();
                }
            }
            let woken_at = monotonic();
            let found = self.look(woken_at);
            self.pace.found(found.packets, woken_at);
            done_at = monotonic();
            self.tally.wakeups.add(1);
            self.tally.busy_ns.add(u64::try_from(done_at.since(woken_at).as_nanos()).unwrap_or(0));
            // A batch that was not full has left nothing behind: more is worth waiting for.
            if pausing && !found.more {
                thread::sleep(self.pace.pause());
            }
        }
    }

    /// At an adoption packets wait in the inlets until all streams are there: they would be nobody's.
    fn wait_for_streams(&mut self) {
        while !self.mailbox.is_stopping() {
            // In this order: what was posted before the hold ended is there.
            let done = !self.mailbox.is_holding() && self.mailbox.is_empty();
            self.obey(monotonic());
            if done {
                return;
            }
            if self.mailbox.is_empty() {
                thread::sleep(NAP);
            }
        }
    }

    /// Forwards what is there, and does what control says.
    fn look(&mut self, now: Time) -> Found {
        let mut found = Found::default();
        self.stamps.look(now, realtime());
        let settles = now >= self.settle_at;
        if settles {
            self.overflow.begin(&self.table, &self.tally);
        }
        for inlet in 0..self.inlets.len() {
            let of_inlet = self.forward(inlet, now);
            found.packets += of_inlet.packets;
            found.more |= of_inlet.more;
        }
        // With nothing received there may still be something to do.
        self.obey(now);
        if settles {
            self.table.settle(&self.strangers, now);
            self.settle_at = now + SETTLE_EVERY;
        }
        self.overflow.read(found.packets, !found.more, &self.table, &self.tally);
        found
    }

    fn forward(&mut self, inlet: usize, now: Time) -> Found {
        let mut found = Found::default();
        for _ in 0..BATCHES_MAX {
            let Ok(received) = self.arrivals.receive(&self.inlets[inlet]) else {
                return Found { more: false, ..found };
            };
            // After the packets have been received, and before they are looked at: a party that sends as soon as its SDP is
            // answered is then known, since the command was given before the answer was sent.
            self.obey(now);
            self.tally.received.add(received as u64);
            self.dispatch(now);
            found = Found { packets: found.packets + received, more: self.arrivals.is_full() };
            if !found.more {
                break;
            }
        }
        found
    }

    fn dispatch(&mut self, now: Time) {
        for index in 0..self.arrivals.len() {
            let Some(Arrival { bytes, source, destination, stamp }) = self.arrivals.at(index) else { continue };
            let arrived = self.stamps.arrival(stamp);
            match self.table.packet(bytes, source, destination, arrived, now) {
                Some(Judged { verdict: Verdict::Forward { from, to, .. }, ticket }) => {
                    self.outlet.push(&mut self.arrivals, index, from, to, &self.tally);
                    self.tickets.extend(ticket);
                }
                Some(Judged { verdict: Verdict::Drop(_), .. }) => {}
                None => {
                    self.tally.unclaimed.add(1);
                    self.early.keep(bytes, source, destination, arrived);
                }
            }
        }
        for index in self.outlet.flush(&mut self.arrivals, &self.tally) {
            if let Some(arrival) = self.arrivals.at(index) {
                self.table.unsent(arrival.bytes, arrival.destination);
            }
        }
        for ticket in self.tickets.drain(..) {
            self.table.sent(ticket, now);
        }
    }

    fn obey(&mut self, now: Time) {
        for _ in 0..COMMANDS_MAX {
            match self.mailbox.take() {
                Some(Command::Install(install)) => self.install(*install, now),
                Some(Command::Remove(stream)) => self.table.remove(stream),
                Some(Command::Detours(detours)) => self.outlet.detours(detours),
                None => return,
            }
        }
        // Come back for the others, even if no packet does.
        self.mailbox.bell.ring();
    }

    /// What came to the stream's ports before is forwarded before anything that comes from here on.
    fn install(&mut self, install: Install, now: Time) {
        let Install { stream, plan, counters, now: installed_at } = install;
        plan.ports().into_iter().for_each(|port| self.strangers.believe(port, Believed::Anybody));
        self.table.install(stream, &plan, counters, installed_at);
        for early in self.early.take(&plan.ports(), now) {
            let EarlyPacket { bytes, source, destination, arrived } = early;
            let judged = self.table.packet(&bytes, source, destination, arrived, now);
            if let Some(Judged { verdict: Verdict::Forward { from, to, .. }, .. }) = judged
                && !self.outlet.detour(&bytes, from, to, &self.tally)
            {
                self.table.unsent(&bytes, destination);
            }
        }
    }
}
