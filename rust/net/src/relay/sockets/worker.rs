//! A worker thread: waits for packets, forwards them, does what control says in between.

use std::io;
use std::sync::Arc;
use std::thread;

use mediaha_time::{Duration, Time};
use serde_json::json;

use super::datapath::Command;
use super::desk::Tools;
use super::punctual::Punctual;
use super::table::Table;
use crate::record::{Level, Record, Records};
use crate::relay::RelayConfig;
use crate::relay::kernel::Usher;
use crate::relay::mailbox::Mailbox;
use crate::relay::pace::Pace;
use crate::relay::tally::Tally;
use crate::sys::{Epoll, Events, Trigger, monotonic, precise_timers, realtime};

/// How many sockets one look may report.
const EVENTS_MAX: usize = 256;
/// How many commands are carried out before packets are looked for again.
const COMMANDS_MAX: usize = 64;
/// How often streams are looked through for sockets to connect.
const SETTLE_EVERY: Duration = Duration::from_millis(500);
/// The same when there were too many at once.
const SETTLE_AGAIN: Duration = Duration::from_millis(5);
/// The token of the mailbox's bell; no stream gets it.
const BELL: u64 = u64::MAX;

/// What one thread owns.
pub(super) struct Worker {
    epoll: Epoll,
    events: Events,
    tools: Tools,
    table: Table,
    pace: Pace,
    punctual: Punctual,
    mailbox: Arc<Mailbox<Command>>,
    records: Records,
    settle_at: Time,
}

impl Worker {
    /// A worker without streams.
    ///
    /// # Errors
    /// The kernel's, when the process has no file descriptor left.
    pub(super) fn new(
        config: &RelayConfig,
        mailbox: Arc<Mailbox<Command>>,
        tally: Arc<Tally>,
        records: Records,
        usher: Option<Usher>,
    ) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        epoll.add(&mailbox.bell, BELL, Trigger::Level)?;
        Ok(Self {
            epoll,
            events: Events::new(EVENTS_MAX),
            tools: Tools::new(config, tally, usher),
            table: Table::default(),
            pace: Pace::new(config.coalesce, monotonic()),
            punctual: Punctual::new(),
            mailbox,
            records,
            settle_at: Time::FAR,
        })
    }

    /// Works until the mailbox says stop.
    ///
    /// # Panics
    /// If the kernel refuses to wait: without that nothing can be relayed, and whoever runs this thread must know.
    pub(super) fn run(mut self) {
        // Without it a pause is 50 µs longer than asked for; nothing depends on it.
        let _ = precise_timers();
        let mut done_at = monotonic();
        while !self.mailbox.is_stopping() {
            // While pausing, a look that finds nothing comes before each pause: a burst on one socket, of which each look
            // takes one packet, is through before the worker sleeps.
            let pausing = self.pace.pauses(done_at);
            let timeout = self.timeout(pausing, done_at);
            self.epoll.wait(&mut self.events, timeout).expect("epoll waits");
            let woken_at = monotonic();
            let found = self.look(woken_at);
            self.punctual.found(found, done_at);
            self.settle(woken_at);
            self.pace.found(found, woken_at);
            let busy_since = if pausing { done_at } else { woken_at };
            done_at = monotonic();
            self.tools.tally.wakeups.add(1);
            self.tools.tally.busy_ns.add(u64::try_from(done_at.since(busy_since).as_nanos()).unwrap_or(0));
            if pausing && found == 0 {
                thread::sleep(self.pace.pause());
                done_at = monotonic();
            }
        }
    }

    /// How long to wait for packets.
    fn timeout(&self, pausing: bool, now: Time) -> Option<Duration> {
        if pausing {
            return Some(Duration::ZERO);
        }
        (!self.table.is_settled()).then(|| self.settle_at.since(now))
    }

    /// Does what control says, then forwards what the last wait has found; returns how many packets that were.
    ///
    /// In this order, so that a party that sends as soon as its SDP is answered is heard: the command was given before the
    /// answer was sent. A token may mean another stream after a command than before; it is then only asked in vain, or early.
    fn look(&mut self, now: Time) -> usize {
        self.tools.stamps.look(now, realtime());
        self.obey(now);
        let mut found = 0;
        let mut desk = self.tools.desk(now);
        for (place, ready) in self.events.iter().enumerate() {
            if ready.token == BELL {
                self.mailbox.bell.drain();
                // What came after `obey` has rung in vain if the bell was drained since.
                if !self.mailbox.is_empty() {
                    self.mailbox.bell.ring();
                }
            } else {
                desk.arrived = self.punctual.arrival(place, self.events.len(), now);
                found += usize::from(self.table.forward_one(ready.token, &mut desk));
            }
        }
        found
    }

    fn obey(&mut self, now: Time) {
        for _ in 0..COMMANDS_MAX {
            match self.mailbox.take() {
                Some(Command::Install(install)) => self.install(*install, now),
                Some(Command::Remove(stream)) => self.table.remove(stream, &self.epoll, self.tools.usher.as_mut()),
                None => return,
            }
        }
    }

    fn install(&mut self, install: super::datapath::Install, now: Time) {
        self.punctual.added(now);
        if self.table.is_settled() {
            self.settle_at = now + SETTLE_EVERY;
        }
        let ports = install.plan.sides.map(|side| side.local.rtp.to_string());
        let mut desk = self.tools.desk(now);
        if let Err(error) = self.table.install(install, &self.epoll, &mut desk) {
            let facts = json!({ "ports": ports, "error": error.to_string() });
            self.records.push(Record::now(Level::Error, "ports_unwatched", facts));
        }
    }

    fn settle(&mut self, now: Time) {
        if now >= self.settle_at {
            let mut desk = self.tools.desk(now);
            let more = self.table.settle(&self.epoll, &mut desk);
            self.settle_at = match self.table.is_settled() {
                true => Time::FAR,
                false if more => now + SETTLE_AGAIN,
                false => now + SETTLE_EVERY,
            };
        }
    }
}
