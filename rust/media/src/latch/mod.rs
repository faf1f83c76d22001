//! Which source address of a party is believed, and where packets to it go (symmetric RTP, RFC 4961).
//!
//! A party behind a NAT sends from another address than its SDP says, so that the first source heard within a
//! short window after an offer or answer is learnt. Whoever guesses the port later is a stranger, and hears
//! nothing.
//!
//! ```text
//!                   a first source in the window;
//!                   later, the signalled host only
//!        Listening ───────────────────────────────▶ Held, fresh ◀──┐ in the window, the signalled
//!            ▲                                       │      ▲ └────┘ address takes the place
//!            │                    offer or answer:   │      │
//!            │                    the window opens   │      │ in the window, the signalled address takes
//!            │                    again              ▼      │ the place, and anyone once it is silent
//!            └───────────────────────────────────── Held, carried
//!              offer or answer with another signalled
//!              address (from fresh, too): packets go there at once
//! ```
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
/// A source heard this recently is alive: a window that opens again does not give its place away.
pub const ALIVE: Duration = Duration::from_millis(500);

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
    window_until: Time,
    wary_until: Time,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Only the signalled address is believed.
    Strict,
    /// Nobody has been learnt.
    Listening { former: Option<Former> },
    /// This source is believed, and packets go to it.
    Held {
        source: SocketAddr,
        heard: Time,
        /// It was learnt before the present window opened.
        carried: bool,
    },
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

/// Who was held before the party signalled another address. Its packets on the way still count as the party's,
/// but are no reason to send there again, unless it goes on: then the new address was only another name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Former {
    source: SocketAddr,
    leaves_at: Time,
}

impl Latch {
    /// A latch whose window opens at `now`.
    #[must_use]
    pub fn new(signalled: Option<SocketAddr>, strict: bool, now: Time) -> Self {
        let state = if strict { State::Strict } else { State::Listening { former: None } };
        Self { signalled, window_until: now + WINDOW, wary_until: now, state }
    }

    /// The same, made at `now`, but wary of strangers.
    #[must_use]
    pub fn wary(self, now: Time) -> Self {
        Self { wary_until: now + WARY, ..self }
    }

    /// Takes what an offer or answer said. Without `reopen` the window stays as it was.
    pub fn replan(&mut self, signalled: Option<SocketAddr>, strict: bool, reopen: bool, now: Time) {
        let moved = matches!((self.signalled, signalled), (Some(before), Some(after)) if before != after);
        self.signalled = signalled.or(self.signalled);
        if reopen {
            self.window_until = now + WINDOW;
        }
        self.state = match self.state {
            _ if strict => State::Strict,
            State::Strict => State::Listening { former: None },
            State::Held { source, .. } if moved && self.signalled != Some(source) => {
                State::Listening { former: Some(Former { source, leaves_at: now + ALIVE }) }
            }
            State::Held { source, heard, carried } => State::Held { source, heard, carried: carried || reopen },
            State::Listening { former } => State::Listening { former },
        };
    }

    /// Whether a packet from `source` is believed to be the party's; learns from it.
    pub fn hears(&mut self, source: SocketAddr, now: Time) -> bool {
        self.judges(source, now) != Heard::Stranger
    }

    /// Whose a packet from `source` is; learns from it.
    pub(crate) fn judges(&mut self, source: SocketAddr, now: Time) -> Heard {
        self.judges_unless(source, now, |_| false)
    }

    /// The same, but whoever is `suspect` is not learnt unless signalled.
    pub(crate) fn judges_unless(
        &mut self,
        source: SocketAddr,
        now: Time,
        suspect: impl FnOnce(SocketAddr) -> bool,
    ) -> Heard {
        match &mut self.state {
            State::Strict if self.signalled == Some(source) => return Heard::Known,
            State::Strict => return Heard::Stranger,
            State::Held { source: held, heard, .. } if *held == source => {
                *heard = now;
                return Heard::Known;
            }
            State::Listening { former: Some(former) } if former.source == source && now < former.leaves_at => {
                return Heard::Known;
            }
            State::Held { .. } | State::Listening { .. } => {}
        }
        if !self.learns(source, now) || (self.signalled != Some(source) && suspect(source)) {
            return Heard::Stranger;
        }
        self.state = State::Held { source, heard: now, carried: false };
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
        match self.state {
            State::Held { source, .. } => Some(source),
            State::Strict | State::Listening { .. } => self.signalled,
        }
    }

    /// Who can be believed until the next [`Latch::replan`].
    #[must_use]
    pub fn believed(&self, now: Time) -> Believed {
        match (self.state, self.signalled) {
            (State::Held { source, .. }, _) if now >= self.window_until => Believed::Only(source),
            (State::Strict, Some(signalled)) => Believed::Only(signalled),
            (State::Listening { .. }, Some(signalled)) if now >= self.window_until => {
                Believed::Host(signalled.ip())
            }
            _ => Believed::Anybody,
        }
    }

    /// Whether a source that is not the held one takes its place.
    fn learns(&self, source: SocketAddr, now: Time) -> bool {
        let open = now < self.window_until;
        match self.state {
            State::Strict => false,
            State::Listening { .. } if now < self.wary_until => self.signalled == Some(source),
            // A party that is first heard after the window can still be itself, from a port it did not announce.
            State::Listening { .. } => open || self.signalled.is_some_and(|it| it.ip() == source.ip()),
            State::Held { heard, carried, .. } => {
                let silent = now.since(heard) >= ALIVE;
                open && (self.signalled == Some(source) || (carried && silent))
            }
        }
    }
}
