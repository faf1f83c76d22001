//! The control side of a media server: `ng` requests in, replies out.
//!
//! A request goes through `requests` (what it does to the table of calls), `matching` (which dialogue it means)
//! and `exchange` (what its SDP does to the streams). `blocking` withholds what parties send. `report` answers questions, `expiry` says when the clock
//! ends a call.

mod admission;
mod blocking;
mod call;
mod calls;
mod circles;
mod config;
mod exchange;
mod expiry;
mod interfaces;
mod matching;
mod mux;
mod passed_over;
mod refusal;
mod report;
mod requests;
mod statistics;
mod summary;
mod sweep;
mod switchboard;
mod trends;
mod written;

use std::net::SocketAddr;

use mediaha_ng::bundle::{self, Bundle};
use mediaha_ng::{
    DATAGRAM_BYTES_MAX, Datagram, Dictionary, Duplicates, DuplicatesConfig, Reply, Request, datagram_untrusted,
    reason, request_untrusted,
};
use mediaha_time::Time;

pub use self::admission::NoRoom;
use self::calls::{Calls, is_probe};
pub use self::config::ControllerConfig;
pub use self::expiry::{Expired, ExpiryReason};
use self::passed_over::PassedOver;
pub use self::statistics::{Refused, Statistics};
use self::sweep::Sweep;
use self::switchboard::Ledger;
pub use self::trends::{Trend, Trends};
pub use self::written::{Unadoptable, Written};
use crate::datapath::Datapath;

/// How many calls one tick looks at; the rest is due at once. A mass expiry must not keep offers waiting.
const CALLS_PER_TICK_MAX: usize = 256;

/// Owns the calls, and tells a [`Datapath`] what to forward.
#[derive(Debug)]
pub struct Controller {
    config: ControllerConfig,
    calls: Calls,
    duplicates: Duplicates,
    ledger: Ledger,
    trends: Trends,
    /// A look at the sums that is under way.
    sweep: Option<Sweep>,
    passed_over: PassedOver,
    /// What is counted as it happens; the rest of it is filled in when somebody asks.
    counted: Statistics,
    draining: bool,
}

impl Controller {
    /// A controller without calls.
    #[must_use]
    pub fn new(config: ControllerConfig) -> Self {
        Self {
            config,
            calls: Calls::default(),
            duplicates: Duplicates::new(DuplicatesConfig::default()),
            ledger: Ledger::default(),
            trends: Trends::default(),
            sweep: None,
            passed_over: PassedOver::default(),
            counted: Statistics::default(),
            draining: false,
        }
    }

    /// Takes one datagram from the control port; gives the datagram to send back to `source`, if any. A repeated
    /// cookie gets the same answer again, and nothing is done twice.
    pub fn handle(
        &mut self,
        datagram: &[u8],
        source: SocketAddr,
        datapath: &mut dyn Datapath,
        now: Time,
    ) -> Option<Vec<u8>> {
        self.ledger.asked(now);
        match datagram_untrusted(datagram) {
            // Nobody has asked for it here, and two servers that answered each other's replies would never stop.
            Ok(asked) if is_reply(&asked.body) => {
                self.counted.unreadable += 1;
                None
            }
            Ok(asked) => Some(match bundle::requests(&asked.body) {
                Some(requests) => self.answer_all(&asked, requests, source, datapath, now),
                None => self.answer_once(&asked, source, datapath, now),
            }),
            Err(error) => {
                self.counted.unreadable += 1;
                error.reply().map(|reply| reply.to_bytes())
            }
        }
    }

    /// Ends the calls whose time has come. It may leave some for the next tick: [`Controller::wake_at`] then lies
    /// in the past.
    pub fn tick(&mut self, datapath: &mut dyn Datapath, now: Time) -> Vec<Expired> {
        let mut expired = Vec::new();
        for _ in 0..CALLS_PER_TICK_MAX {
            let Some(call_id) = self.calls.due(now) else { break };
            let Some(call) = self.calls.find(&call_id) else { break };
            let (ends_at, reason) = expiry::end_of(call, report::heard(call, datapath), &self.config);
            if ends_at > now {
                self.calls.check_at(&call_id, ends_at);
            } else {
                self.end(&call_id, datapath, now);
                self.counted.expired += 1;
                expired.push(Expired { call_id: call_id.to_vec(), reason });
            }
        }
        expired
    }

    /// When [`Controller::tick`] wants to be called next; `None` while there is nothing to wait for.
    #[must_use]
    pub fn wake_at(&self) -> Option<Time> {
        self.calls.next_check()
    }

    /// Starts or stops refusing new calls. Calls that exist go on, and can be changed.
    pub fn drain(&mut self, draining: bool) {
        self.draining = draining;
    }

    /// Whether new calls are refused.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Why the datapath is the one it is.
    #[must_use]
    pub fn datapath_reason(&self) -> &str {
        &self.config.datapath_reason
    }

    /// How many calls there are, probes not counted.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.calls.counted()
    }

    /// What this server has done since it started, and is doing now; of probes only what has ended. Looks at every stream.
    #[must_use]
    pub fn statistics(&self, datapath: &dyn Datapath) -> Statistics {
        let (mut streams, mut traffic) = (0, self.ledger.ended);
        for (_, call) in self.calls.iter().filter(|(call_id, _)| !is_probe(call_id)) {
            for stream in call.relayed() {
                streams += 1;
                traffic.add(&datapath.counters(stream.id).unwrap_or_default());
            }
        }
        let sessions = self.calls.counted() as u64;
        let (draining, load, trends) = (self.draining, datapath.load(), self.trends);
        let no_room = admission::no_room(&self.config, draining, self.calls.counted(), &load);
        Statistics { sessions, streams, trends, draining, no_room, load, ..self.counted }.carrying(&traffic)
    }

    /// What clients have asked for and does not exist here, each word once, for a log.
    pub fn take_passed_over(&mut self) -> Vec<Vec<u8>> {
        self.passed_over.take()
    }

    /// Takes note of how what is counted grows, if it is time to. To be called twice a second: with many calls it takes several times
    /// until all are looked at, so that no request waits for that.
    pub fn look(&mut self, datapath: &dyn Datapath, now: Time) {
        if self.sweep.is_none() && !self.trends.is_due(now) {
            return;
        }
        let ended = self.ledger.ended;
        let sweep = self.sweep.get_or_insert_with(|| Sweep::from(ended));
        if let Some(traffic) = sweep.go_on(&self.calls, datapath) {
            self.sweep = None;
            let sums = Statistics { load: datapath.load(), ..self.counted }.carrying(&traffic);
            self.trends.look(&sums, now);
        }
    }

    /// Answers the requests of a bundle, each by itself. Replies for which there is no room are left out: who misses one asks again.
    fn answer_all<'a>(
        &mut self,
        asked: &Datagram,
        requests: impl Iterator<Item = &'a [u8]>,
        source: SocketAddr,
        datapath: &mut dyn Datapath,
        now: Time,
    ) -> Vec<u8> {
        let mut replies = Bundle::default();
        for request in requests {
            let reply = match datagram_untrusted(request) {
                Ok(one) => Some(self.answer_once(&one, source, datapath, now)),
                Err(error) => {
                    self.counted.unreadable += 1;
                    error.reply().map(|reply| reply.to_bytes())
                }
            };
            if let Some(reply) = reply {
                let _ = replies.add(reply, DATAGRAM_BYTES_MAX);
            }
        }
        let (cookie, encoding) = (asked.cookie.clone(), asked.encoding);
        Datagram { cookie, encoding, body: replies.into_replies() }.to_bytes()
    }

    /// Answers a request, or repeats the answer that it had before.
    fn answer_once(
        &mut self,
        asked: &Datagram,
        source: SocketAddr,
        datapath: &mut dyn Datapath,
        now: Time,
    ) -> Vec<u8> {
        if let Some(reply) = self.duplicates.lookup(source, &asked.cookie, now) {
            self.counted.duplicates += 1;
            return reply.to_vec();
        }
        let (reply, changes) = self.reply(&asked.body, datapath, now);
        let bytes = asked.answered_by(&reply).to_bytes();
        // Pings come by the thousand, and a question may be answered differently the next time.
        if changes {
            self.duplicates.remember(source, &asked.cookie, bytes.clone(), now);
        }
        bytes
    }

    /// The reply, and whether carrying the request out twice would do harm.
    fn reply(&mut self, body: &Dictionary, datapath: &mut dyn Datapath, now: Time) -> (Reply, bool) {
        let request = match request_untrusted(body) {
            Ok(request) => request,
            Err(error) => {
                self.counted.refused += 1;
                return (Reply::error(error.reason()), false);
            }
        };
        match request {
            Request::Ping => (self.pong(datapath), false),
            Request::Offer(media) => (self.offer(&media, datapath, now), true),
            Request::Answer(media) => (self.answer(&media, datapath, now), true),
            Request::Adopt(adoption) => (self.take_over(&adoption, datapath, now), true),
            Request::Delete(delete) => (self.delete(&delete, datapath, now), true),
            Request::Block(block) => (self.block(&block, datapath, now), true),
            Request::Query(query) => (self.query(&query, datapath), false),
            Request::List { limit } => (report::list(self.calls.iter().map(|(call_id, _)| call_id), limit), false),
            Request::Statistics => {
                let uptime = self.ledger.began.map(|began| now.since(began)).unwrap_or_default();
                (summary::statistics(&self.statistics(datapath), uptime, &self.config), false)
            }
            Request::Unsupported(_) => {
                self.counted.refused += 1;
                (Reply::error(reason::UNRECOGNIZED_COMMAND), false)
            }
        }
    }
}

/// Whether somebody replies; to us, for all that whoever has forged our address knows.
fn is_reply(body: &Dictionary) -> bool {
    body.text("command").is_none() && body.text("result").is_some()
}
