//! The pool: what happened is handed to whom it concerns, and what they decide is put into the outbox.
//!
//! ```text
//!   commands ──▶ [commands]                       ┌──▶ [walking]  an offer walks the list
//!   replies  ──▶ by cookie: what was asked for ───┼──▶ [moving]   a dead server's calls are created anew
//!   refusals ──▶ [watching] ── a server died ─────┤    [serving]  later offers and answers
//!   ticks    ──▶ timers                           └──▶ [owing]    what servers must still delete
//! ```

mod commands;
mod moving;
mod owing;
mod probing;
mod serving;
mod walking;
mod watching;

use std::collections::VecDeque;

use mediaha_ng::{AddressFamily, Media, Options, PROBE_CALL_IDS, Reply, Request};
use mediaha_time::{Duration, Time};

use crate::call::{Proposal, Step};
use crate::config::Config;
use crate::event::{Event, ServerView};
use crate::exchange::{Cookie, Input, Output, ServerId};
use crate::family;
use crate::fence::Fence;
use crate::flights::{Due, Flight, Flights, Purpose};
use crate::registry::{CallId, CallKey, Calls};
use crate::servers::Servers;
use crate::stall::StallGuard;
use crate::story::Asked;
use crate::timers::{Timer, Timers};
use crate::window::Window;

/// Watches media servers, places calls on them, and moves the calls of one that dies.
///
/// After each [`handle`](Self::handle), take [`next_output`](Self::next_output) until it is `None`, then come back
/// with a `Tick` at [`wake_at`](Self::wake_at) or with whatever happens before.
#[derive(Debug)]
pub struct Pool {
    config: Config,
    servers: Servers,
    calls: Calls,
    flights: Flights,
    fence: Fence,
    timers: Timers,
    stall: StallGuard,
    /// Begins the names of the probes' sessions: nobody else's are called like that.
    probes: String,
    /// Calls that wait to be created anew, and how many are being so.
    queue: VecDeque<CallKey>,
    moving: usize,
    window: Window,
    outbox: VecDeque<Output>,
}

/// A reply to an offer or an answer, judged.
enum Judged {
    Usable(Vec<u8>),
    /// The whole call was taken over: the SDP for the callee, and that for the caller.
    Adopted(Vec<u8>, Vec<u8>),
    /// The request itself is at fault.
    Callers(String),
    /// The server does not know the call.
    UnknownCall(String),
    /// The server is full.
    Full(String),
    /// The server has no address of a family that a party is reached by: what it gives leads nowhere.
    Unfit(String),
    /// The server failed in some other way.
    Failed(String),
}

impl Pool {
    /// A pool without servers. `seed` decides where cookies start; two runs with the same seed and inputs are the
    /// same.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Self {
        let window = Window::new(config.moves_in_flight_max);
        Self {
            config,
            servers: Servers::default(),
            calls: Calls::default(),
            flights: Flights::new(seed),
            fence: Fence::default(),
            timers: Timers::default(),
            stall: StallGuard::default(),
            probes: format!("{PROBE_CALL_IDS}{seed:016x}"),
            queue: VecDeque::new(),
            moving: 0,
            window,
            outbox: VecDeque::new(),
        }
    }

    /// Something happened at `now`, which never runs backwards. Nothing times out but with a `Tick`: who has been late itself gives
    /// what has come meanwhile first.
    pub fn handle(&mut self, input: Input, now: Time) {
        if let Some(stopped) = self.stall.woken(self.wake_at(), self.config.stall_ms_min, now) {
            self.servers.excuse(stopped, &self.config, now);
        }
        match input {
            Input::Command(command) => self.command(command, now),
            Input::Reply { server, cookie, reply } => self.reply(server, cookie, reply, now),
            Input::Unreachable { server } => self.unreachable(server, now),
            Input::ProbeOpened { server, ours } => self.probe_opened(server, ours, now),
            Input::Probed { server, number } => self.probed(server, number, now),
            Input::Tick if self.stall.is_running(now) => self.run_timers(now),
            Input::Tick => {}
        }
        self.start_moves(now);
    }

    /// The next thing to do, oldest first.
    pub fn next_output(&mut self) -> Option<Output> {
        self.outbox.pop_front()
    }

    /// When the next `Tick` is wanted; `None` while there is nothing to wait for.
    #[must_use]
    pub fn wake_at(&self) -> Option<Time> {
        let first = [self.timers.next_at(), self.servers.next_at(&self.config)].into_iter().flatten().min()?;
        Some(first.max(self.stall.not_before()))
    }

    /// The servers in the order of the last [`Command::Servers`](crate::Command::Servers), then those that are
    /// configured no longer and still have calls.
    #[must_use]
    pub fn servers(&self) -> Vec<ServerView> {
        let view = |(id, server): (ServerId, &crate::servers::Server)| {
            let (state, why, since) = server.in_words();
            ServerView {
                id,
                name: server.name.to_string(),
                address: server.address,
                state,
                why,
                since,
                calls: server.calls.len(),
                owed: self.fence.owed(id),
                rtt: server.rtt.smoothed(),
                forwards: server.probe.forwards(),
                listed: server.listed,
            }
        };
        self.servers.in_order().map(view).collect()
    }

    /// How many calls the pool holds, being set up, served, or waiting for a server.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    fn run_timers(&mut self, now: Time) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Flight(cookie) => self.flight_due(cookie, now),
                Timer::Call(key) => self.call_due(key, now),
                Timer::Debts(server) => self.pay(server, now),
            }
        }
        for server in self.servers.ids() {
            self.look_after(server, now);
            self.probe(server, now);
        }
    }

    fn flight_due(&mut self, cookie: Cookie, now: Time) {
        match self.flights.due(cookie, now) {
            Due::Later => {}
            Due::Resend { server, request, next_at } => {
                if self.moving > 0 {
                    self.window.shrink();
                }
                self.outbox.push_back(Output::Send { server, cookie, request });
                self.timers.set(next_at, Timer::Flight(cookie));
            }
            Due::GivenUp(flight) => match &flight.purpose {
                Purpose::Delete(call_id) => self.delete_unanswered(flight.server, call_id, now),
                Purpose::Audit(_) => self.audit_unanswered(flight.server),
                // These are given up by the call they belong to, never by their own timer.
                Purpose::Walk(_) | Purpose::Rebuild(_) | Purpose::Wish(_) => {}
                Purpose::Probe => self.probe_answered(flight.server, cookie, None, now),
            },
        }
    }

    fn call_due(&mut self, key: CallKey, now: Time) {
        self.wish_due(key, now);
        self.walk_on(key, now);
        self.rebuild_due(key, now);
        self.strand_due(key, now);
    }

    fn reply(&mut self, server: ServerId, cookie: Cookie, reply: Reply, now: Time) {
        if self.pong(server, cookie, &reply, now) {
            return;
        }
        let Some((flight, rtt)) = self.flights.arrive(server, cookie, now) else {
            if let Reply::Sdp(_) | Reply::Adopted { .. } = reply {
                self.late_winner(server, cookie, now);
            }
            return;
        };
        self.sign_of_life(server, rtt.filter(|_| self.is_one_of_few(&flight)), now);
        match flight.purpose {
            Purpose::Walk(key) if flight.is_adoption() && reply.is_unrecognized_command() => {
                self.adopts_no_more(key, server, cookie, now);
            }
            Purpose::Walk(key) => {
                let judged = self.fitting(&flight, judge(reply));
                self.walk_answered(key, cookie, judged, rtt.is_some(), now);
            }
            Purpose::Rebuild(key) => {
                let judged = self.fitting(&flight, judge(reply));
                self.rebuild_answered(key, cookie, judged, now);
            }
            Purpose::Wish(key) => {
                let judged = self.fitting(&flight, judge(reply));
                self.wish_answered(key, cookie, judged, now);
            }
            Purpose::Delete(call_id) => self.delete_answered(server, &call_id, now),
            Purpose::Probe => self.probe_answered(server, cookie, Some(reply), now),
            Purpose::Audit(key) => self.audit_answered(server, key, &judge(reply), now),
        }
    }

    /// An SDP that leads to another family than it was asked for is no use. The server is asked last from now on, for calls that
    /// need that family.
    fn fitting(&mut self, flight: &Flight, judged: Judged) -> Judged {
        let (wanted, wanted_back) = flight.families();
        let lacks =
            |sdp: &[u8], family: Option<AddressFamily>| family.filter(|&family| !family::fits(sdp, family));
        let lacking = match &judged {
            Judged::Usable(sdp) => lacks(sdp, wanted),
            Judged::Adopted(sdp, answer_sdp) => lacks(sdp, wanted).or_else(|| lacks(answer_sdp, wanted_back)),
            _ => None,
        };
        let Some(family) = lacking else { return judged };
        if let Some(one) = self.servers.get_mut(flight.server) {
            one.lacks.insert(family);
        }
        Judged::Unfit(format!("lacks an {} address", if family == AddressFamily::V4 { "IPv4" } else { "IPv6" }))
    }

    /// Requests sent in bulk wait for one another at the server; how long says little about a single one.
    fn is_one_of_few(&self, flight: &Flight) -> bool {
        matches!(flight.purpose, Purpose::Walk(_) | Purpose::Wish(_)) && self.moving == 0
    }

    /// Send a request now, and again until it is answered or closed.
    fn send(
        &mut self,
        server: ServerId,
        purpose: Purpose,
        request: Request,
        give_up_at: Time,
        now: Time,
    ) -> Cookie {
        let resend_every = self.resend_every(server, &purpose);
        let cookie = self.flights.depart(server, purpose, request.clone(), resend_every, give_up_at, now);
        self.outbox.push_back(Output::Send { server, cookie, request });
        self.timers.set((now + resend_every).min(give_up_at), Timer::Flight(cookie));
        cookie
    }

    /// A server that is given much to do at once is not asked twice as quickly as an idle one.
    fn resend_every(&self, server: ServerId, purpose: &Purpose) -> Duration {
        let measured = self.servers.get(server).map(|one| one.rtt.resend_after()).unwrap_or_default();
        let is_bulk = match purpose {
            Purpose::Rebuild(_) | Purpose::Delete(_) => true,
            Purpose::Walk(_) => self.moving > 0,
            Purpose::Wish(_) | Purpose::Audit(_) | Purpose::Probe => false,
        };
        if is_bulk { measured.max(Duration::from_millis(self.config.move_try_ms_min) / 3) } else { measured }
    }

    fn request(&self, call_id: &CallId, step: Step) -> Request {
        let media = self.media(call_id, step.proposal);
        if step.asked == Asked::Answer { Request::Answer(media) } else { Request::Offer(media) }
    }

    fn media(&self, call_id: &CallId, Proposal { from, to, sdp, family }: Proposal) -> Media {
        let (call_id, options) = (call_id.to_vec(), self.config.options.clone());
        let options = Options { address_family: family.or(options.address_family), ..options };
        Media { call_id, from_tag: from, to_tag: to, via_branch: None, sdp, options }
    }

    fn tell(&mut self, event: Event) {
        self.outbox.push_back(Output::Event(event));
    }
}

fn judge(reply: Reply) -> Judged {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (callers, limit, unknown) = (reply.is_callers_fault(), reply.is_limit(), reply.is_unknown_call());
    match reply {
        Reply::Sdp(sdp) => Judged::Usable(sdp),
        Reply::Adopted { sdp, answer_sdp } => Judged::Adopted(sdp, answer_sdp),
        Reply::LoadLimit { message } => Judged::Full(text(&message)),
        Reply::Error { reason } if callers => Judged::Callers(text(&reason)),
        Reply::Error { reason } if limit => Judged::Full(text(&reason)),
        Reply::Error { reason } if unknown => Judged::UnknownCall(text(&reason)),
        Reply::Error { reason } => Judged::Failed(text(&reason)),
        Reply::Pong { .. } | Reply::Done(_) => Judged::Failed("answered without SDP".into()),
    }
}

fn millis(span: u64) -> Duration {
    Duration::from_millis(span)
}
