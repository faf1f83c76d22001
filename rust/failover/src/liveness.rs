//! Is a server there? Its state machine, fed with pongs, silence, refusals and the word of its supervisor.
//!
//! ```text
//!              silent for suspect_ms, or refused once
//!            ┌────────────────────────────────────────┐
//!            │                                        ▼           silent for silence_ms_max while another is heard,
//!   ┌──▶ Usable ◀──── answered twice in a row ──── Suspect ────── or for silence_all_ms_max, or refused twice ──┐
//!   │      ▲  ▲                                       ▲                                                         ▼
//!   │      │  └──── first answer ever ────────────────┤ (start)                                                Dead
//!   │      │                                                                                                 ▲   │
//!   │      └── recovery_pongs, hold_down_ms, nothing owed ── Recovering ── silent as above, refused once ────┘   │
//!   │                                                           ▲  ▲                                             │
//!   └── pong of another instance: its memory is lost ───────────┘  └──────── pong to a ping sent since ──────────┘
//! ```
//!
//! How long is too long follows from how late the server's answers have been lately ([`Rtt::silence_max`]), so that on a machine that is
//! busy, where everybody gets to run late, nobody is called dead for it.
//!
//! `Dead` is also reached at once from everywhere when a supervisor says so. When it says that another process is taking over
//! what the server's process has left, the server is suspect and nothing kills it before a deadline. Silence is counted only while the pool
//! itself was running, and from the first question that was not answered: see [`excuse`](Liveness::excuse), [`silence`](Liveness::silence).

use std::collections::VecDeque;
use std::time::Duration;

use mediaha_time::Time;

use crate::config::Config;
use crate::exchange::Cookie;
use crate::rtt::Rtt;

/// So many unanswered pings are remembered; an answer to an older one says nothing about now.
const PINGS_MAX: usize = 32;
/// A suspect must have left so many pings unanswered since it became suspect before it is dead.
const PROBES_MIN: u32 = 2;
/// A suspect is believed again after so many answers in a row.
const ANSWERS_MIN: u32 = 2;
/// So many refusals without an answer between them are proof that nobody listens.
const REFUSALS_MIN: u32 = 2;
/// Another server that owes an answer for less than this is as punctual as can be.
const PUNCTUAL: Duration = Duration::from_millis(10);

/// What a server is good for, as far as its being there goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Usable { since: Time },
    Suspect { since: Time, why: String, answers: u32, refusals: u32, probes: u32 },
    Dead { since: Time, why: String },
    Recovering { since: Time, why: String, pongs: u32 },
}

/// A change of state that others must act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It went from usable to suspect.
    Suspected,
    /// It is usable.
    Cleared,
    /// It is dead: its calls must move.
    Died,
    /// It answers again after being dead.
    Returned,
    /// It answers, and has forgotten its calls: they must be created anew.
    Forgot,
}

/// One server's liveness.
#[derive(Clone, Debug)]
pub(crate) struct Liveness {
    state: State,
    /// The last sign of life, moved forward by the pool's own stalls.
    heard_at: Time,
    ever_heard: bool,
    ping_at: Time,
    /// When it was first asked since; moved forward by the pool's own stalls, too.
    asked_at: Option<Time>,
    /// For how long the pool itself has been stopped, all in all.
    excused: Duration,
    /// Unanswered pings, oldest first.
    pings: VecDeque<Ping>,
    instance: Option<Instance>,
    /// Since when another process has been taking over what its process has left, and until when it may be silent.
    succession: Option<(Time, Time)>,
}

/// A ping on its way.
#[derive(Clone, Debug)]
struct Ping {
    cookie: Cookie,
    sent_at: Time,
    /// How much of the pool's own stalls lies before it.
    excused: Duration,
}

/// Which life of the server process speaks.
#[derive(Clone, Debug)]
struct Instance {
    name: Vec<u8>,
    /// When the ping was sent that named it: pongs overtake one another.
    as_of: Time,
}

/// What a pong told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) rtt: Duration,
    pub(crate) verdict: Option<Verdict>,
}

impl Liveness {
    /// A server nobody has heard of yet: asked last, but asked.
    pub(crate) fn new(now: Time) -> Self {
        Self {
            state: State::Suspect { since: now, why: "not heard yet".into(), answers: 0, refusals: 0, probes: 0 },
            heard_at: now,
            ever_heard: false,
            ping_at: now,
            asked_at: None,
            excused: Duration::ZERO,
            pings: VecDeque::new(),
            instance: None,
            succession: None,
        }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.state, State::Dead { .. })
    }

    /// Whether it was heard so lately that our side of the network must be working.
    pub(crate) fn is_heard(&self, config: &Config, rtt: &Rtt, now: Time) -> bool {
        self.ever_heard && !self.is_dead() && self.silence(config, now) < rtt.suspect_after(config)
    }

    /// Whether it has ever answered.
    pub(crate) fn was_heard(&self) -> bool {
        self.ever_heard
    }

    /// Whether the server tells its instance, so that a lost memory is seen in its pongs.
    pub(crate) fn tells_instance(&self) -> bool {
        self.instance.is_some()
    }

    /// The pool did not run for `span`: nobody could be heard, nobody is to blame.
    pub(crate) fn excuse(&mut self, span: Duration, suspect_after: Duration, now: Time) {
        self.excused += span;
        self.heard_at = (self.heard_at + span).min(now);
        self.asked_at = self.asked_at.map(|at| (at + span).min(now));
        // After a long stop a suspect is probed anew: it may have recovered meanwhile.
        if span >= suspect_after {
            self.heard_at = self.heard_at.max(now - suspect_after);
            self.asked_at = self.asked_at.map(|at| at.max(now - suspect_after));
            if let State::Suspect { probes, .. } = &mut self.state {
                *probes = 0;
            }
        }
    }

    /// When [`tick`](Self::tick) and [`ping_is_due`](Self::ping_is_due) want to be asked again.
    pub(crate) fn next_at(&self, config: &Config, rtt: &Rtt) -> Time {
        match (&self.state, self.asked_at) {
            (State::Usable { .. }, Some(asked_at)) => {
                let judged_at =
                    asked_at + rtt.suspect_after(config).saturating_sub(self.unasked(config, asked_at));
                self.ping_at.min(self.succession.map_or(judged_at, |(_, until)| judged_at.max(until)))
            }
            _ => self.ping_at,
        }
    }

    /// For how long it has had something to say and has not said it. A server that nobody has asked is not silent: of the time before
    /// the first question that it owes an answer to, only as much counts as there usually is between two.
    fn silence(&self, config: &Config, now: Time) -> Duration {
        let asked_at = self.asked_at.unwrap_or(now);
        now.since(asked_at) + self.unasked(config, asked_at)
    }

    /// What counts of the time from when it was last heard to when it was asked.
    fn unasked(&self, config: &Config, asked_at: Time) -> Duration {
        asked_at.since(self.heard_at).min(ms(config.heartbeat_ms))
    }

    /// For how long it owes an answer.
    pub(crate) fn overdue(&self, now: Time) -> Duration {
        self.asked_at.map_or(Duration::ZERO, |asked_at| now.since(asked_at))
    }

    pub(crate) fn ping_is_due(&self, now: Time) -> bool {
        now >= self.ping_at
    }

    /// A ping was sent.
    pub(crate) fn pinged(&mut self, cookie: Cookie, config: &Config, now: Time) {
        if self.pings.len() == PINGS_MAX {
            self.pings.pop_front();
        }
        self.pings.push_back(Ping { cookie, sent_at: now, excused: self.excused });
        self.asked_at.get_or_insert(now);
        let is_late = now.since(self.heard_at) >= ms(config.suspect_ms);
        let interval = match &mut self.state {
            State::Suspect { probes, .. } => {
                *probes += 1;
                ms(config.heartbeat_suspect_ms)
            }
            State::Recovering { .. } if is_late => ms(config.heartbeat_suspect_ms),
            _ => ms(config.heartbeat_ms),
        };
        // Keeps the phase, unless that would mean several pings at once after a pause.
        self.ping_at = (self.ping_at + interval).max(now + interval / 2);
    }

    /// Judge the silence. `witness`: for how long the most punctual of the other servers that were heard lately owes an answer; the
    /// time in which not even that one answers says nothing about this one. `None`: no other one was heard, so that the network on
    /// our side may not work.
    pub(crate) fn tick(
        &mut self,
        config: &Config,
        rtt: &Rtt,
        witness: Option<Duration>,
        now: Time,
    ) -> Option<Verdict> {
        if self.is_succeeded(now) {
            return None;
        }
        let silence = self.silence(config, now);
        let blamed = silence.saturating_sub(witness.filter(|&overdue| overdue > PUNCTUAL).unwrap_or_default());
        let suspect_after = rtt.suspect_after(config);
        let is_dead = match witness {
            Some(_) => blamed >= rtt.silence_max(config),
            None => silence >= ms(config.silence_all_ms_max),
        };
        match &mut self.state {
            State::Usable { .. } if silence >= suspect_after => {
                self.suspect(format!("silent for {} ms", silence.as_millis()), 0, now);
                Some(Verdict::Suspected)
            }
            State::Suspect { probes, .. } if *probes >= PROBES_MIN => {
                is_dead.then(|| self.die(format!("silent for {} ms", silence.as_millis()), now))
            }
            State::Recovering { .. } if is_dead => Some(self.die("silent again".into(), now)),
            State::Recovering { pongs, .. } if silence >= suspect_after => {
                *pongs = 0;
                None
            }
            _ => None,
        }
    }

    /// A pong came. `None` when it answers no ping that counts. `owes_nothing`: no deletion waits for this server.
    pub(crate) fn pong(
        &mut self,
        cookie: Cookie,
        instance: Option<&[u8]>,
        owes_nothing: bool,
        config: &Config,
        now: Time,
    ) -> Option<Heard> {
        let index = self.pings.iter().position(|ping| ping.cookie == cookie)?;
        let Ping { sent_at, excused, .. } = self.pings.remove(index)?;
        if matches!(self.state, State::Dead { since, .. } if sent_at < since) {
            return None;
        }
        let forgot = self.instance_changes(instance, sent_at)?;
        self.hear(now);
        // What was asked before may have been answered by the process that is gone.
        self.succession.take_if(|(since, _)| sent_at >= *since);
        let first = !std::mem::replace(&mut self.ever_heard, true);
        let verdict = self.pong_moves(first, forgot, owes_nothing, config, now);
        let rtt = now.since(sent_at).saturating_sub(self.excused.saturating_sub(excused));
        Some(Heard { rtt, verdict })
    }

    /// An answer to something else came: a sign of life, unless the server has been given up since.
    pub(crate) fn answered(&mut self, now: Time) -> Option<Verdict> {
        match &mut self.state {
            State::Dead { .. } => None,
            State::Usable { .. } | State::Recovering { .. } => {
                self.hear(now);
                None
            }
            // Perhaps in the name of the process that is gone.
            State::Suspect { .. } if self.succession.is_some_and(|(_, until)| now < until) => None,
            State::Suspect { answers, refusals, .. } => {
                *answers += 1;
                *refusals = 0;
                let believed = *answers >= ANSWERS_MIN || !self.ever_heard;
                self.ever_heard = true;
                self.hear(now);
                believed.then(|| self.clear(now))
            }
        }
    }

    /// The network says that nobody listens there. One such word may be about a packet from before a restart.
    pub(crate) fn refused(&mut self, now: Time) -> Option<Verdict> {
        if self.is_succeeded(now) {
            return None;
        }
        match &mut self.state {
            State::Usable { .. } => {
                self.suspect("refused a packet".into(), 1, now);
                self.ping_at = now;
                Some(Verdict::Suspected)
            }
            State::Suspect { answers, refusals, .. } => {
                *answers = 0;
                *refusals += 1;
                self.ping_at = self.ping_at.min(now);
                (*refusals >= REFUSALS_MIN).then(|| self.die("nobody listens on its port".into(), now))
            }
            State::Recovering { .. } => Some(self.die("refused a packet while recovering".into(), now)),
            State::Dead { .. } => None,
        }
    }

    /// Somebody who knows says that its process is gone, and that another one takes over what it has left. Only its silence after
    /// `until` counts again.
    pub(crate) fn succeeding(&mut self, why: String, until: Time, now: Time) -> Option<Verdict> {
        if self.is_dead() {
            return None;
        }
        self.succession = Some((now, until));
        if let State::Usable { .. } = self.state {
            self.suspect(why, 0, now);
            return Some(Verdict::Suspected);
        }
        None
    }

    /// Somebody who knows says so. `None` when it was dead already.
    pub(crate) fn killed(&mut self, why: String, now: Time) -> Option<Verdict> {
        self.succession = None;
        if let State::Dead { since, why: known } = &mut self.state {
            // Pongs to pings from before this moment are from the life that has ended.
            (*since, *known) = (now, why);
            return None;
        }
        Some(self.die(why, now))
    }

    /// Whether its silence says nothing yet.
    fn is_succeeded(&self, now: Time) -> bool {
        self.succession.is_some_and(|(_, until)| now < until)
    }

    /// Notes who speaks: whether the memory was lost, or `None` for a voice from an earlier life.
    fn instance_changes(&mut self, name: Option<&[u8]>, sent_at: Time) -> Option<bool> {
        let Some(name) = name else { return Some(false) };
        let heard = Instance { name: name.to_vec(), as_of: sent_at };
        match &mut self.instance {
            None => {
                self.instance = Some(heard);
                Some(false)
            }
            Some(known) if known.name == name => {
                known.as_of = known.as_of.max(sent_at);
                Some(false)
            }
            Some(known) if sent_at < known.as_of => None,
            Some(known) => {
                *known = heard;
                Some(true)
            }
        }
    }

    fn pong_moves(
        &mut self,
        first: bool,
        forgot: bool,
        owes_nothing: bool,
        config: &Config,
        now: Time,
    ) -> Option<Verdict> {
        match &mut self.state {
            // Nothing is known against a server that was started after the pool.
            State::Suspect { .. } | State::Dead { .. } if first => Some(self.clear(now)),
            State::Dead { why, .. } => {
                let why = format!("answers again after: {why}");
                self.state = State::Recovering { since: now, why, pongs: 1 };
                Some(Verdict::Returned)
            }
            _ if forgot => {
                let why = "restarted, its memory is lost".into();
                self.state = State::Recovering { since: now, why, pongs: 1 };
                Some(Verdict::Forgot)
            }
            State::Usable { .. } => None,
            State::Suspect { .. } => self.answered(now),
            State::Recovering { since, pongs, .. } => {
                *pongs = pongs.saturating_add(1);
                let proven = *pongs >= config.recovery_pongs && now.since(*since) >= ms(config.hold_down_ms);
                (proven && owes_nothing).then(|| self.clear(now))
            }
        }
    }

    fn hear(&mut self, now: Time) {
        (self.heard_at, self.asked_at) = (now, None);
    }

    fn suspect(&mut self, why: String, refusals: u32, now: Time) {
        self.state = State::Suspect { since: now, why, answers: 0, refusals, probes: 0 };
        self.ping_at = self.ping_at.min(now);
    }

    fn clear(&mut self, now: Time) -> Verdict {
        self.state = State::Usable { since: now };
        Verdict::Cleared
    }

    fn die(&mut self, why: String, now: Time) -> Verdict {
        self.state = State::Dead { since: now, why };
        Verdict::Died
    }
}

fn ms(span: u64) -> Duration {
    Duration::from_millis(span)
}
