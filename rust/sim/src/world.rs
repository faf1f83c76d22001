//! A world: one pool, some servers, a network between them that lies, and a session control that makes calls.

use std::collections::{BTreeMap, VecDeque};

use mediaha_failover::{Command, Config, Cookie, Event, Input, Output, Pool, ServerId, ServerSpec, ServerState};
use mediaha_ng::{Datagram, Request};
use mediaha_time::{Duration, Time};

use crate::Kind;
use crate::calendar::{Calendar, Happens};
use crate::chance::Chance;
use crate::checks::{LEFT_WITHIN, MOVED_WITHIN};
use crate::effect::Effect;
use crate::late::Machine;
use crate::nets::{Act, Nets, Violation};
use crate::plan::{EMPTY_AT, HANGS_AT, HEALED_AT, Plan, SETTLED_AT, What};
use crate::server::Server;
use crate::story::Story;
use crate::tally::Tally;
use crate::telling::{asked, heard, told};

/// How often a packet goes through each server of a probed world.
const PROBE_MS: u64 = 100;
/// What a supervisor says of a process that was killed.
pub(crate) const EXIT: &str = "exit status 9";

/// Everything there is.
#[derive(Debug)]
pub struct World {
    pub(crate) now: Time,
    pub(crate) chance: Chance,
    calendar: Calendar,
    pool: Pool,
    tick_at: Option<Time>,
    /// While the pool does not run: until when, what has come, and whether it looks at the clock first.
    stalled: Option<(Time, VecDeque<Input>, bool)>,
    pub(crate) last_stall: Time,
    /// Who is late, if anybody is.
    pub(crate) machine: Option<Machine>,
    pub(crate) servers: Vec<Server>,
    /// What the pool calls them.
    ids: Vec<Option<ServerId>>,
    pub(crate) nets: Nets,
    pub(crate) tally: Tally,
    /// What happened.
    pub story: Story,
    /// What must not have happened.
    pub violations: Vec<Violation>,
}

impl World {
    /// The world of this seed; its story is kept when `told`.
    #[must_use]
    pub fn new(seed: u64, kind: Kind, told: bool) -> Self {
        let mut chance = Chance::new(seed);
        let plan = Plan::new(&mut chance, kind);
        let config = Config { probe_ms: if plan.probed { PROBE_MS } else { 0 }, ..Config::default() };
        Self::planned(seed, plan, config, chance, told)
    }

    /// One in which this happens.
    pub(crate) fn planned(seed: u64, plan: Plan, config: Config, mut chance: Chance, told: bool) -> Self {
        let Plan { servers, calls, faults, late, .. } = plan;
        let (lists, begins): (Vec<_>, Vec<_>) = calls.into_iter().unzip();
        let mut world = Self {
            now: Time::ZERO,
            calendar: Calendar::default(),
            pool: Pool::new(config, seed),
            tick_at: None,
            stalled: None,
            last_stall: Time::ZERO,
            ids: vec![None; servers.len()],
            machine: late.map(|lateness| Machine::new(lateness, servers.len(), HEALED_AT)),
            servers,
            nets: Nets::new(lists, Chance::new(chance.number())),
            chance,
            tally: Tally::default(),
            story: Story::new(told),
            violations: Vec::new(),
        };
        for (call, at) in begins.into_iter().enumerate() {
            world.arrange(at, Happens::Act(call, Act::Start));
        }
        for fault in faults {
            world.arrange(fault.at, Happens::Begin(fault.what));
        }
        let ends = [(HEALED_AT, Happens::Healed), (SETTLED_AT, Happens::Settled), (EMPTY_AT, Happens::Empty)];
        for (at, what) in ends {
            world.arrange(at, what);
        }
        world.configure();
        world
    }

    /// Let everything happen.
    pub fn run(&mut self) {
        while let Some((at, what)) = self.calendar.next() {
            self.now = at;
            let is_last = matches!(what, Happens::Empty);
            self.happen(what);
            self.serve_nets();
            if is_last || !self.violations.is_empty() {
                return;
            }
        }
    }

    fn happen(&mut self, what: Happens) {
        let Some(what) = self.in_time(what) else { return };
        match what {
            Happens::Wanted(command) => self.pool_input(Input::Command(command)),
            Happens::AtServer(server, datagram) => self.at_server(server, datagram),
            Happens::AtPool(server, datagram) => self.at_pool(server, &datagram),
            Happens::Unreachable(server) => self.pool_input(Input::Unreachable { server: self.id(server) }),
            Happens::ThroughServer(server, number, side, to) => self.through_server(server, number, side, to),
            Happens::Probed(server, number) => self.pool_input(Input::Probed { server: self.id(server), number }),
            Happens::StillGray(server, since, calls) => self.check_left(server, since, &calls),
            Happens::Tick if self.tick_at == Some(self.now) => {
                self.tick_at = None;
                self.pool_input(Input::Tick);
            }
            Happens::Tick => {}
            Happens::Resume => self.resume(),
            Happens::Act(call, act) => self.nets.act(call, act, self.now),
            Happens::Begin(what) => self.begin(what),
            Happens::End(server, id) => self.end(server, id),
            Happens::Told(server) => {
                let (server, why) = (self.servers[server].name.clone(), EXIT.to_owned());
                self.pool_input(Input::Command(Command::Died { server, why }));
            }
            Happens::Succeeding(server) => self.tell_of_succession(server),
            Happens::Succeeds(server, life, ending) => self.succeed(server, life, ending),
            Happens::Overdue(call, placed) => self.check_moved(call, placed),
            Happens::Healed => self.nets.quiet = true,
            Happens::Settled => {
                self.check_settled();
                for call in 0..self.nets.calls.len() {
                    self.nets.end(call, self.now);
                }
            }
            Happens::Empty => self.check_empty(),
        }
    }

    /// What happens now. What happens to a process that does not run now happens when it does.
    fn in_time(&mut self, what: Happens) -> Option<Happens> {
        let Some(machine) = &mut self.machine else { return Some(what) };
        let process = match &what {
            Happens::AtServer(server, ..) | Happens::ThroughServer(server, ..) => *server,
            Happens::AtPool(..) | Happens::Unreachable(_) | Happens::Probed(..) | Happens::Wanted(_) => {
                machine.pool()
            }
            Happens::Tick if self.tick_at == Some(self.now) => machine.pool(),
            _ => return Some(what),
        };
        let mut at = machine.runs_at(process, &mut self.chance, self.now);
        if at == self.now {
            return Some(what);
        }
        if matches!(what, Happens::Tick) {
            // What has come meanwhile is heard before anybody looks at the clock.
            at = at + Duration::from_micros(1);
            self.tick_at = Some(at);
        }
        self.arrange(at, what);
        None
    }

    /// Tell the pool what session control wants, and let it look at what became of it.
    fn serve_nets(&mut self) {
        loop {
            for (after, call, act) in std::mem::take(&mut self.nets.agenda) {
                self.arrange(self.now + after, Happens::Act(call, act));
            }
            let commands = std::mem::take(&mut self.nets.commands);
            if commands.is_empty() {
                break;
            }
            for command in commands {
                if self.machine.is_some() {
                    self.arrange(self.now, Happens::Wanted(command));
                } else {
                    self.pool_input(Input::Command(command));
                }
            }
        }
        self.judge_complaints();
        self.violations.append(&mut self.nets.violations);
    }

    fn begin(&mut self, what: What) {
        match what {
            What::Stall { until, clock_first } => self.stall(until, clock_first),
            What::Server { server, effect: Effect::Succession(_), .. } if !self.can_be_succeeded(server) => {}
            What::Server { server, effect, until, told_after } => {
                let now = self.now;
                self.story
                    .tell(now, || format!("m{} {effect:?} until {} ms", server + 1, until.as_nanos() / 1_000_000));
                let id = self.calendar.number();
                if effect == Effect::Gray && until >= now + LEFT_WITHIN && self.is_probed_through(server) {
                    let calls = self.nets.calls_on(&self.servers[server].name);
                    self.arrange(now + LEFT_WITHIN, Happens::StillGray(server, now, calls));
                }
                self.servers[server].effects.begin(id, effect.clone());
                match effect {
                    Effect::Down => {
                        self.servers[server].crash(number(server));
                        if let Some(after) = told_after {
                            self.arrange(self.now + after, Happens::Told(server));
                        }
                    }
                    Effect::Draining => self.drain(server, told_after.is_some()),
                    Effect::Succession(ending) => {
                        let life = self.servers[server].life();
                        self.arrange(until, Happens::Succeeds(server, life, ending));
                        self.arrange(now + told_after.unwrap_or_default(), Happens::Succeeding(server));
                    }
                    Effect::Unlisted => self.configure(),
                    _ => {}
                }
                if until < Time::FAR {
                    self.arrange(until, Happens::End(server, id));
                }
            }
        }
    }

    fn end(&mut self, server: usize, id: u64) {
        let was_waiting = !self.servers[server].is_running();
        self.servers[server].effects.end(id, self.now);
        self.story
            .tell(self.now, || format!("m{} one trouble less: {:?}", server + 1, self.servers[server].effects));
        if was_waiting && self.servers[server].is_running() {
            for reply in self.servers[server].resume(self.now) {
                self.send_to_pool(server, &reply);
            }
        }
        self.drain(server, true);
        self.configure();
    }

    /// Tell the server and, where somebody commands it, the pool, whether it drains.
    fn drain(&mut self, server: usize, commanded: bool) {
        let draining = self.servers[server].effects.has(&Effect::Draining);
        self.servers[server].drain(draining);
        if commanded {
            let server = self.servers[server].name.clone();
            self.pool_input(Input::Command(Command::Drain { server, draining }));
        }
    }

    /// Tell the pool which servers there are.
    fn configure(&mut self) {
        let listed = self.servers.iter().filter(|server| !server.effects.has(&Effect::Unlisted));
        let specs = listed.map(|one| ServerSpec { name: one.name.clone(), address: one.address }).collect();
        self.pool_input(Input::Command(Command::Servers(specs)));
    }

    fn stall(&mut self, until: Time, clock_first: bool) {
        if self.stalled.is_none() {
            self.story.tell(self.now, || format!("the pool is stopped until {} ms", until.as_nanos() / 1_000_000));
            self.stalled = Some((until, VecDeque::new(), clock_first));
            self.arrange(until, Happens::Resume);
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stalled.is_some()
    }

    fn resume(&mut self) {
        let Some((_, inputs, clock_first)) = self.stalled.take() else { return };
        self.story.tell(self.now, || "the pool runs again".into());
        self.last_stall = self.now;
        if clock_first {
            self.pool_input(Input::Tick);
        }
        for input in inputs {
            self.pool_input(input);
        }
        self.pool_input(Input::Tick);
    }

    pub(crate) fn pool_input(&mut self, input: Input) {
        if let Some((_, waiting, _)) = &mut self.stalled {
            waiting.push_back(input);
            return;
        }
        if let Input::Command(command) = &input {
            self.story.tell(self.now, || told(command));
        }
        let renames = matches!(input, Input::Command(Command::Servers(_)));
        self.pool.handle(input, self.now);
        if renames {
            self.learn_ids();
        }
        let mut adoptions: BTreeMap<ServerId, Vec<Vec<u8>>> = BTreeMap::new();
        while let Some(output) = self.pool.next_output() {
            match output {
                Output::Send { server, cookie, request } => {
                    self.tell_asked(server, cookie, &request);
                    let datagram = Datagram::asking(text(cookie), &request).to_bytes();
                    match request {
                        Request::Adopt(_) => adoptions.entry(server).or_default().push(datagram),
                        _ => self.send_to_server(server, &datagram),
                    }
                }
                Output::OpenProbe { server } => self.open_probe(server),
                Output::Probe { server, number, side, to } => self.probe(server, number, side, to),
                Output::Event(event) => self.hear(&event),
            }
        }
        for (server, datagrams) in adoptions {
            self.send_bundles(server, datagrams);
        }
        if let Some(at) = self.pool.wake_at().filter(|&at| self.tick_at != Some(at.max(self.now))) {
            let at = at.max(self.now);
            self.tick_at = Some(at);
            self.arrange(at, Happens::Tick);
        }
    }

    fn hear(&mut self, event: &Event) {
        self.story.tell(self.now, || heard(event));
        self.tally.hear(event, self.hung_at(event), self.now);
        if let Event::ServerState { server, state: ServerState::Suspect, why, .. } = event {
            self.judge_grayness(server, why);
        }
        if let Event::Moved { call_id, from_server, .. } = event {
            self.judge_move(call_id, from_server);
        }
        if let Event::ServerState { server, state: ServerState::Dead, why, .. } = event {
            self.judge_death(server, why);
            for (call, placed) in self.nets.calls_on(server) {
                self.arrange(self.now + MOVED_WITHIN, Happens::Overdue(call, placed));
            }
        }
        self.nets.hear(event, self.now);
    }

    /// Since when the server that the pool speaks of hangs in a world that is measured.
    fn hung_at(&self, event: &Event) -> Option<Time> {
        let (Event::ServerState { server: name, .. } | Event::Moved { from_server: name, .. }) = event else {
            return None;
        };
        let server = self.servers.iter().find(|server| server.name == *name)?;
        server.effects.has(&Effect::Hung).then_some(HANGS_AT)
    }

    fn tell_asked(&mut self, id: ServerId, cookie: Cookie, request: &Request) {
        let Some(server) = self.index(id).filter(|_| *request != Request::Ping) else { return };
        self.story.tell(self.now, || format!("  pool → m{} {:x} {}", server + 1, cookie.0, asked(request)));
    }

    pub(crate) fn arrange(&mut self, at: Time, what: Happens) {
        self.calendar.arrange(at, what);
    }

    /// The pool's name for a server. One that it has forgotten has none that matters.
    pub(crate) fn id(&self, server: usize) -> ServerId {
        self.ids[server].unwrap_or(ServerId(u16::MAX))
    }

    pub(crate) fn index(&self, id: ServerId) -> Option<usize> {
        self.ids.iter().position(|known| *known == Some(id))
    }

    /// The pool has been told which servers there are: what it calls them now.
    fn learn_ids(&mut self) {
        for view in self.pool.servers() {
            if let Some(server) = self.servers.iter().position(|server| server.address == view.address) {
                self.ids[server] = Some(view.id);
            }
        }
    }

    pub(crate) fn violate(&mut self, text: String) {
        self.violations.push(Violation(text));
    }
}

fn text(cookie: Cookie) -> Vec<u8> {
    format!("{:016x}", cookie.0).into_bytes()
}

pub(crate) fn number(server: usize) -> u8 {
    u8::try_from(server + 1).unwrap_or(u8::MAX)
}
