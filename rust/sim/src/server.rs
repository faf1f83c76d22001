//! A media server of the world: the real control of one, over a datapath that is a table.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;

use mediaha_media::testing::TableDatapath;
use mediaha_media::{Controller, ControllerConfig, Interface, StreamPlan, Unadoptable, Verdict, Written};
use mediaha_ng::bundle::{self, Bundle};
use mediaha_ng::{Datagram, Reply, Request, datagram_untrusted, reply_untrusted, request_untrusted};
use mediaha_time::Time;

use crate::effect::{Effect, Effects};

/// A server that takes so many calls is never full.
pub(crate) const ROOMY: usize = 1_000;
/// Its ports for RTP.
const PORTS: RangeInclusive<u16> = 20_000..=29_999;
/// What a socket holds while nobody reads it.
const SOCKET_DATAGRAMS_MAX: usize = 400;

/// One server and the way to it.
#[derive(Debug)]
pub(crate) struct Server {
    /// How lists name it.
    pub(crate) name: String,
    /// Its control port.
    pub(crate) address: SocketAddr,
    /// What is wrong at the moment.
    pub(crate) effects: Effects,
    /// Whether its host refuses packets to a port that nobody listens on, or swallows them.
    pub(crate) refuses: bool,
    /// How many calls it takes.
    pub(crate) sessions_max: usize,
    /// It does not tell its instance, as an rtpengine does not.
    pub(crate) is_foreign: bool,
    /// The shortest and longest way of a packet in microseconds, and how many in a thousand are lost.
    pub(crate) way_us: (u64, u64),
    /// See `way_us`.
    pub(crate) loss_permille: u64,
    lives: u32,
    controller: Controller,
    datapath: TableDatapath,
    /// What has come while it hung.
    waiting: Vec<Vec<u8>>,
    /// What it refused, by cookie: it says the same when it is asked again.
    refused: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Server {
    /// The `number`th server, running.
    pub(crate) fn new(number: u8, sessions_max: usize, is_foreign: bool) -> Self {
        let (controller, datapath) = process(number, 0, sessions_max);
        Self {
            name: format!("m{number}"),
            address: SocketAddr::from((Ipv4Addr::new(10, 0, 0, number), 2223)),
            effects: Effects::none(),
            refuses: true,
            sessions_max,
            is_foreign,
            way_us: (100, 1000),
            loss_permille: 0,
            lives: 0,
            controller,
            datapath,
            waiting: Vec::new(),
            refused: BTreeMap::new(),
        }
    }

    /// Whether the process is there and runs.
    pub(crate) fn is_running(&self) -> bool {
        !self.effects.has(&Effect::Down) && !self.waits()
    }

    /// Whether nobody reads what is sent to it at the moment.
    fn waits(&self) -> bool {
        self.effects.has(&Effect::Hung) || self.effects.succession()
    }

    /// Whether the process is there, or its sockets are.
    pub(crate) fn is_up(&self) -> bool {
        !self.effects.has(&Effect::Down)
    }

    /// The process dies, and with it everything it knew.
    pub(crate) fn crash(&mut self, number: u8) {
        self.lives += 1;
        self.waiting.clear();
        self.refused.clear();
        (self.controller, self.datapath) = process(number, self.lives, self.sessions_max);
    }

    /// Which process it is.
    pub(crate) fn life(&self) -> u32 {
        self.lives
    }

    /// The next process goes on with what this one has left.
    ///
    /// # Errors
    /// Why it cannot.
    pub(crate) fn succeed(&mut self, number: u8, now: Time) -> Result<(), Unadoptable> {
        let calls = self.sessions(now).iter().filter_map(|id| self.controller.written_call(id)).collect();
        let written = Written { ledger: self.controller.written_ledger(), calls };
        let mut datapath = std::mem::replace(&mut self.datapath, TableDatapath::new(PORTS)).killed();
        let config = config(number, self.lives, self.sessions_max);
        self.controller = Controller::adopt(config, &written, &mut datapath, now)?;
        (self.datapath, self.refused) = (datapath, BTreeMap::new());
        Ok(())
    }

    /// The next process starts without a memory, and reads what waits in the sockets.
    pub(crate) fn forget(&mut self, number: u8) {
        let waiting = std::mem::take(&mut self.waiting);
        self.crash(number);
        self.waiting = waiting;
    }

    /// It was told to drain, or not to any more.
    pub(crate) fn drain(&mut self, draining: bool) {
        self.controller.drain(draining);
    }

    /// It runs again; what has waited in its socket is answered now.
    pub(crate) fn resume(&mut self, now: Time) -> Vec<Vec<u8>> {
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().filter_map(|datagram| self.answer(&datagram, now)).collect()
    }

    /// A datagram has arrived at a process that is up; what it answers at once.
    pub(crate) fn receive(&mut self, datagram: Vec<u8>, now: Time) -> Option<Vec<u8>> {
        if self.waits() {
            if self.waiting.len() < SOCKET_DATAGRAMS_MAX {
                self.waiting.push(datagram);
            }
            return None;
        }
        self.answer(&datagram, now)
    }

    /// A packet of a probe has come to one of its media ports; where it sends it on to.
    pub(crate) fn forward(
        &mut self,
        at: SocketAddr,
        number: u64,
        source: SocketAddr,
        now: Time,
    ) -> Option<SocketAddr> {
        if !self.is_running() || self.effects.has(&Effect::Gray) {
            return None;
        }
        let [.., high, low] = number.to_be_bytes();
        let packet = [0x80, 0, high, low, 0, 0, 0, 0, 0, 0, 0, 1, 0];
        match self.datapath.packet(at, &packet, source, now)? {
            Verdict::Forward { to, .. } => Some(to),
            Verdict::Drop(_) => None,
        }
    }

    /// The calls it has, probes left out.
    pub(crate) fn calls(&mut self, now: Time) -> BTreeSet<Vec<u8>> {
        self.sessions(now).into_iter().filter(|id| !is_probe(id)).collect()
    }

    fn sessions(&mut self, now: Time) -> Vec<Vec<u8>> {
        let asked = Datagram::asking(b"sim".to_vec(), &Request::List { limit: 100_000 });
        let reply = self.controller.handle(&asked.to_bytes(), self.address, &mut self.datapath, now);
        let body = reply.and_then(|bytes| datagram_untrusted(&bytes).ok()).map(|datagram| datagram.body);
        let ids = body.as_ref().and_then(|body| body.get("calls")).and_then(mediaha_ng::Value::list);
        ids.unwrap_or_default().iter().filter_map(mediaha_ng::Value::text).map(<[u8]>::to_vec).collect()
    }

    /// Whether it may have lost its memory without anybody being able to see it: a foreign server that forgot a call,
    /// and is asked to change it, creates half of it without a word.
    pub(crate) fn may_have_half_a_call(&self) -> bool {
        self.is_foreign && self.lives > 0
    }

    /// The streams it forwards.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &StreamPlan> {
        self.datapath.plans().map(|(_, plan)| plan)
    }

    /// Whether it can take any number of calls.
    pub(crate) fn has_room(&self) -> bool {
        self.sessions_max >= ROOMY
    }

    /// Whether nothing is left in it: no call, no stream, no port, but for those of a probe.
    pub(crate) fn is_empty(&mut self, now: Time) -> bool {
        let (sessions, streams) = (self.sessions(now), self.datapath.plans().count());
        let only_probes = sessions.len() <= 1 && sessions.iter().all(|id| is_probe(id));
        only_probes && streams == sessions.len() && self.datapath.open_ports().count() == 2 * streams
    }

    /// What it answers to a datagram: of a bundle, to each request by itself.
    fn answer(&mut self, datagram: &[u8], now: Time) -> Option<Vec<u8>> {
        let asked = datagram_untrusted(datagram).ok();
        let requests = asked.as_ref().and_then(|asked| Some((asked, bundle::requests(&asked.body)?)));
        let Some((asked, requests)) = requests.filter(|_| self.effects.failing().is_some()) else {
            return self.answer_one(datagram, now);
        };
        let mut replies = Bundle::default();
        for reply in requests.filter_map(|request| self.answer_one(request, now)) {
            let _ = replies.add(reply, mediaha_ng::DATAGRAM_BYTES_MAX);
        }
        let (cookie, encoding) = (asked.cookie.clone(), asked.encoding);
        Some(Datagram { cookie, encoding, body: replies.into_replies() }.to_bytes())
    }

    fn answer_one(&mut self, datagram: &[u8], now: Time) -> Option<Vec<u8>> {
        let cookie = datagram.split(|&byte| byte == b' ').next().unwrap_or_default();
        if let Some(refusal) = self.refused.get(cookie) {
            return Some(refusal.clone());
        }
        if let Some(refusal) = self.effects.failing().and_then(|reason| refusal(datagram, reason)) {
            self.refused.insert(cookie.to_vec(), refusal.clone());
            return Some(refusal);
        }
        let reply =
            self.controller.handle(datagram, SocketAddr::from(([10, 0, 1, 1], 9)), &mut self.datapath, now)?;
        Some(if self.is_foreign { without_instance(reply) } else { reply })
    }
}

/// A fresh process of the `number`th server.
fn process(number: u8, life: u32, sessions_max: usize) -> (Controller, TableDatapath) {
    (Controller::new(config(number, life, sessions_max)), TableDatapath::new(PORTS))
}

fn config(number: u8, life: u32, sessions_max: usize) -> ControllerConfig {
    let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, number));
    let interface = Interface { name: "default".into(), local: address, advertised: address };
    let mut config = ControllerConfig::new(vec![interface], format!("{number}-{life}").into_bytes());
    config.sessions_max = sessions_max;
    config
}

/// The error with which a failing server answers offers, answers and adoptions; the rest it does.
fn refusal(datagram: &[u8], reason: &str) -> Option<Vec<u8>> {
    let asked = datagram_untrusted(datagram).ok()?;
    let request = request_untrusted(&asked.body).ok()?;
    let is_media = matches!(request, Request::Offer(_) | Request::Answer(_) | Request::Adopt(_));
    is_media.then(|| asked.answered_by(&Reply::error(reason)).to_bytes())
}

fn without_instance(bytes: Vec<u8>) -> Vec<u8> {
    let Ok(mut datagram) = datagram_untrusted(&bytes) else { return bytes };
    match reply_untrusted(&datagram.body) {
        Ok(Reply::Pong { .. }) => {
            datagram.body =
                Reply::Pong { instance: None, load: None, draining: false, adopts: false }.to_dictionary();
            datagram.to_bytes()
        }
        _ => bytes,
    }
}

fn is_probe(call_id: &[u8]) -> bool {
    call_id.starts_with(mediaha_ng::PROBE_CALL_IDS.as_bytes())
}
