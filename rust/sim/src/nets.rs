//! The session control of the world: makes calls, answers, changes and ends them, and notes what the pool says.
//!
//! ```text
//!   Idle ──▶ Setup ──▶ Ringing ──▶ Answering ──▶ Talking ◀──▶ Changing ──▶ Changed ──▶ Confirming ──▶ Talking
//!              │          │            │            │            (re-offer sent, taken, answered)
//!              └──────────┴────────────┴────────────┴──▶ Gone (now and then to begin again under the same id)
//! ```

use std::collections::{BTreeMap, HashMap};

use mediaha_failover::{Command, Event, Fault, Token};
use mediaha_time::{Duration, Time};

use crate::call::{Call, Leg, Phase, sdp, tags};
use crate::chance::Chance;

/// What session control does next with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// The caller calls.
    Start,
    /// The callee answers.
    Answer,
    /// One of them changes the media.
    Change,
    /// The other one agrees, or refuses.
    Confirm,
    /// One of them hangs up.
    Hangup,
}

/// A command that has no final event yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    /// Of which call.
    pub(crate) call: usize,
    /// Since when.
    pub(crate) at: Time,
}

/// Something that the pool must not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

/// A refusal or stranding that the world must judge.
#[derive(Debug)]
pub(crate) struct Complaint {
    /// Which call.
    pub(crate) call: usize,
    /// Since when it was being done.
    pub(crate) since: Time,
    /// In words.
    pub(crate) what: String,
}

/// All calls.
#[derive(Debug)]
pub(crate) struct Nets {
    chance: Chance,
    /// The calls.
    pub(crate) calls: Vec<Call>,
    by_id: HashMap<Vec<u8>, usize>,
    /// Commands without a final event.
    pub(crate) open: BTreeMap<Token, Open>,
    next_token: u64,
    next_port: u16,
    /// What to do later: after so long, with which call.
    pub(crate) agenda: Vec<(Duration, usize, Act)>,
    /// What to tell the pool now.
    pub(crate) commands: Vec<Command>,
    /// What the pool must not have done.
    pub(crate) violations: Vec<Violation>,
    /// What it may have done.
    pub(crate) complaints: Vec<Complaint>,
    /// Nothing new is begun any more.
    pub(crate) quiet: bool,
}

impl Nets {
    /// Calls with these lists.
    pub(crate) fn new(lists: Vec<Vec<String>>, chance: Chance) -> Self {
        let call = |(number, list)| Call {
            id: format!("call-{number}").into_bytes(),
            list,
            phase: Phase::Idle,
            server: None,
            placed: 0,
            has_moved: false,
            stranded: false,
            legs: [Leg::default(), Leg::default()],
            change: (0, 0),
            open: None,
        };
        let calls: Vec<Call> = lists.into_iter().enumerate().map(call).collect();
        let by_id = calls.iter().enumerate().map(|(index, call)| (call.id.clone(), index)).collect();
        Self {
            chance,
            calls,
            by_id,
            open: BTreeMap::new(),
            next_token: 0,
            next_port: 10_000,
            agenda: Vec::new(),
            commands: Vec::new(),
            violations: Vec::new(),
            complaints: Vec::new(),
            quiet: false,
        }
    }

    /// It is time to do this with that call, if it still makes sense.
    pub(crate) fn act(&mut self, index: usize, act: Act, now: Time) {
        match (act, self.calls[index].phase) {
            (Act::Start, Phase::Idle | Phase::Gone) if !self.quiet => self.start(index, now),
            (Act::Answer, Phase::Ringing) => self.answer(index, now),
            (Act::Change, Phase::Talking) if !self.quiet => self.change(index, now),
            (Act::Confirm, Phase::Changed) => self.confirm(index, now),
            (Act::Hangup, phase) if phase != Phase::Idle && !self.quiet => self.end(index, now),
            _ => {}
        }
    }

    /// The call ends now, if it has not already.
    pub(crate) fn end(&mut self, index: usize, now: Time) {
        if !matches!(self.calls[index].phase, Phase::Idle | Phase::Gone) {
            self.hang_up(index, now);
        }
    }

    /// The calls that this server has, and which of their places it is.
    pub(crate) fn calls_on(&self, server: &str) -> Vec<(usize, u32)> {
        let is_there = |call: &Call| call.phase.has_media() && call.server.as_deref() == Some(server);
        self.calls
            .iter()
            .enumerate()
            .filter(|(_, call)| is_there(call))
            .map(|(index, call)| (index, call.placed))
            .collect()
    }

    /// The pool says something.
    pub(crate) fn hear(&mut self, event: &Event, now: Time) {
        match event {
            Event::Anchored { token, call_id, server, sdp, .. } => {
                self.expect_address(call_id, server, sdp);
                if let Some(index) = self.finish(*token, call_id) {
                    self.anchored(index, server, now);
                }
            }
            Event::Refused { token, call_id, fault, reason, .. } => {
                let since = self.open.get(token).map_or(now, |open| open.at);
                if let Some(index) = self.finish(*token, call_id) {
                    self.refused(index, *fault, reason, since, now);
                }
            }
            Event::Deleted { token, call_id } => drop(self.finish(*token, call_id)),
            Event::Moved { call_id, server, sdp_for_caller, sdp_for_callee, .. } => {
                self.moved(call_id, server, [sdp_for_caller.as_deref(), sdp_for_callee.as_deref()]);
            }
            Event::Stranded { call_id, why, .. } => {
                let index = self.by_id[call_id];
                self.calls[index].stranded = true;
                let what = format!("stranded: {why}");
                self.complaints.push(Complaint { call: index, since: now, what });
            }
            Event::ServerState { .. } => {}
        }
    }

    fn start(&mut self, index: usize, now: Time) {
        let port = self.port();
        let call = &mut self.calls[index];
        (call.phase, call.server, call.stranded, call.has_moved) = (Phase::Setup, None, false, false);
        call.legs = [Leg { port, offered: Vec::new() }, Leg::default()];
        self.offer(index, 0, port, now);
        if self.chance.happens(60) {
            self.later(0, 60, index, Act::Hangup);
        }
    }

    fn answer(&mut self, index: usize, now: Time) {
        let port = self.port();
        self.calls[index].phase = Phase::Answering;
        self.calls[index].change = (0, port);
        self.send_answer(index, 0, port, now);
    }

    fn change(&mut self, index: usize, now: Time) {
        let (port, by) = (self.port(), self.chance.index(2));
        let call = &mut self.calls[index];
        (call.phase, call.change) = (Phase::Changing, (by, port));
        call.legs[by].offered.push(port);
        self.offer(index, by, port, now);
    }

    fn confirm(&mut self, index: usize, now: Time) {
        let (by, _) = self.calls[index].change;
        if self.chance.happens(200) {
            // The other party refused: nobody tells the server, and the old media goes on.
            self.calls[index].phase = Phase::Talking;
            return;
        }
        self.calls[index].phase = Phase::Confirming;
        let port = self.calls[index].legs[1 - by].port;
        self.send_answer(index, by, port, now);
    }

    fn hang_up(&mut self, index: usize, now: Time) {
        let token = self.token(index, now);
        let call = &mut self.calls[index];
        // An offer that nobody has answered may arrive after the next one; nothing the pool could do about that.
        let may_straggle = call.phase == Phase::Setup || call.stranded || call.has_moved;
        (call.phase, call.open) = (Phase::Gone, None);
        self.commands.push(Command::Delete { token, call_id: call.id.clone() });
        if !may_straggle && self.chance.happens(80) {
            self.later(0, 40, index, Act::Start);
        }
    }

    fn anchored(&mut self, index: usize, server: &str, now: Time) {
        let call = &mut self.calls[index];
        call.place(server);
        match call.phase {
            Phase::Setup => {
                call.phase = Phase::Ringing;
                self.later(0, 600, index, Act::Answer);
            }
            Phase::Answering => {
                call.phase = Phase::Talking;
                call.legs[1].port = call.change.1;
                self.talk(index);
            }
            Phase::Changing => {
                call.phase = Phase::Changed;
                self.later(0, 400, index, Act::Confirm);
            }
            Phase::Confirming => {
                call.phase = Phase::Talking;
                call.legs[call.change.0] = Leg { port: call.change.1, offered: Vec::new() };
                self.talk(index);
            }
            phase => self.violations.push(Violation(format!("anchored while {phase:?} at {now:?}"))),
        }
    }

    fn refused(&mut self, index: usize, fault: Fault, reason: &str, since: Time, now: Time) {
        let call = &mut self.calls[index];
        let what = format!("{:?} refused as {}: {reason}", call.phase, fault.as_str());
        match (fault, call.phase) {
            (Fault::NoServer, Phase::Setup) => call.phase = Phase::Gone,
            (Fault::NoServer, Phase::Changing) => call.phase = Phase::Talking,
            (Fault::NoServer, _) => self.hang_up(index, now),
            _ => self.violations.push(Violation(what.clone())),
        }
        self.complaints.push(Complaint { call: index, since, what });
    }

    fn moved(&mut self, call_id: &[u8], server: &str, sdps: [Option<&[u8]>; 2]) {
        let call = &mut self.calls[self.by_id[call_id]];
        call.place(server);
        call.has_moved = true;
        if call.phase == Phase::Gone {
            return; // whoever has hung up meanwhile tells nobody
        }
        let is_answered = !matches!(call.phase, Phase::Ringing | Phase::Answering);
        if sdps[1].is_none() || sdps[0].is_some() != is_answered {
            let text = format!("{} {:?} moved with the wrong SDP", String::from_utf8_lossy(call_id), call.phase);
            self.violations.push(Violation(text));
        }
        for sdp in sdps.into_iter().flatten() {
            self.expect_address(call_id, server, sdp);
        }
    }

    /// The final event of a command; its call, if that still waits for it.
    fn finish(&mut self, token: Token, call_id: &[u8]) -> Option<usize> {
        let Some(open) = self.open.remove(&token) else {
            let text = format!("a second final event for {token:?} of {}", String::from_utf8_lossy(call_id));
            self.violations.push(Violation(text));
            return None;
        };
        let call = &mut self.calls[open.call];
        call.open.take_if(|waits| *waits == token).map(|_| open.call)
    }

    /// The SDP must lead to the server that was named: `m3` is at 10.0.0.3.
    fn expect_address(&mut self, call_id: &[u8], server: &str, sdp: &[u8]) {
        let address = format!("c=IN IP4 10.0.0.{}\r\n", server.trim_start_matches('m'));
        if !sdp.windows(address.len()).any(|window| window == address.as_bytes()) {
            let text = format!("{} got an SDP that does not lead to {server}", String::from_utf8_lossy(call_id));
            self.violations.push(Violation(text));
        }
    }

    fn talk(&mut self, index: usize) {
        if self.chance.happens(600) {
            self.later(0, 2500, index, Act::Change);
        }
        if self.chance.happens(250) {
            self.later(0, 4000, index, Act::Hangup);
        }
    }

    fn offer(&mut self, index: usize, by: usize, port: u16, now: Time) {
        let token = self.token(index, now);
        let call = &mut self.calls[index];
        call.open = Some(token);
        let tags = tags(&call.id);
        let to_tag = (call.phase != Phase::Setup).then(|| tags[1 - by].clone());
        let (from_tag, call_id, servers) = (tags[by].clone(), call.id.clone(), call.list.clone());
        let sdp = sdp(by, port);
        self.commands.push(Command::Offer { token, call_id, from_tag, to_tag, sdp, family: None, servers });
    }

    fn send_answer(&mut self, index: usize, offerer: usize, port: u16, now: Time) {
        let token = self.token(index, now);
        let call = &mut self.calls[index];
        call.open = Some(token);
        let mut tags = tags(&call.id);
        tags.rotate_left(offerer);
        let [from_tag, to_tag] = tags;
        let (call_id, sdp) = (call.id.clone(), sdp(1 - offerer, port));
        self.commands.push(Command::Answer { token, call_id, from_tag, to_tag, sdp, family: None });
    }

    fn later(&mut self, ms_min: u64, ms_max: u64, index: usize, act: Act) {
        let after = Duration::from_millis(self.chance.within(ms_min..=ms_max));
        self.agenda.push((after, index, act));
    }

    fn token(&mut self, call: usize, now: Time) -> Token {
        self.next_token += 1;
        let token = Token(self.next_token);
        self.open.insert(token, Open { call, at: now });
        token
    }

    fn port(&mut self) -> u16 {
        self.next_port = if self.next_port >= 65_000 { 10_000 } else { self.next_port + 2 };
        self.next_port
    }
}
