//! What a seed means: how many servers and calls, and what goes wrong when.

use mediaha_time::{Duration, Time};

use crate::Kind;
use crate::chance::Chance;
use crate::effect::{Effect, Ending};
use crate::late::Lateness;
use crate::server::{ROOMY, Server};

/// Faults begin before this, and have ended by then unless they last for ever.
pub(crate) const HEALED_AT: Time = Time::from_millis(5_000);
/// By then everything has settled: a session for probes that was refused just before is asked for again 5 s later, and what it shows
/// moves calls.
pub(crate) const SETTLED_AT: Time = Time::from_millis(11_000);
/// In a world that is measured a server hangs from then on.
pub(crate) const HANGS_AT: Time = Time::from_millis(3_500);
/// All calls have been ended since `SETTLED_AT`; by then nothing of them is left.
pub(crate) const EMPTY_AT: Time = Time::from_millis(14_500);

/// The world of one seed.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The servers.
    pub(crate) servers: Vec<Server>,
    /// Each call's list and when it begins.
    pub(crate) calls: Vec<(Vec<String>, Time)>,
    /// What goes wrong.
    pub(crate) faults: Vec<Fault>,
    /// Packets are sent through the servers, and some forward none for a while.
    pub(crate) probed: bool,
    /// Everybody is late, until it heals.
    pub(crate) late: Option<Lateness>,
}

/// Something that goes wrong.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// When.
    pub(crate) at: Time,
    /// What.
    pub(crate) what: What,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// Something at one server or on the way to it.
    Server {
        /// Which.
        server: usize,
        /// What.
        effect: Effect,
        /// When it is over; [`Time::FAR`] for never.
        until: Time,
        /// For a crash or a succession: how much later its supervisor tells the pool. For draining: told by command, not by itself.
        told_after: Option<Duration>,
    },
    /// The pool itself does not run.
    Stall {
        /// Until when.
        until: Time,
        /// Whether it looks at the clock before it reads what has come.
        clock_first: bool,
    },
}

impl Plan {
    /// The world of this seed.
    pub(crate) fn new(chance: &mut Chance, kind: Kind) -> Self {
        let count = 1 + chance.index(4);
        let servers: Vec<Server> = (1..=4).take(count).map(|number| server(number, chance)).collect();
        let names: Vec<String> = servers.iter().map(|server| server.name.clone()).collect();
        let is_crowded = chance.happens(15);
        let calls = if is_crowded { 150 } else { 1 + chance.index(16) };
        let calls = (0..calls).map(|_| (list(&names, chance), begin(is_crowded, chance))).collect();
        let mut faults = faults(count, chance);
        if kind != Kind::Plain {
            // In half of these worlds nothing else goes wrong, so that it is seen how it ends.
            faults.truncate(if chance.happens(500) { 0 } else { faults.len() });
        }
        let probed = match kind {
            Kind::Plain => false,
            Kind::Probed => {
                faults.extend((0..=chance.index(2)).map(|_| gray(count, chance)));
                true
            }
            Kind::Succeeded => {
                faults.extend((0..=chance.index(4)).flat_map(|_| succession(count, chance)));
                chance.happens(500)
            }
            Kind::Late => chance.happens(500),
        };
        let late = (kind == Kind::Late).then(|| lateness(chance));
        Self { servers, calls, faults, probed, late }
    }

    /// Three servers that are late, and one of them hangs in the end.
    pub(crate) fn late(chance: &mut Chance, lateness: Lateness) -> Self {
        let servers: Vec<Server> = (1..=3).map(|number| Server::new(number, ROOMY, false)).collect();
        let names: Vec<String> = servers.iter().map(|server| server.name.clone()).collect();
        let calls = (0..12).map(|_| (list(&names, chance), begin(false, chance))).collect();
        let effect = Effect::Hung;
        let hangs = What::Server { server: 0, effect, until: Time::FAR, told_after: None };
        Self {
            servers,
            calls,
            faults: vec![Fault { at: HANGS_AT, what: hangs }],
            probed: false,
            late: Some(lateness),
        }
    }
}

fn lateness(chance: &mut Chance) -> Lateness {
    let ms = if chance.happens(500) { 5..=40 } else { 10..=chance.within(60..=150) };
    Lateness { permille: chance.within(50..=800), ms, all_permille: chance.within(0..=500) }
}

fn server(number: u8, chance: &mut Chance) -> Server {
    let sessions_max = if chance.happens(100) { 1 + chance.index(4) } else { ROOMY };
    let mut server = Server::new(number, sessions_max, chance.happens(150));
    server.refuses = chance.happens(700);
    server.way_us.1 = if chance.happens(200) { 20_000 } else { 1_000 };
    server.loss_permille = if chance.happens(300) { chance.within(1..=30) } else { 0 };
    server
}

fn list(names: &[String], chance: &mut Chance) -> Vec<String> {
    let mut list = names.to_vec();
    if chance.happens(300) {
        chance.shuffle(&mut list);
        list.truncate(1 + chance.index(names.len()));
    }
    list
}

fn begin(is_crowded: bool, chance: &mut Chance) -> Time {
    // Some call before the first ping is answered.
    let last = if is_crowded { 800 } else { 4_500 };
    Time::from_millis(chance.within(0..=last))
}

fn faults(servers: usize, chance: &mut Chance) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut may_die_for_ever = servers - 1;
    for _ in 0..chance.index(7) {
        let at = Time::from_millis(chance.within(100..=4_800));
        let what = if chance.happens(80) { stall(at, chance) } else { trouble(at, servers, chance) };
        faults.push(Fault { at, what });
        // Two at once, or nearly so.
        if chance.happens(350) {
            let at = at + Duration::from_millis(chance.within(0..=120));
            faults.push(Fault { at, what: trouble(at, servers, chance) });
        }
    }
    for fault in &mut faults {
        if let What::Server { effect: Effect::Down, until, server, .. } = &mut fault.what {
            // At least one of them lives: the last one of the list.
            if may_die_for_ever > 0 && *server + 1 < servers && chance.happens(150) {
                may_die_for_ever -= 1;
                *until = Time::FAR;
            }
        }
    }
    faults
}

fn stall(at: Time, chance: &mut Chance) -> What {
    let until = at + Duration::from_millis(chance.within(30..=1_500));
    What::Stall { until: until.min(HEALED_AT), clock_first: chance.happens(500) }
}

fn trouble(at: Time, servers: usize, chance: &mut Chance) -> What {
    let server = chance.index(servers);
    let effect = match chance.index(16) {
        0..=3 => Effect::Down,
        4..=5 => Effect::Hung,
        6 => Effect::DeafServer,
        7 => Effect::DumbServer,
        8..=9 => Effect::Loss { permille: chance.within(50..=600) },
        10 => Effect::Delay { ms_max: chance.within(10..=300) },
        11 => Effect::Duplication { permille: chance.within(100..=900) },
        12..=13 => Effect::Failing { reason: REASONS[chance.index(REASONS.len())] },
        14 => Effect::Draining,
        _ => Effect::Unlisted,
    };
    let until = at + Duration::from_millis(chance.within(20..=2_500));
    let told_after = chance.happens(500).then(|| Duration::from_millis(chance.within(0..=30)));
    What::Server { server, effect, until: until.min(HEALED_AT), told_after }
}

/// Long enough to be found out, most of the time.
fn gray(servers: usize, chance: &mut Chance) -> Fault {
    let at = Time::from_millis(chance.within(1_500..=3_000));
    let until = (at + Duration::from_millis(chance.within(200..=3_500))).min(HEALED_AT);
    let (server, effect) = (chance.index(servers), Effect::Gray);
    Fault { at, what: What::Server { server, effect, until, told_after: None } }
}

/// The supervisor waits for the next process for so long.
pub(crate) const SUCCEEDS_WITHIN: Duration = Duration::from_millis(500);

/// A process dies; another one goes on with what it had, or starts without, or there is none for a while.
fn succession(servers: usize, chance: &mut Chance) -> Vec<Fault> {
    let at = Time::from_millis(chance.within(300..=4_300));
    let (server, told_after) = (chance.index(servers), Duration::from_millis(chance.within(0..=30)));
    let fault = |at, effect, until, told| {
        let told_after = Some(told);
        Fault { at, what: What::Server { server, effect, until, told_after } }
    };
    let ending = match chance.index(8) {
        0 => Ending::NobodyInTime,
        1 => Ending::Refused,
        _ => Ending::Adopted,
    };
    // Well before its supervisor gives up.
    let until = at + Duration::from_millis(chance.within(1..=350));
    if ending != Ending::NobodyInTime {
        return vec![fault(at, Effect::Succession(ending), until, told_after)];
    }
    let given_up_at = at + told_after + SUCCEEDS_WITHIN;
    let until = (given_up_at + Duration::from_millis(chance.within(0..=1_000))).min(HEALED_AT);
    vec![
        fault(at, Effect::Succession(ending), given_up_at, told_after),
        fault(given_up_at, Effect::Down, until, Duration::ZERO),
    ]
}

const REASONS: [&str; 3] = [mediaha_ng::reason::LOAD_LIMIT, mediaha_ng::reason::NO_PORTS, "Internal error"];
