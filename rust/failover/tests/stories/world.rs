//! A pool, and media servers that do as they are told: crash, hang, refuse, forget.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use mediaha_failover::{
    AddressFamily, Command, Config, Cookie, Event, Fault, Input, Output, Pool, ServerId, ServerSpec, ServerState,
    Token,
};
use mediaha_ng::{Adoption, Reply, Request};
use mediaha_time::{Duration, Time};

/// One way between the pool and a server.
const WAY: Duration = Duration::from_micros(300);

pub(crate) struct World {
    pub(crate) pool: Pool,
    pub(crate) now: Time,
    pub(crate) servers: BTreeMap<&'static str, Server>,
    ids: BTreeMap<ServerId, &'static str>,
    wire: VecDeque<(Time, Arrival)>,
    pub(crate) events: Vec<(Time, Event)>,
    tokens: u64,
}

#[allow(clippy::large_enum_variant, reason = "few, and short-lived")]
enum Arrival {
    AtServer(&'static str, Cookie, Request),
    AtPool(&'static str, Cookie, Reply),
    Unreachable(&'static str),
    ThroughServer(&'static str, u64),
    Back(&'static str, u64),
}

impl Arrival {
    fn is_for_pool(&self) -> bool {
        matches!(self, Self::AtPool(..) | Self::Unreachable(_) | Self::Back(..))
    }
}

/// A server: what it knows, and how it behaves.
#[allow(clippy::struct_excessive_bools, reason = "each is one way to misbehave")]
pub(crate) struct Server {
    id: ServerId,
    up: bool,
    hung: bool,
    /// Whether its host says that nobody listens, when nobody does.
    pub(crate) refuses: bool,
    /// What it answers to offers and answers instead of doing them.
    pub(crate) error: Option<&'static str>,
    /// It answers offers and answers so much later; and this is for pings.
    pub(crate) slow: Duration,
    pub(crate) slow_pongs: Duration,
    /// It does not tell its instance.
    pub(crate) is_foreign: bool,
    pub(crate) draining: bool,
    /// It answers, and forwards nothing; or so much later.
    pub(crate) gray: bool,
    pub(crate) late: Duration,
    /// It forwards nothing of what comes from the first party.
    pub(crate) gray_one_way: bool,
    /// It takes calls over with one request, and says so; or only says so.
    pub(crate) adopts: bool,
    pub(crate) adopts_no_more: bool,
    /// It has addresses of this family alone.
    pub(crate) only: Option<AddressFamily>,
    life: u8,
    /// Its calls, and the SDP each party was last heard to say.
    pub(crate) calls: BTreeMap<String, BTreeMap<String, String>>,
    /// Every request other than pings, retransmissions included.
    pub(crate) asked: Vec<String>,
    waiting: Vec<(Cookie, Request)>,
}

impl World {
    /// Servers of these names, all known to be there.
    pub(crate) fn new(names: &[&'static str]) -> Self {
        let mut world = Self::unheard(names);
        world.run_ms(30);
        world
    }

    /// The same; a packet goes through each of them every 100 ms.
    pub(crate) fn probed(names: &[&'static str]) -> Self {
        Self::probed_every(100, names)
    }

    pub(crate) fn probed_every(probe_ms: u64, names: &[&'static str]) -> Self {
        let mut world = Self::with(names, Config { probe_ms, ..Config::default() });
        world.run_ms(500);
        world
    }

    /// The same, before the first of them has answered.
    pub(crate) fn unheard(names: &[&'static str]) -> Self {
        Self::with(names, Config::default())
    }

    fn with(names: &[&'static str], config: Config) -> Self {
        let mut world = Self {
            pool: Pool::new(config, 7),
            now: Time::from_millis(1_000),
            servers: names.iter().map(|&name| (name, Server::new())).collect(),
            ids: BTreeMap::new(),
            wire: VecDeque::new(),
            events: Vec::new(),
            tokens: 0,
        };
        world.configure(names);
        world
    }

    pub(crate) fn configure(&mut self, names: &[&'static str]) {
        let spec = |&name: &&'static str| ServerSpec { name: name.to_owned(), address: address(name) };
        self.command(Command::Servers(names.iter().map(spec).collect()));
        for view in self.pool.servers() {
            let (&name, server) = self.servers.iter_mut().find(|(name, _)| **name == view.name).unwrap();
            server.id = view.id;
            self.ids.insert(view.id, name);
        }
    }

    pub(crate) fn server(&mut self, name: &str) -> &mut Server {
        self.servers.get_mut(name).unwrap()
    }

    /// The process dies with all it knew.
    pub(crate) fn crash(&mut self, name: &str) {
        let server = self.server(name);
        (server.up, server.hung) = (false, false);
        server.calls.clear();
        server.waiting.clear();
    }

    /// A new process in its place.
    pub(crate) fn start(&mut self, name: &str) {
        let server = self.server(name);
        server.up = true;
        server.life += 1;
    }

    pub(crate) fn hang(&mut self, name: &str) {
        self.server(name).hung = true;
    }

    /// It runs again, and does what has waited in its socket.
    pub(crate) fn resume(&mut self, name: &'static str) {
        self.server(name).hung = false;
        for (cookie, request) in std::mem::take(&mut self.server(name).waiting) {
            self.at_server(name, cookie, request);
        }
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.input(Input::Command(command));
    }

    pub(crate) fn token(&mut self) -> Token {
        self.tokens += 1;
        Token(self.tokens)
    }

    /// `from` offers; the call is `c` unless said otherwise.
    pub(crate) fn offer_of(
        &mut self,
        call: &str,
        from: &str,
        to: Option<&str>,
        sdp: &str,
        list: &[&str],
    ) -> Token {
        let token = self.token();
        self.command(Command::Offer {
            token,
            call_id: call.into(),
            from_tag: from.into(),
            to_tag: to.map(Into::into),
            sdp: sdp.into(),
            family: None,
            servers: list.iter().map(|&name| name.to_owned()).collect(),
        });
        token
    }

    pub(crate) fn answer_of(&mut self, call: &str, from: &str, to: &str, sdp: &str) -> Token {
        let token = self.token();
        let (call_id, from_tag, to_tag, sdp) = (call.into(), from.into(), to.into(), sdp.into());
        self.command(Command::Answer { token, call_id, from_tag, to_tag, sdp, family: None });
        token
    }

    /// The caller's offer to somebody who is reached by this family.
    pub(crate) fn offer_to(
        &mut self,
        call: &str,
        family: Option<AddressFamily>,
        sdp: &str,
        list: &[&str],
    ) -> Token {
        let (token, servers) = (self.token(), list.iter().map(|&name| name.to_owned()).collect());
        let (call_id, from_tag, sdp) = (call.into(), "caller".into(), sdp.into());
        self.command(Command::Offer { token, call_id, from_tag, to_tag: None, sdp, family, servers });
        token
    }

    /// The callee's answer to a caller who is reached by this family.
    pub(crate) fn answer_to(&mut self, call: &str, family: Option<AddressFamily>, sdp: &str) -> Token {
        let token = self.token();
        let (call_id, from_tag, to_tag, sdp) = (call.into(), "caller".into(), "callee".into(), sdp.into());
        self.command(Command::Answer { token, call_id, from_tag, to_tag, sdp, family });
        token
    }

    pub(crate) fn delete(&mut self, call: &str) -> Token {
        let token = self.token();
        self.command(Command::Delete { token, call_id: call.into() });
        token
    }

    /// A call that rings: the caller has offered `a1`.
    pub(crate) fn ring(&mut self, call: &str, list: &[&str]) {
        let token = self.offer_of(call, "caller", None, "a1", list);
        self.run_ms(20);
        assert!(self.anchored(token).is_some(), "{:#?}", self.events);
    }

    /// A call in which both talk: `a1` and `b1`.
    pub(crate) fn talk(&mut self, call: &str, list: &[&str]) {
        self.ring(call, list);
        let token = self.answer_of(call, "caller", "callee", "b1");
        self.run_ms(20);
        assert!(self.anchored(token).is_some(), "{:#?}", self.events);
    }

    /// Time passes, and all that happens in it happens.
    pub(crate) fn run_ms(&mut self, ms: u64) {
        self.run(Duration::from_millis(ms));
    }

    pub(crate) fn run(&mut self, span: Duration) {
        let until = self.now + span;
        loop {
            let wire = self.wire.iter().map(|(at, _)| *at).min();
            let tick = self.pool.wake_at().map(|at| at.max(self.now));
            let Some(at) = [wire, tick].into_iter().flatten().min().filter(|&at| at <= until) else { break };
            self.now = at;
            if wire == Some(at) {
                let next = self.wire.iter().position(|(due, _)| *due == at).unwrap();
                let (_, arrival) = self.wire.remove(next).unwrap();
                self.arrive(arrival);
            } else {
                self.input(Input::Tick);
            }
        }
        self.now = until;
    }

    /// The pool's thread is stopped while time passes; then it looks at the clock, and then reads what has come.
    pub(crate) fn stall_ms(&mut self, ms: u64) {
        self.now = self.now + Duration::from_millis(ms);
        self.input(Input::Tick);
    }

    /// Time passes, and the pool's thread is so late each time that it wants to look at the clock; then it reads what has come first.
    pub(crate) fn run_late(&mut self, ms: u64, late: Duration) {
        let until = self.now + Duration::from_millis(ms);
        while self.now < until {
            let due = self.pool.wake_at().unwrap_or(until).max(self.now);
            let at = (due + late).min(until);
            // What has come meanwhile has not woken it either; servers run as they will.
            while let Some(next) = self.wire.iter().position(|(due, what)| *due <= at && !what.is_for_pool()) {
                let (due, arrival) = self.wire.remove(next).unwrap();
                self.now = self.now.max(due);
                self.arrive(arrival);
            }
            self.now = at;
            while let Some(next) = self.wire.iter().position(|(due, _)| *due <= at) {
                let (_, arrival) = self.wire.remove(next).unwrap();
                self.arrive(arrival);
            }
            self.input(Input::Tick);
        }
    }

    /// Which server took the command, if one did.
    pub(crate) fn anchored(&self, wanted: Token) -> Option<String> {
        self.events.iter().find_map(|(_, event)| match event {
            Event::Anchored { token, server, .. } if *token == wanted => Some(server.clone()),
            _ => None,
        })
    }

    pub(crate) fn refused(&self, wanted: Token) -> Option<(Fault, String)> {
        self.events.iter().find_map(|(_, event)| match event {
            Event::Refused { token, fault, reason, .. } if *token == wanted => Some((*fault, reason.clone())),
            _ => None,
        })
    }

    pub(crate) fn deleted(&self, wanted: Token) -> bool {
        self.events.iter().any(|(_, event)| matches!(event, Event::Deleted { token, .. } if *token == wanted))
    }

    /// All moves: from, to, SDP for the caller, SDP for the callee.
    pub(crate) fn moves(&self) -> Vec<(String, String, Option<String>, Option<String>)> {
        let text = |sdp: &Option<Vec<u8>>| sdp.as_ref().map(|sdp| String::from_utf8(sdp.clone()).unwrap());
        self.events
            .iter()
            .filter_map(|(_, event)| match event {
                Event::Moved { from_server, server, sdp_for_caller, sdp_for_callee, .. } => {
                    Some((from_server.clone(), server.clone(), text(sdp_for_caller), text(sdp_for_callee)))
                }
                _ => None,
            })
            .collect()
    }

    pub(crate) fn stranded(&self) -> usize {
        self.events.iter().filter(|(_, event)| matches!(event, Event::Stranded { .. })).count()
    }

    /// When the server was said to be in this state.
    pub(crate) fn said_at(&self, name: &str, wanted: ServerState) -> Option<Time> {
        self.events.iter().rev().find_map(|(at, event)| match event {
            Event::ServerState { server, state, .. } if server == name && *state == wanted => Some(*at),
            _ => None,
        })
    }

    pub(crate) fn state(&self, name: &str) -> ServerState {
        self.pool.servers().into_iter().find(|view| view.name == name).unwrap().state
    }

    /// The servers that have the call.
    pub(crate) fn places(&self, call: &str) -> Vec<&'static str> {
        let has = |(_, server): &(&&'static str, &Server)| server.up && server.calls.contains_key(call);
        self.servers.iter().filter(has).map(|(name, _)| *name).collect()
    }

    fn input(&mut self, input: Input) {
        self.pool.handle(input, self.now);
        while let Some(output) = self.pool.next_output() {
            match output {
                Output::Event(event) => self.events.push((self.now, event)),
                Output::OpenProbe { server } => {
                    let ours = [4000, 4002].map(|port| SocketAddr::from(([10, 9, 0, 1], port)));
                    self.input(Input::ProbeOpened { server, ours });
                }
                Output::Probe { server, number, .. } => {
                    if let Some(&name) = self.ids.get(&server) {
                        self.wire.push_back((self.now + WAY, Arrival::ThroughServer(name, number)));
                    }
                }
                Output::Send { server, cookie, request } => {
                    if let Some(&name) = self.ids.get(&server) {
                        self.wire.push_back((self.now + WAY, Arrival::AtServer(name, cookie, request)));
                    }
                }
            }
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::AtServer(name, cookie, request) => self.at_server(name, cookie, request),
            Arrival::AtPool(name, cookie, reply) => {
                let server = self.server(name).id;
                self.input(Input::Reply { server, cookie, reply });
            }
            Arrival::ThroughServer(name, number) => {
                let way = WAY + self.server(name).late;
                if self.server(name).forwards() && !(self.server(name).gray_one_way && number % 2 == 0) {
                    self.wire.push_back((self.now + way, Arrival::Back(name, number)));
                }
            }
            Arrival::Back(name, number) => {
                let server = self.server(name).id;
                self.input(Input::Probed { server, number });
            }
            Arrival::Unreachable(name) => {
                let server = self.server(name).id;
                self.input(Input::Unreachable { server });
            }
        }
    }

    fn at_server(&mut self, name: &'static str, cookie: Cookie, request: Request) {
        let now = self.now;
        let server = self.server(name);
        if !server.up {
            if server.refuses {
                self.wire.push_back((now + WAY, Arrival::Unreachable(name)));
            }
        } else if server.hung {
            server.waiting.push((cookie, request));
        } else {
            let slow = if request == Request::Ping { server.slow_pongs } else { server.slow };
            let reply = server.reply(name, &request);
            self.wire.push_back((now + slow + WAY, Arrival::AtPool(name, cookie, reply)));
        }
    }
}

impl Server {
    fn new() -> Self {
        Self {
            id: ServerId(0),
            up: true,
            hung: false,
            refuses: true,
            error: None,
            slow: Duration::ZERO,
            slow_pongs: Duration::ZERO,
            is_foreign: false,
            draining: false,
            gray: false,
            late: Duration::ZERO,
            gray_one_way: false,
            adopts: false,
            adopts_no_more: false,
            only: None,
            life: 1,
            calls: BTreeMap::new(),
            asked: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// A session of the pool's own, and not what it knew before it was restarted.
    fn forwards(&self) -> bool {
        self.up && !self.hung && !self.gray && self.calls.keys().any(|call| is_probe(call))
    }

    /// What it was asked, the probe's session left out.
    pub(crate) fn asked_for_calls(&self) -> Vec<&str> {
        self.asked.iter().map(String::as_str).filter(|asked| !asked.contains(mediaha_ng::PROBE_CALL_IDS)).collect()
    }

    /// Its own address in the SDP, of the family that is asked for if it has one.
    fn rewritten(&self, name: &str, sdp: &str, family: Option<AddressFamily>) -> Vec<u8> {
        let address = match family.map(|wanted| self.only.unwrap_or(wanted)) {
            None => String::new(),
            Some(AddressFamily::V4) => "\nc=IN IP4 10.0.0.1".to_owned(),
            Some(AddressFamily::V6) => "\nc=IN IP6 ::1".to_owned(),
        };
        let sdp = if family.is_some() { "" } else { sdp };
        format!("{sdp}@{name}{address}").into_bytes()
    }

    fn reply(&mut self, name: &str, request: &Request) -> Reply {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        match request {
            Request::Ping => {
                let instance = (!self.is_foreign).then(|| vec![self.life]);
                Reply::Pong { instance, load: None, draining: self.draining, adopts: self.adopts }
            }
            Request::Offer(media) | Request::Answer(media) => {
                let is_offer = matches!(request, Request::Offer(_));
                let (call, sdp) = (text(&media.call_id), text(&media.sdp));
                let speaker = if is_offer { text(&media.from_tag) } else { text(media.to_tag.as_ref().unwrap()) };
                let to = media
                    .options
                    .address_family
                    .map(|family| format!(" to {}", family.text()))
                    .unwrap_or_default();
                self.asked.push(format!("{} {call} {sdp}{to}", if is_offer { "offer" } else { "answer" }));
                if let Some(error) = self.error {
                    return Reply::error(error);
                }
                if !is_offer && !self.calls.contains_key(&call) {
                    return Reply::error(mediaha_ng::reason::UNKNOWN_CALL);
                }
                self.calls.entry(call).or_default().insert(speaker, sdp.clone());
                Reply::Sdp(self.rewritten(name, &sdp, media.options.address_family))
            }
            Request::Adopt(_) if self.adopts_no_more => {
                self.adopts = false;
                Reply::error(mediaha_ng::reason::UNRECOGNIZED_COMMAND)
            }
            Request::Adopt(Adoption { offer, answer_sdp }) if self.adopts => {
                let call = text(&offer.call_id);
                let answer = answer_sdp.as_ref().map(|answer| text(answer));
                self.asked.push(format!("adopt {call} {} {}", text(&offer.sdp), answer.as_deref().unwrap_or("-")));
                if let Some(error) = self.error {
                    return Reply::error(error);
                }
                let parties = self.calls.entry(call).or_default();
                parties.insert(text(&offer.from_tag), text(&offer.sdp));
                let families =
                    (offer.options.address_family, offer.options.address_family.map(|_| family_of(&offer.sdp)));
                let sdp = self.rewritten(name, &text(&offer.sdp), families.0);
                let Some(answer) = answer else { return Reply::Sdp(sdp) };
                let parties = self.calls.entry(text(&offer.call_id)).or_default();
                parties.insert(text(offer.to_tag.as_ref().unwrap()), answer.clone());
                Reply::Adopted { sdp, answer_sdp: self.rewritten(name, &answer, families.1) }
            }
            Request::Delete(delete) => {
                let call = text(&delete.call_id);
                self.asked.push(format!("delete {call}"));
                self.calls.remove(&call);
                Reply::ok()
            }
            Request::Query(query) if self.calls.contains_key(&text(&query.call_id)) => Reply::ok(),
            _ => Reply::error(mediaha_ng::reason::UNKNOWN_CALL),
        }
    }
}

pub(crate) fn is_probe(call: &str) -> bool {
    call.starts_with(mediaha_ng::PROBE_CALL_IDS)
}

fn address(name: &str) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, name.as_bytes()[0]], 2223))
}

/// A list of calls' names: `c0`, `c1`, …
pub(crate) fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("c{number}")).collect()
}

fn family_of(sdp: &[u8]) -> AddressFamily {
    if sdp.starts_with(b"c=IN IP6") { AddressFamily::V6 } else { AddressFamily::V4 }
}
