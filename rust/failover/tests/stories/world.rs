//! A pool, and media servers that do as they are told: crash, hang, refuse, forget.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use mediaha_failover::{
    AddressFamily, Command, Config, Cookie, Event, Fault, Input, Output, Pool, ServerId, ServerSpec, ServerState,
    Token,
};
use mediaha_ng::{Reply, Request};
use mediaha_time::{Duration, Time};

use super::server::Server;

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

fn address(name: &str) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, name.as_bytes()[0]], 2223))
}

/// A list of calls' names: `c0`, `c1`, …
pub(crate) fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("c{number}")).collect()
}
