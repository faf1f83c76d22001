//! Does a server forward? A session of the pool's own on each server, through which small packets go and are expected back.
//!
//! ```text
//!            ports            offered, answered                  missed DOUBT_AFTER in a row
//!   Closed ─────────▶ Asking ───────────────────▶ Sounding ────────────────────────────┐
//!     ▲                 │ ▲                         │    │ missed on: GRAY_AFTER         │
//!     │ refused, lost   │ │                         │    ▼                               │
//!     ├─────────────────┘ └── asked for once more ◀─│── gray ◀───────────────────────────┘
//!     └── lost, or nothing was ever heard ──────────┘
//! ```
//!
//! A server that forgot the session (it was restarted, and does not tell) creates it when it is asked once more. What is missed
//! after that is missed by a server that knows the session, answers, and forwards nothing: it is gray. Only what a server has
//! shown that it can do is held against it: one whose packets have never come back, for instance because there is no way to its
//! media network from here, is left alone.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use mediaha_time::{Duration, Time};

use crate::config::Config;
use crate::exchange::Cookie;

/// After so many packets missed in a row the session is asked for once more.
const DOUBT_AFTER: u32 = 3;
/// After so many the server is gray.
const GRAY_AFTER: u32 = 6;
/// A gray server must let so many through in a row, and for as long as `hold_down_ms`.
const TRUSTED_AFTER: u32 = 5;
/// A session that was refused is asked for again so much later; that of a gray server, too, lest it be forgotten as silent.
const RETRY: Duration = Duration::from_secs(5);
/// The same where nothing was ever heard.
const RETRY_UNHEARD: Duration = Duration::from_secs(60);
/// So many packets may be on their way.
const SENT_MAX: usize = 16;

/// One server's probe.
#[derive(Debug)]
pub(crate) struct Probe {
    session: Session,
    /// The number of the last packet. Even ones go from A to B, odd ones back.
    number: u64,
    /// Those on their way, oldest first.
    sent: VecDeque<(u64, Time)>,
    /// How many were missed in a row: of all, and of those each way. A worker that is stuck, or a filter, may stop one way alone.
    missed: u32,
    missed_each_way: [u32; 2],
    heard: u32,
    /// Since when none was missed.
    heard_since: Time,
    heard_at: Option<Time>,
    /// The session was asked for once more since one was heard.
    renewed_at: Option<Time>,
    gray_since: Option<Time>,
    /// The calls have been told to leave.
    pub(crate) left: bool,
}

#[derive(Debug)]
enum Session {
    /// There is none before this time.
    Closed { until: Time },
    /// It is being asked for: these are our sockets, this is what was asked.
    Asking { ours: [SocketAddr; 2], open: Option<(Cookie, Step)>, far: [Option<SocketAddr>; 2] },
    /// Packets go from our sockets to these addresses of the server.
    Sounding { ours: [SocketAddr; 2], far: [SocketAddr; 2], next_at: Time },
}

/// Which request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Offer,
    Answer,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Todo {
    /// Our two sockets are wanted.
    Open,
    /// Ask the server for the session, or for the rest of it.
    Ask(Step),
    /// It has never let anything through: have the session deleted.
    Delete,
    /// Send a packet from our socket of this side.
    Send { number: u64, side: usize, to: SocketAddr },
}

/// A change that others must act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It answers and forwards nothing.
    Gray,
    /// It has forwarded for long enough.
    Cleared,
}

impl Probe {
    pub(crate) fn new(now: Time) -> Self {
        Self {
            session: Session::Closed { until: now },
            number: 0,
            sent: VecDeque::new(),
            missed: 0,
            missed_each_way: [0; 2],
            heard: 0,
            heard_since: now,
            heard_at: None,
            renewed_at: None,
            gray_since: None,
            left: false,
        }
    }

    /// Since when it is gray, if it is.
    pub(crate) fn gray_since(&self) -> Option<Time> {
        self.gray_since
    }

    /// Whether it forwards; `None` while nothing has come through.
    pub(crate) fn forwards(&self) -> Option<bool> {
        self.heard_at.map(|_| self.gray_since.is_none())
    }

    /// Whether a packet came through lately: then our own side works.
    pub(crate) fn is_heard(&self, config: &Config, now: Time) -> bool {
        let lately = interval(config) * 2 + late(config);
        self.gray_since.is_none() && self.heard_at.is_some_and(|at| now.since(at) < lately)
    }

    /// When [`Self::tick`] wants to be called.
    pub(crate) fn next_at(&self) -> Time {
        match self.session {
            Session::Closed { until } => until,
            Session::Asking { open: Some(_), .. } => Time::FAR,
            Session::Asking { .. } => Time::ZERO,
            Session::Sounding { next_at, .. } => next_at,
        }
    }

    /// What is due. `answers`: the server has answered something lately, so that silence is its media's alone.
    pub(crate) fn tick(&mut self, config: &Config, answers: bool, now: Time) -> (Option<Todo>, Option<Verdict>) {
        let verdict = self.count_missed(config, answers, now);
        let doubted = self.missed_in_a_row() >= DOUBT_AFTER && self.heard_at.is_some();
        let is_gray = self.gray_since.is_some();
        let renewal_due = self.renewed_at.is_none_or(|at| is_gray && now.since(at) >= RETRY);
        let todo = match &mut self.session {
            Session::Closed { until } if now >= *until => {
                *until = now + RETRY;
                Some(Todo::Open)
            }
            Session::Asking { open: None, far: [_, None], .. } => Some(Todo::Ask(Step::Offer)),
            Session::Asking { open: None, .. } => Some(Todo::Ask(Step::Answer)),
            Session::Sounding { .. } if self.missed >= GRAY_AFTER && self.heard_at.is_none() => {
                self.close(now + RETRY_UNHEARD);
                Some(Todo::Delete)
            }
            Session::Sounding { ours, .. } if doubted && renewal_due => {
                self.renewed_at = Some(now);
                self.session = Session::Asking { ours: *ours, open: None, far: [None, None] };
                self.count_anew();
                Some(Todo::Ask(Step::Offer))
            }
            Session::Sounding { far, next_at, .. } if now >= *next_at => {
                let hurried = doubted && !is_gray;
                *next_at = now + if hurried { interval(config) / 4 } else { interval(config) };
                // Those on their way are judged first.
                (self.sent.len() < SENT_MAX).then(|| {
                    self.number += 1;
                    self.sent.push_back((self.number, now));
                    let side = side(self.number);
                    Todo::Send { number: self.number, side, to: far[side] }
                })
            }
            _ => None,
        };
        (todo, verdict)
    }

    /// Our sockets are there.
    pub(crate) fn opened(&mut self, ours: [SocketAddr; 2]) {
        self.session = Session::Asking { ours, open: None, far: [None, None] };
    }

    /// The address of the party that this step speaks for.
    pub(crate) fn ours(&self, step: Step) -> Option<SocketAddr> {
        match &self.session {
            Session::Asking { ours, .. } => Some(ours[usize::from(step == Step::Answer)]),
            _ => None,
        }
    }

    /// A request is on its way.
    pub(crate) fn asked(&mut self, cookie: Cookie, step: Step) {
        if let Session::Asking { open, .. } = &mut self.session {
            *open = Some((cookie, step));
        }
    }

    /// It was answered with an SDP that leads here, or with something else.
    pub(crate) fn answered(&mut self, cookie: Cookie, leads_to: Option<SocketAddr>, now: Time) {
        let Session::Asking { ours, open, far, .. } = &mut self.session else { return };
        let Some((_, step)) = open.take_if(|(asked, _)| *asked == cookie) else { return };
        let Some(leads_to) = leads_to else { return self.close(now + RETRY) };
        // The SDP in the answer to our offer is for B, who is to send there.
        far[usize::from(step == Step::Offer)] = Some(leads_to);
        if let [Some(a), Some(b)] = *far {
            self.session = Session::Sounding { ours: *ours, far: [a, b], next_at: now };
        }
    }

    /// The server is dead, gone or has forgotten: there is no session, and nothing is held against it any more.
    pub(crate) fn lost(&mut self, now: Time) {
        *self = Self { number: self.number, ..Self::new(now) };
    }

    /// There is to be no session before this time. What is known against the server stays.
    pub(crate) fn close(&mut self, until: Time) {
        self.session = Session::Closed { until };
        self.sent.clear();
    }

    /// Whether the server may have a session of ours.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.session, Session::Closed { .. })
    }

    /// The pool did not run for `span`: the packets on their way have that much more time. To forget them would be never to miss one
    /// on a machine where the pool is stopped time and again.
    pub(crate) fn excuse(&mut self, span: Duration, now: Time) {
        self.sent.iter_mut().for_each(|(_, at)| *at = (*at + span).min(now));
    }

    /// A packet came back.
    pub(crate) fn heard(&mut self, number: u64, config: &Config, now: Time) -> Option<Verdict> {
        let place = self.sent.iter().position(|&(sent, _)| sent == number)?;
        let (_, sent_at) = self.sent.remove(place)?;
        if now.since(sent_at) >= late(config) {
            self.miss(number);
            return None;
        }
        if self.heard == 0 {
            self.heard_since = now;
        }
        (self.missed, self.missed_each_way[side(number)]) = (0, 0);
        self.heard = self.heard.saturating_add(1);
        self.heard_at = Some(now);
        if self.missed_in_a_row() == 0 {
            self.renewed_at = None;
        }
        let held_down = now.since(self.heard_since) >= Duration::from_millis(config.hold_down_ms);
        let trusted = self.heard >= TRUSTED_AFTER && held_down;
        self.gray_since.take_if(|_| trusted)?;
        self.left = false;
        Some(Verdict::Cleared)
    }

    fn count_missed(&mut self, config: &Config, answers: bool, now: Time) -> Option<Verdict> {
        while let Some(&(number, at)) = self.sent.front() {
            if now.since(at) < late(config) {
                break;
            }
            self.sent.pop_front();
            // A server that answers nothing at all is for the heartbeat to judge.
            if answers {
                self.miss(number);
            }
        }
        let proven = self.heard_at.is_some() && self.renewed_at.is_some() && self.missed_in_a_row() >= GRAY_AFTER;
        if !proven || self.gray_since.is_some() {
            return None;
        }
        self.gray_since = Some(now);
        Some(Verdict::Gray)
    }

    /// The session is asked for once more. Packets on their way may be missed for want of it, and so may any number of those that were
    /// missed before: a pool that was late finds many at once.
    fn count_anew(&mut self) {
        self.sent.clear();
        self.missed = self.missed.min(DOUBT_AFTER);
        self.missed_each_way = self.missed_each_way.map(|missed| missed.min(DOUBT_AFTER));
    }

    fn miss(&mut self, number: u64) {
        self.missed = self.missed.saturating_add(1);
        let this_way = &mut self.missed_each_way[side(number)];
        *this_way = this_way.saturating_add(1);
        self.heard = 0;
    }

    /// The most that were missed in a row, be it one way.
    fn missed_in_a_row(&self) -> u32 {
        self.missed.max(self.missed_each_way[0]).max(self.missed_each_way[1])
    }
}

/// Which of our sockets a packet leaves.
fn side(number: u64) -> usize {
    usize::from(number % 2 == 1)
}

/// Where an SDP wants the audio. The rest of it is none of a probe's business.
pub(crate) fn leads_to_untrusted(sdp: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(sdp).ok()?;
    let mut lines = text.lines().map(str::trim_end);
    let host: IpAddr = lines.clone().find_map(|line| line.strip_prefix("c=IN IP")?.get(2..)?.parse().ok())?;
    let port = lines.find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()?.parse().ok())?;
    (port != 0 && !host.is_unspecified()).then(|| SocketAddr::new(host, port))
}

/// What a party of the probe at `address` says.
pub(crate) fn sdp(address: SocketAddr) -> Vec<u8> {
    let (family, host, port) = (if address.is_ipv4() { 4 } else { 6 }, address.ip(), address.port());
    format!(
        "v=0\r\no=- 1 1 IN IP{family} {host}\r\ns=-\r\nc=IN IP{family} {host}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    )
    .into_bytes()
}

fn interval(config: &Config) -> Duration {
    Duration::from_millis(config.probe_ms)
}

/// A packet that has not come after this long is missed.
fn late(config: &Config) -> Duration {
    Duration::from_millis(config.probe_late_ms)
}
