//! Which source address of a party is believed, and where packets to it go (symmetric RTP, RFC 4961).
//!
//! A party behind a NAT sends from another address than its SDP says, so that the first source heard within a
//! short window after an offer or answer is learnt. Whoever guesses the port later is a stranger, and hears
//! nothing.
//!
//! ```text
//!                   a first source in the window;
//!                   later, the signalled host only
//!        Listening ───────────────────────────────▶ Held ◀──┐ in the window, a source
//!            ▲                                       │      │ with a better claim
//!            └───────────────────────────────────────┘ ─────┘
//!              offer or answer with another signalled
//!              address: packets go there at once
//! ```
//!
//! Many offers say what was said before: they refresh a session, or hold the other party. The window opens all the same, since
//! a phone that has changed its network may say nothing else; but a party may be silent at this moment, and whoever floods the
//! port must not get its place. So a source that was proven before keeps it until another one has a better [`Claim`], or as good a
//! one while it is silent. To be the first to speak is a claim against nobody but a source that has hardly spoken itself.
//!
//! Reports are believed from the host alone that the party's media comes from, or that was signalled for them: they are rare, so
//! that their port stands open for longer, and who forges one must not have the other party's reports sent to whom he likes.
//!
//! `Strict` stands apart: only the signalled address is believed, ever.
//!
//! A server that has just started may have been given its ports' numbers in a former life, and packets meant for the
//! calls of that life go on arriving until their senders are told better. A latch that is made wary of them learns
//! nobody but the signalled address for its first moment, so that no call hears another one.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicU64;

use mediaha_time::{Duration, Time};

mod published;
#[cfg(test)]
mod tests;

pub(crate) use published::LATCH_WORDS;

/// How long after an offer or answer a source may be learnt.
pub const WINDOW: Duration = Duration::from_secs(3);
/// For how long a wary latch learns the signalled address only.
const WARY: Duration = Duration::from_millis(500);
/// A source heard this recently is alive.
pub const ALIVE: Duration = Duration::from_millis(500);
/// A source that was heard for so long is proven: it was no single packet that somebody has thrown at us.
const PROVEN: Duration = Duration::from_millis(200);

/// Who may still be heard at a port: whoever else sends there is a stranger, and will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Believed {
    /// It depends on the packet.
    Anybody,
    /// Any port of this host.
    Host(IpAddr),
    /// This one.
    Only(SocketAddr),
}

/// The belief about one party's component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latch {
    signalled: Option<SocketAddr>,
    /// The host at which the party is known to be: that of its proven source, or for its reports that of its media.
    home: Option<IpAddr>,
    /// Who was held before the party signalled another address.
    former: Option<Former>,
    /// It is for reports.
    reports: bool,
    window_until: Time,
    wary_until: Time,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Only the signalled address is believed.
    Strict,
    /// Nobody has been learnt.
    Listening,
    /// This source is believed, and packets go to it.
    Held {
        source: SocketAddr,
        claim: Claim,
        /// When it was learnt.
        since: Time,
        heard: Time,
    },
}

/// What speaks for a source; the better, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// It was heard first.
    First,
    /// It is on the host that was signalled, or on that of the party's proven source; it may be behind the same NAT.
    Host,
    /// Its packets go on with the SSRC and the numbers of the party's, which nobody knows who does not see them.
    Run,
    /// It is what the party has signalled.
    Signalled,
}

/// What there is to say of a source besides its address.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Evidence {
    /// Its packets go on with the SSRC and the numbers of the party's.
    pub(crate) continues: bool,
    /// It is nobody's to send from, unless it was signalled.
    pub(crate) suspect: bool,
}

/// Whose a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The party's, as it was known before.
    Known,
    /// The party's, as is known from now on.
    Learnt,
    /// Somebody else's.
    Stranger,
}

/// Its packets on the way still count as the party's, but are no reason to send there again, unless it goes on: then the new
/// address was only another name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Former {
    source: SocketAddr,
    leaves_at: Time,
}

impl Latch {
    /// A latch whose window opens at `now`.
    #[must_use]
    pub fn new(signalled: Option<SocketAddr>, strict: bool, now: Time) -> Self {
        let state = if strict { State::Strict } else { State::Listening };
        let (window_until, wary_until) = (now + WINDOW, now);
        Self { signalled, home: None, former: None, reports: false, window_until, wary_until, state }
    }

    /// The same, made at `now`, but wary of strangers.
    #[must_use]
    pub fn wary(self, now: Time) -> Self {
        Self { wary_until: now + WARY, ..self }
    }

    /// The same, but for reports.
    #[must_use]
    pub fn of_reports(self) -> Self {
        Self { reports: true, ..self }
    }

    /// Takes what an offer or answer said. Without `reopen` the window stays as it was.
    pub fn replan(&mut self, signalled: Option<SocketAddr>, strict: bool, reopen: bool, now: Time) {
        let moved = matches!((self.signalled, signalled), (Some(before), Some(after)) if before != after);
        self.signalled = signalled.or(self.signalled);
        if reopen {
            self.establish(now);
            self.window_until = now + WINDOW;
        }
        self.state = match self.state {
            _ if strict => State::Strict,
            State::Strict => State::Listening,
            State::Held { source, .. } if moved && self.signalled != Some(source) => {
                self.former = Some(Former { source, leaves_at: now + ALIVE });
                State::Listening
            }
            state => state,
        };
    }

    /// A proven source is the party's home from the next window on. One that was learnt in a window that is still open is not: an
    /// answer follows its offer too soon for whoever came in between to be anybody.
    fn establish(&mut self, now: Time) {
        if self.is_open(now) || self.reports {
            return;
        }
        if let State::Held { source, claim, since, heard } = &mut self.state
            && heard.since(*since) >= PROVEN
        {
            self.home = Some(source.ip());
            *claim = Claim::Host.max(*claim);
        }
    }

    /// The party's media comes from `host` from now on, and its reports should. Whether whoever has
    /// sent them before is no longer believed.
    pub(crate) fn follow(&mut self, host: IpAddr) -> bool {
        self.home = Some(host);
        let strayed = matches!(self.state, State::Held { source, .. } if !self.knows(source.ip()));
        if strayed {
            self.state = State::Listening;
        }
        strayed
    }

    /// Whether sources are learnt.
    pub(crate) fn is_open(&self, now: Time) -> bool {
        now < self.window_until
    }

    /// The source that is held.
    pub(crate) fn held(&self) -> Option<SocketAddr> {
        match self.state {
            State::Held { source, .. } => Some(source),
            State::Strict | State::Listening => None,
        }
    }

    /// Whether a packet from `source` is believed to be the party's; learns from it.
    pub fn hears(&mut self, source: SocketAddr, now: Time) -> bool {
        self.judges(source, now, |_| Evidence::default()) != Heard::Stranger
    }

    /// Whose a packet from `source` is; learns from it. Only for a source that is not known is the evidence asked for.
    #[inline]
    pub(crate) fn judges(
        &mut self,
        source: SocketAddr,
        now: Time,
        evidence: impl FnOnce(SocketAddr) -> Evidence,
    ) -> Heard {
        match &mut self.state {
            State::Strict if self.signalled == Some(source) => return Heard::Known,
            State::Strict => return Heard::Stranger,
            State::Held { source: held, heard, .. } if *held == source => {
                *heard = now;
                return Heard::Known;
            }
            State::Listening if self.former.is_some_and(|it| it.source == source && now < it.leaves_at) => {
                return Heard::Known;
            }
            State::Held { .. } | State::Listening => {}
        }
        let evidence = evidence(source);
        let claim = self.claim(source, evidence);
        if !self.learns(source, claim, now) || (evidence.suspect && claim != Claim::Signalled) {
            return Heard::Stranger;
        }
        self.state = State::Held { source, claim, since: now, heard: now };
        Heard::Learnt
    }

    /// Writes down what has been learnt, where a successor finds it.
    pub(crate) fn publish(&self, words: &[AtomicU64]) {
        published::write(self, words);
    }

    /// Where packets to a party went when its latch was written down last; `None` also while that is being done.
    pub(crate) fn published_target(words: &[AtomicU64]) -> Option<SocketAddr> {
        published::read(words)?.target()
    }

    /// What a former life of the server had learnt of a party that was heard last at `heard`; `None` if nothing was written
    /// down there, or was only half written. `signalled` is what the party has said since at the latest.
    pub(crate) fn resumed(
        words: &[AtomicU64],
        signalled: Option<SocketAddr>,
        strict: bool,
        heard: Option<Time>,
        now: Time,
    ) -> Option<Self> {
        let mut latch = published::read(words)?;
        if let State::Held { heard: known, .. } = &mut latch.state {
            *known = heard.map_or(*known, |heard| heard.max(*known)).min(now);
        }
        // Clocks go on while a process dies; only damage puts these ends further away than a window is long.
        latch.window_until = latch.window_until.min(now + WINDOW);
        latch.wary_until = latch.wary_until.min(now + WARY);
        // The worker had not been told yet, or had not written it down.
        if signalled.is_some() && signalled != latch.signalled || strict != (latch.state == State::Strict) {
            latch.replan(signalled, strict, true, now);
        }
        Some(latch)
    }

    /// Takes note that the source that is held was heard at `at`, by somebody else who knew it.
    pub fn heard_elsewhere(&mut self, at: Time) {
        if let State::Held { heard, .. } = &mut self.state {
            *heard = (*heard).max(at);
        }
    }

    /// Where packets to the party go; `None` while it is not known.
    #[must_use]
    pub fn target(&self) -> Option<SocketAddr> {
        self.held().or(self.signalled)
    }

    /// Who can be believed until the next [`Latch::replan`].
    #[must_use]
    pub fn believed(&self, now: Time) -> Believed {
        match (self.state, self.signalled) {
            (State::Strict, Some(signalled)) => Believed::Only(signalled),
            (State::Held { source, .. }, _) if now >= self.window_until => Believed::Only(source),
            (State::Listening, _) if now >= self.window_until => {
                self.late_host().map_or(Believed::Anybody, Believed::Host)
            }
            _ => Believed::Anybody,
        }
    }

    /// Whether a source that is not the held one takes its place.
    fn learns(&self, source: SocketAddr, claim: Claim, now: Time) -> bool {
        let open = self.is_open(now);
        match self.state {
            State::Strict => false,
            State::Listening if now < self.wary_until => claim == Claim::Signalled,
            State::Listening if open => claim > Claim::First || !self.reports,
            // A party that is first heard after the window can still be itself, from a port it did not announce.
            State::Listening => self.late_host() == Some(source.ip()),
            State::Held { claim: held, since, heard, .. } => {
                let silent = now.since(heard) >= ALIVE;
                let slight = held == Claim::First && heard.since(since) < PROVEN && !self.reports;
                open && (claim > held || (silent && (claim > Claim::First || slight)))
            }
        }
    }

    fn claim(&self, source: SocketAddr, evidence: Evidence) -> Claim {
        if self.signalled == Some(source) {
            Claim::Signalled
        } else if self.former.is_some_and(|former| former.source == source) {
            // The party has said itself that it is no longer there.
            Claim::First
        } else if evidence.continues {
            Claim::Run
        } else if self.knows(source.ip()) {
            Claim::Host
        } else {
            Claim::First
        }
    }

    fn knows(&self, host: IpAddr) -> bool {
        self.home == Some(host) || self.signalled.is_some_and(|it| it.ip() == host)
    }

    /// The host of which a source is learnt when the window has closed.
    fn late_host(&self) -> Option<IpAddr> {
        let signalled = self.signalled.map(|it| it.ip());
        if self.reports { self.home.or(signalled) } else { signalled }
    }
}
