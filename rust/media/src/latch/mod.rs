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
        if !self.learns(source, now) {
            return Heard::Stranger;
        }
        self.state = State::Held { source, heard: now, carried: false };
        Heard::Learnt
    }

    /// Writes down what has been learnt, where a successor finds it.
    pub(crate) fn publish(&self, words: &[AtomicU64]) {
        published::write(self, words);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn phone() -> SocketAddr {
        at("198.51.100.1:4000")
    }

    fn stranger() -> SocketAddr {
        at("203.0.113.66:666")
    }

    #[test]
    fn a_phone_behind_a_nat_is_learnt_and_a_later_stranger_is_not() {
        let mut latch = Latch::new(Some(at("192.168.0.5:4000")), false, Time::ZERO);
        assert_eq!(latch.target(), Some(at("192.168.0.5:4000")));
        assert!(latch.hears(phone(), ms(100)));
        assert!(!latch.hears(stranger(), ms(101)));
        assert!(!latch.hears(stranger(), ms(10_000)));
        assert_eq!(latch.target(), Some(phone()));
        assert_eq!(latch.believed(ms(2_999)), Believed::Anybody);
        assert_eq!(latch.believed(ms(3_000)), Believed::Only(phone()));
    }

    #[test]
    fn a_wary_latch_hears_the_signalled_address_only_and_after_a_moment_anybody() {
        let mut latch = Latch::new(Some(phone()), false, Time::ZERO).wary(Time::ZERO);
        assert!(!latch.hears(stranger(), ms(10)));
        assert!(!latch.hears(at("198.51.100.1:61000"), ms(20)), "another call's phone at the same host");
        assert_eq!(latch.target(), Some(phone()));
        assert!(latch.hears(phone(), ms(30)));
        assert!(!latch.hears(stranger(), ms(600)), "the place is taken");
        let mut silent = Latch::new(None, false, Time::ZERO).wary(Time::ZERO);
        assert!(!silent.hears(stranger(), ms(499)));
        silent.replan(Some(at("192.168.0.5:4000")), false, true, ms(499));
        assert!(silent.hears(phone(), ms(500)), "a phone behind a NAT, in the end");
    }

    #[test]
    fn the_signalled_address_takes_its_place_back_from_a_stranger_who_was_first() {
        let mut latch = Latch::new(Some(phone()), false, Time::ZERO);
        assert!(latch.hears(stranger(), ms(10)));
        assert!(latch.hears(phone(), ms(20)));
        assert!(!latch.hears(stranger(), ms(30)));
        assert_eq!(latch.target(), Some(phone()));
    }

    #[test]
    fn after_the_window_only_the_signalled_host_is_learnt_whatever_its_port() {
        let mut latch = Latch::new(Some(phone()), false, Time::ZERO);
        assert!(!latch.hears(stranger(), ms(3_000)));
        assert!(latch.hears(at("198.51.100.1:61000"), ms(4_000)));
        assert!(!latch.hears(phone(), ms(4_001)), "the place is taken, and the window is closed");
    }

    #[test]
    fn a_new_window_leaves_a_living_source_its_place() {
        let mut latch = Latch::new(Some(phone()), false, Time::ZERO);
        assert!(latch.hears(phone(), ms(9_980)));
        latch.replan(Some(phone()), false, true, ms(10_000));
        assert!(!latch.hears(stranger(), ms(10_100)));
        assert!(latch.hears(phone(), ms(10_101)));
        assert_eq!(latch.target(), Some(phone()));
    }

    #[test]
    fn in_a_new_window_a_silent_source_can_be_replaced() {
        let mut latch = Latch::new(Some(at("192.168.0.5:4000")), false, Time::ZERO);
        assert!(latch.hears(phone(), ms(20)));
        latch.replan(Some(at("192.168.0.5:4000")), false, true, ms(60_000));
        let moved = at("198.51.100.1:4002");
        assert!(latch.hears(moved, ms(60_010)));
        assert!(!latch.hears(phone(), ms(60_020)), "learnt in this window, the new source is not given up");
    }

    #[test]
    fn another_signalled_address_is_sent_to_at_once() {
        let mut latch = Latch::new(Some(phone()), false, Time::ZERO);
        assert!(latch.hears(phone(), ms(20)));
        let music = at("198.51.100.99:7000");
        latch.replan(Some(music), false, true, ms(10_000));
        assert_eq!(latch.target(), Some(music));
        assert!(latch.hears(phone(), ms(10_005)), "packets on the way are still the party's");
        assert_eq!(latch.target(), Some(music), "but nothing is sent back there");
    }

    #[test]
    fn a_phone_that_only_changed_its_private_address_is_learnt_again() {
        let mut latch = Latch::new(Some(at("192.168.0.5:4000")), false, Time::ZERO);
        assert!(latch.hears(phone(), ms(20)));
        latch.replan(Some(at("192.168.0.5:4002")), false, true, ms(10_000));
        assert!(latch.hears(phone(), ms(10_020)));
        assert!(latch.hears(phone(), ms(10_520)));
        assert_eq!(latch.target(), Some(phone()));
    }

    #[test]
    fn strict_source_believes_the_signalled_address_only() {
        let mut latch = Latch::new(Some(phone()), true, Time::ZERO);
        assert!(!latch.hears(at("198.51.100.1:4001"), ms(1)));
        assert!(latch.hears(phone(), ms(2)));
        assert_eq!(latch.believed(ms(2)), Believed::Only(phone()));
    }

    #[test]
    fn a_party_heard_before_it_was_signalled_keeps_its_place_while_it_speaks() {
        let mut latch = Latch::new(None, false, Time::ZERO);
        assert_eq!(latch.target(), None);
        assert!(latch.hears(phone(), ms(100)));
        latch.replan(Some(at("192.168.0.5:4000")), false, true, ms(200));
        assert_eq!(latch.target(), Some(phone()));
    }

    mod always {
        use super::*;
        use proptest::prelude::*;

        #[derive(Clone, Debug)]
        enum Step {
            Packet(u8),
            Offer { signalled: Option<u8>, strict: bool },
        }

        fn host(number: u8) -> SocketAddr {
            SocketAddr::from(([198, 51, 100, number % 4], 4000 + u16::from(number / 4)))
        }

        fn step() -> impl Strategy<Value = Step> {
            prop_oneof![
                8 => (0_u8..12).prop_map(Step::Packet),
                1 => (proptest::option::of(0_u8..12), proptest::bool::weighted(0.1))
                    .prop_map(|(signalled, strict)| Step::Offer { signalled, strict }),
            ]
        }

        proptest! {
            /// Outside of every window, a source that is neither held nor on the signalled host never gets in, and
            /// nobody is heard whom `believed` has excluded before, until the next offer or answer.
            #[test]
            fn strangers_stay_out(steps in proptest::collection::vec((step(), 0_u64..1_500), 1..200)) {
                let mut now = Time::ZERO;
                let mut opened = Time::ZERO;
                let mut signalled = Some(host(0));
                let mut latch = Latch::new(signalled, false, now);
                let mut said = Believed::Anybody;
                for (step, millis) in steps {
                    now = now + Duration::from_millis(millis);
                    match step {
                        Step::Offer { signalled: to, strict } => {
                            signalled = to.map(host).or(signalled);
                            latch.replan(to.map(host), strict, true, now);
                            (opened, said) = (now, Believed::Anybody);
                        }
                        Step::Packet(number) => {
                            let (source, before) = (host(number), latch.target());
                            let believed = latch.hears(source, now);
                            if now.since(opened) >= WINDOW && believed {
                                let known = before == Some(source);
                                prop_assert!(known || signalled.is_some_and(|it| it.ip() == source.ip()));
                            }
                            match said {
                                Believed::Only(only) => prop_assert_eq!(believed, source == only),
                                Believed::Host(host) => prop_assert!(!believed || source.ip() == host),
                                Believed::Anybody => {}
                            }
                            said = latch.believed(now);
                            prop_assert!(!believed || now.since(opened) < WINDOW || said == Believed::Only(source));
                        }
                    }
                }
            }
        }
    }
}
