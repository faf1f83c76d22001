//! The control thread: `ng` datagrams in, replies out, timers in between.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mediaha_media::{Controller, Expired, ExpiryReason};
use mediaha_time::{Duration, Time};
use serde_json::json;

use super::config::{MediaServerConfig, StartError};
use super::counter::{Counter, Unsent};
use super::orders::{Order, Orders};
use super::statistics::{self, About};
use super::succession::{self, Beginning};
use crate::estate::{Estate, Heard, Line};
use crate::failure::Failure;
use crate::record::{Level, Record, Records};
use crate::relay::Relay;
use crate::sys::{Epoll, Events, Trigger, monotonic};

/// For how long a worker that sleeps may not know of a change: it is woken once for all changes of this time. Packets that come
/// meanwhile wait in their sockets.
const RING_WITHIN: Duration = Duration::from_micros(500);
/// How often the workers' load is measured.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);
/// How soon it is tried again to send the keeper what it has not taken yet.
const FLUSH_AGAIN: Duration = Duration::from_millis(1);

const NG: u64 = 0;
const ORDERS: u64 = 1;
const FAILURE: u64 = 2;
const ESTATE: u64 = 3;

/// What the control thread owns.
pub(crate) struct Control {
    about: About,
    epoll: Epoll,
    counter: Counter,
    listen_ng: SocketAddr,
    controller: Controller,
    datapath: Relay,
    /// What a successor is to find, if there is anybody to keep it.
    estate: Option<Estate>,
    /// The keeper has not been sent everything yet.
    behind: bool,
    handing_over: bool,
    orders: Listening,
    records: Records,
    failure: Failure,
    sample_at: Time,
    /// When workers must be woken for what they were told.
    ring_at: Option<Time>,
    /// There is something to be done when there is nothing else to do.
    chores: bool,
}

/// Whoever waits for an answer must not wait for a thread that has ended, whichever way.
struct Listening(Arc<Orders>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Control {
    /// Binds the control port and starts the workers; with a `line`, goes on where a former life of this server stopped.
    pub(crate) fn start(
        config: &MediaServerConfig,
        line: Option<Line>,
        orders: Arc<Orders>,
        records: Records,
        failure: Failure,
    ) -> Result<Self, StartError> {
        let Beginning { counter, about, mut datapath, controller, estate } =
            succession::begin(config, line, &records, &failure)?;
        let unbound = |error| StartError::Control { listen_ng: config.listen_ng, error };
        let listen_ng = counter.address().map_err(unbound)?;
        let epoll = watch(&counter, &orders, &failure, estate.as_ref()).map_err(StartError::Resources)?;
        datapath.workers_mut().gather();
        orders.drain(controller.is_draining());
        let facts = facts(config, listen_ng, &about);
        records.push(Record::now(Level::Info, "media_server_started", facts));
        let mut control = Self {
            about,
            epoll,
            counter,
            listen_ng,
            controller,
            datapath,
            estate,
            behind: false,
            handing_over: false,
            orders: Listening(orders),
            records,
            failure,
            sample_at: monotonic() + SAMPLE_EVERY,
            ring_at: None,
            chores: true,
        };
        control.keep();
        Ok(control)
    }

    pub(crate) fn listen_ng(&self) -> SocketAddr {
        self.listen_ng
    }

    /// Works until it is told to stop or to let another process go on, or something fails for good.
    ///
    /// # Panics
    /// If the kernel refuses to wait.
    pub(crate) fn run(mut self) {
        let mut events = Events::new(4);
        while !self.orders.0.is_stopping() && self.failure.why().is_none() && !self.handing_over {
            let now = monotonic();
            let flush_at = self.behind.then(|| now + FLUSH_AGAIN);
            let wake_at = [self.controller.wake_at(), self.ring_at, flush_at];
            let wake_at = wake_at.into_iter().flatten().fold(self.sample_at, Time::min);
            let patience = if self.chores { Duration::ZERO } else { wake_at.since(now) };
            self.epoll.wait(&mut events, Some(patience)).expect("epoll waits");
            if events.is_empty() && self.chores {
                self.chores = self.datapath.look_ahead();
            }
            if events.iter().any(|ready| ready.token == ORDERS) {
                self.obey();
            }
            if events.iter().any(|ready| ready.token == ESTATE) {
                self.listen_to_keeper();
            }
            if events.iter().any(|ready| ready.token == NG) {
                self.answer();
            }
            self.tick();
            self.keep();
        }
        self.end();
    }

    /// In this order: when the line closes, another process takes over what the workers work on.
    fn end(self) {
        let Self { estate, controller, mut datapath, orders, failure, records, handing_over, .. } = self;
        if estate.is_some() && (handing_over || failure.why().is_some()) {
            datapath.leave_behind();
        }
        // Something has failed: the line stays open until the process has ended, with whatever of it is stuck.
        let Some(mut estate) = estate.filter(|_| failure.why().is_none()) else { return };
        if !handing_over {
            return estate.farewell();
        }
        estate.write_ledger(&controller);
        let sessions = controller.sessions();
        drop(datapath);
        estate.leave();
        // In this order: the record wakes whoever then asks.
        orders.0.handed_over();
        records.push(Record::now(Level::Info, "handed_over", json!({ "sessions": sessions })));
    }

    fn answer(&mut self) {
        let Self { controller, datapath, estate, .. } = self;
        let unsent = self.counter.serve(
            estate,
            |estate, request, client| {
                let reply = controller.handle(request, client, &mut **datapath, monotonic());
                if let Some(estate) = estate {
                    estate.write_down(controller);
                }
                reply
            },
            // What a client knows, a successor knows.
            |estate| _ = estate.as_ref().map(Estate::flush),
        );
        for word in self.controller.take_passed_over() {
            let facts =
                json!({ "option": String::from_utf8_lossy(&word), "hint": "see docs/ng.md for what is there" });
            self.records.push(Record::now(Level::Info, "ng_option_passed_over", facts));
        }
        for Unsent { client, error } in unsent {
            let facts = json!({ "client": client.to_string(), "error": error.to_string() });
            self.records.push(Record::now(Level::Debug, "reply_not_sent", facts));
        }
    }

    fn tick(&mut self) {
        let now = monotonic();
        if now >= self.sample_at {
            self.datapath.sample(now);
            self.controller.look(&*self.datapath, now);
            self.sample_at = now + SAMPLE_EVERY;
        }
        if self.controller.wake_at().is_some_and(|at| now >= at) {
            for expired in self.controller.tick(&mut *self.datapath, now) {
                self.records.push(expiry(&expired));
            }
        }
        self.ring(now);
    }

    fn ring(&mut self, now: Time) {
        if !self.datapath.workers().is_unrung() {
            self.ring_at = None;
        } else if *self.ring_at.get_or_insert(now + RING_WITHIN) <= now {
            self.datapath.workers_mut().ring();
            self.ring_at = None;
        }
    }

    /// Sees to it that a successor would find everything.
    fn keep(&mut self) {
        if let Some(estate) = &mut self.estate {
            estate.write_down(&mut self.controller);
            self.behind = estate.flush();
        }
    }

    fn listen_to_keeper(&mut self) {
        let Some(estate) = &self.estate else { return };
        match estate.heard() {
            Heard::HandOver => self.handing_over = true,
            Heard::Nothing => {}
            // Whoever supervises this process is gone, and ends it by other means.
            Heard::Gone => drop(self.epoll.remove(estate)),
        }
    }

    fn obey(&mut self) {
        let orders = &self.orders.0;
        orders.bell.drain();
        self.controller.drain(orders.is_draining());
        self.datapath.keep_ports(!orders.is_draining());
        self.chores = true;
        if let Some(estate) = &mut self.estate {
            estate.write_ledger(&self.controller);
        }
        while let Some(order) = orders.take() {
            match order {
                Order::Statistics(reply) => {
                    let counted = self.controller.statistics(&*self.datapath);
                    let tallies = self.datapath.workers().tallies();
                    let json = statistics::to_json(&self.about, &counted, &tallies, self.records.dropped());
                    // Whoever asked may have gone.
                    let _ = reply.try_send(json.to_string());
                }
            }
        }
    }
}

fn watch(counter: &Counter, orders: &Orders, failure: &Failure, estate: Option<&Estate>) -> io::Result<Epoll> {
    let epoll = Epoll::new()?;
    epoll.add(counter, NG, Trigger::Level)?;
    epoll.add(&orders.bell, ORDERS, Trigger::Level)?;
    epoll.add(failure.bell(), FAILURE, Trigger::Level)?;
    if let Some(estate) = estate {
        epoll.add(estate, ESTATE, Trigger::Level)?;
    }
    Ok(epoll)
}

fn facts(config: &MediaServerConfig, listen_ng: SocketAddr, about: &About) -> serde_json::Value {
    json!({
        "name": about.name,
        "listen_ng": listen_ng.to_string(),
        "interfaces": config.interfaces.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "ports": format!("{}-{}", config.ports.start(), config.ports.end()),
        "workers": config.workers.max(1),
        "sessions_max": config.sessions_max,
        "datapath": about.datapath,
        "datapath_reason": about.datapath_reason,
    })
}

fn expiry(expired: &Expired) -> Record {
    let reason = match expired.reason {
        ExpiryReason::Silent => "silent",
        ExpiryReason::Held => "held",
        ExpiryReason::Orphan => "orphan",
        ExpiryReason::Deleted => "deleted",
    };
    let level = if expired.reason == ExpiryReason::Deleted { Level::Debug } else { Level::Info };
    let facts = json!({ "call_id": String::from_utf8_lossy(&expired.call_id), "reason": reason });
    Record::now(level, "call_expired", facts)
}
