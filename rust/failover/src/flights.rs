//! Requests in flight: each is sent again, with the same cookie and ever more rarely, until it is answered or closed.
//!
//! The server's duplicate detection makes sending again safe. An offer that was closed unanswered is remembered for a
//! while: when it turns out to have been taken after all, what it created must be deleted.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use mediaha_ng::{AddressFamily, Request};
use mediaha_time::{Duration, Time};

use crate::exchange::{Cookie, ServerId};
use crate::family;
use crate::registry::{CallId, CallKey};

/// The longest pause between two sendings of the same request.
const RESEND_EVERY_MAX: Duration = Duration::from_millis(200);
/// How long, and how many, closed offers are remembered.
const LATE_FOR: Duration = Duration::from_secs(10);
const LATE_MAX: usize = 16_384;

/// What a request is for, and so whom its answer concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// An offer of a walk.
    Walk(CallKey),
    /// A later request that creates a call anew, on the server that took the walk's offer.
    Rebuild(CallKey),
    /// A command for a call that is served.
    Wish(CallKey),
    /// A deletion that is owed.
    Delete(CallId),
    /// A question whether a server still knows a call.
    Audit(CallKey),
    /// The session of the server's probe.
    Probe,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) server: ServerId,
    pub(crate) purpose: Purpose,
    request: Request,
    sent_at: Time,
    resend_at: Time,
    resend_every: Duration,
    sent_once: bool,
    /// When the answer is no longer waited for; most flights are closed by what they belong to instead.
    give_up_at: Time,
}

/// What is due for one of them.
#[derive(Debug)]
pub(crate) enum Due {
    /// Send it again, and come back then.
    Resend { server: ServerId, request: Request, next_at: Time },
    /// It came to nothing.
    GivenUp(Flight),
    /// Not yet.
    Later,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Flights {
    next: u64,
    open: HashMap<Cookie, Flight>,
    by_server: BTreeMap<ServerId, BTreeSet<Cookie>>,
    late: HashMap<Cookie, (ServerId, CallId)>,
    late_until: VecDeque<(Time, Cookie)>,
}

impl Flights {
    /// Cookies start at a number drawn from `seed`, so that a server does not take a new pool's requests for
    /// retransmissions of an earlier one's.
    pub(crate) fn new(seed: u64) -> Self {
        let (open, by_server) = (HashMap::new(), BTreeMap::new());
        Self { next: scrambled(seed), open, by_server, late: HashMap::new(), late_until: VecDeque::new() }
    }

    /// A cookie for a request that is not sent again.
    pub(crate) fn cookie(&mut self) -> Cookie {
        self.next = self.next.wrapping_add(1);
        Cookie(self.next)
    }

    /// A request is sent now. Ask for [`due`](Self::due) after `resend_every`.
    pub(crate) fn depart(
        &mut self,
        server: ServerId,
        purpose: Purpose,
        request: Request,
        resend_every: Duration,
        give_up_at: Time,
        now: Time,
    ) -> Cookie {
        let cookie = self.cookie();
        let resend_at = now + resend_every;
        let flight = Flight {
            server,
            purpose,
            request,
            sent_at: now,
            resend_at,
            resend_every,
            sent_once: true,
            give_up_at,
        };
        self.open.insert(cookie, flight);
        self.by_server.entry(server).or_default().insert(cookie);
        cookie
    }

    /// The flight that this answers, if it does, and the round-trip time where it is certain.
    pub(crate) fn arrive(
        &mut self,
        server: ServerId,
        cookie: Cookie,
        now: Time,
    ) -> Option<(Flight, Option<Duration>)> {
        if self.open.get(&cookie)?.server != server {
            return None;
        }
        let flight = self.remove(cookie)?;
        let rtt = flight.sent_once.then(|| now.since(flight.sent_at));
        Some((flight, rtt))
    }

    /// The timer of this flight went off.
    pub(crate) fn due(&mut self, cookie: Cookie, now: Time) -> Due {
        let Some(flight) = self.open.get_mut(&cookie) else { return Due::Later };
        if now >= flight.give_up_at {
            return self.remove(cookie).map_or(Due::Later, Due::GivenUp);
        }
        if now < flight.resend_at {
            return Due::Later;
        }
        flight.sent_once = false;
        flight.resend_every = (flight.resend_every * 2).min(RESEND_EVERY_MAX.max(flight.resend_every));
        flight.resend_at = now + flight.resend_every;
        let next_at = flight.resend_at.min(flight.give_up_at);
        Due::Resend { server: flight.server, request: flight.request.clone(), next_at }
    }

    /// The answer is not wanted any more. Of an offer, `call_id` is kept for when it was taken after all.
    pub(crate) fn close(&mut self, cookie: Cookie, call_id: &CallId, now: Time) {
        if let Some(flight) = self.remove(cookie) {
            self.remember(&flight, cookie, call_id, now);
        }
    }

    /// A closed offer is answered with success: where, and for which call.
    pub(crate) fn late_winner(&mut self, server: ServerId, cookie: Cookie) -> Option<CallId> {
        let (asked, _) = self.late.get(&cookie)?;
        if *asked != server {
            return None;
        }
        self.late.remove(&cookie).map(|(_, call_id)| call_id)
    }

    /// The server is gone, and with it everything that was on its way there, in the order of sending.
    pub(crate) fn ground(&mut self, server: ServerId) -> Vec<(Cookie, Flight)> {
        let cookies = self.by_server.remove(&server).unwrap_or_default();
        cookies.into_iter().filter_map(|cookie| Some((cookie, self.open.remove(&cookie)?))).collect()
    }

    /// Keep an offer that was just [grounded](Self::ground) in mind.
    pub(crate) fn remember(&mut self, flight: &Flight, cookie: Cookie, call_id: &CallId, now: Time) {
        if !flight.is_offer() {
            return;
        }
        while self.late_until.front().is_some_and(|&(until, _)| until <= now || self.late_until.len() >= LATE_MAX)
        {
            if let Some((_, old)) = self.late_until.pop_front() {
                self.late.remove(&old);
            }
        }
        self.late.insert(cookie, (flight.server, call_id.clone()));
        self.late_until.push_back((now + LATE_FOR, cookie));
    }

    /// Whether anything is on its way to this server.
    pub(crate) fn any_to(&self, server: ServerId) -> bool {
        self.by_server.get(&server).is_some_and(|cookies| !cookies.is_empty())
    }

    fn remove(&mut self, cookie: Cookie) -> Option<Flight> {
        let flight = self.open.remove(&cookie)?;
        if let Some(cookies) = self.by_server.get_mut(&flight.server) {
            cookies.remove(&cookie);
        }
        Some(flight)
    }
}

impl Flight {
    /// What the SDP in the reply is to lead to, and that for the sender in the reply to an adoption.
    pub(crate) fn families(&self) -> (Option<AddressFamily>, Option<AddressFamily>) {
        match &self.request {
            Request::Offer(media) | Request::Answer(media) => (media.options.address_family, None),
            Request::Adopt(adoption) => {
                let wanted = adoption.offer.options.address_family;
                (wanted, wanted.and_then(|_| family::of(&adoption.offer.sdp)))
            }
            _ => (None, None),
        }
    }

    /// Offers create things, be it with the answer to them; nothing else does.
    pub(crate) fn is_offer(&self) -> bool {
        matches!(self.request, Request::Offer(_)) || self.is_adoption()
    }

    pub(crate) fn is_adoption(&self) -> bool {
        matches!(self.request, Request::Adopt(_))
    }
}

/// `SplitMix64`'s finaliser: neighbouring seeds give distant numbers.
fn scrambled(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
