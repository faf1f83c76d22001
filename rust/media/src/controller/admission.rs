//! Decides: whether there is room for a call that comes.

use super::refusal::Refusal;
use super::{Controller, ControllerConfig};
use crate::datapath::Load;

/// All of a worker's time, in thousandths: a limit that refuses nobody.
const ALL: u32 = 1_000;
/// The ports that a call of one stream takes.
const PORTS_PER_CALL: u32 = 4;

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// It takes no new calls, as it was told.
    Draining,
    /// It has as many calls as it may.
    Sessions,
    /// It has dropped packets lately because it could not read them fast enough.
    Behind,
    /// Its calls need, or are going to need, more of a worker's time than they may.
    Busy,
    /// Too few ports are left.
    Ports,
}

impl NoRoom {
    /// Why, for a person.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Self::Draining => "it is draining",
            Self::Sessions => "it has as many calls as it may have",
            Self::Behind => "it has dropped packets in the last seconds, because it was behind",
            Self::Busy => "its calls need, or are about to need, more time than it may spend",
            Self::Ports => "no ports are left",
        }
    }
}

/// Who comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comer {
    /// Nobody talks yet, and there are other servers.
    New,
    /// A call whose server is dead. Refused, it is silent, or over; so it is taken until nothing is left to take it with: by a
    /// server that drains, and by one that was late lately, perhaps because the others' calls have come to it as well.
    Bereft,
}

impl Controller {
    /// Whether a call may come. Ports are another matter: a call may be wanted on an interface that has some.
    pub(super) fn admit(&self, comer: Comer, load: &Load) -> Result<(), Refusal> {
        let calls = self.calls.counted();
        let no_room = match comer {
            Comer::New => no_room(&self.config, self.draining, calls, load),
            Comer::Bereft => no_room_at_all(&self.config, calls, load),
        };
        match no_room {
            // A server that drains says so in its pong. Clients that do not look there know this text, and go on to
            // the next server.
            Some(NoRoom::Draining | NoRoom::Sessions) => Err(Refusal::Sessions),
            Some(NoRoom::Behind | NoRoom::Busy) => Err(Refusal::Load),
            Some(NoRoom::Ports) | None => Ok(()),
        }
    }
}

/// Why a new call would not be taken now; `None` if it would.
pub(super) fn no_room(config: &ControllerConfig, draining: bool, calls: usize, load: &Load) -> Option<NoRoom> {
    let limited = config.busy_permille_max < ALL && load.for_new_calls_permille() >= config.busy_permille_max;
    if draining {
        Some(NoRoom::Draining)
    } else if calls >= config.sessions_max {
        Some(NoRoom::Sessions)
    } else if limited {
        Some(if load.is_behind { NoRoom::Behind } else { NoRoom::Busy })
    } else if load.ports_max.saturating_sub(load.ports_open) < PORTS_PER_CALL {
        Some(NoRoom::Ports)
    } else {
        None
    }
}

/// The same for a call whose server is dead.
fn no_room_at_all(config: &ControllerConfig, calls: usize, load: &Load) -> Option<NoRoom> {
    let limited = config.busy_permille_max < ALL && load.expected_permille >= ALL;
    if calls >= config.sessions_max { Some(NoRoom::Sessions) } else { limited.then_some(NoRoom::Busy) }
}
