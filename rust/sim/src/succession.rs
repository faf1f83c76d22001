//! The process of a server dies, and what it had waits for the next one.
//!
//! ```text
//!   gone ── told_after ──▶ the pool is told, and how long it may take
//!     │ until              Adopted: the next process has every call      nobody may notice but by the pause
//!     └──────────────────▶ Refused: it has forgotten them                the pool sees it in a pong
//!                          NobodyInTime: what was left is gone, too      the pool is told
//! ```

use mediaha_failover::{Command, Input};
use mediaha_time::{Duration, Time};

use crate::effect::Ending;
use crate::plan::SUCCEEDS_WITHIN;
use crate::server::Server;
use crate::world::{EXIT, World, number};

/// What a server has suffered earlier is no reason any more to leave it.
const MOVED_FOR: Duration = Duration::from_secs(3);
/// But for having forwarded nothing: when the session for probes is refused just then, it is seen only so much later that it does again.
const GRAY_FOR: Duration = Duration::from_secs(8);

impl World {
    /// Whether it has a supervisor, and there is a process that can die.
    pub(crate) fn can_be_succeeded(&self, server: usize) -> bool {
        let one = &self.servers[server];
        one.is_up() && !one.is_foreign && !one.effects.succession()
    }

    /// The supervisor says that the process of this server is gone, and that it waits for the next one.
    pub(crate) fn tell_of_succession(&mut self, server: usize) {
        let (server, why) = (self.servers[server].name.clone(), EXIT.to_owned());
        let within_ms = u64::try_from(SUCCEEDS_WITHIN.as_millis()).unwrap_or(u64::MAX);
        self.pool_input(Input::Command(Command::Succeeding { server, why, within_ms }));
    }

    /// The next process starts, if what this life has left is still there.
    pub(crate) fn succeed(&mut self, server: usize, life: u32, ending: Ending) {
        let now = self.now;
        let one = &mut self.servers[server];
        if one.life() != life {
            return;
        }
        match ending {
            Ending::Adopted => {
                if let Err(why) = one.succeed(number(server), now) {
                    self.violate(format!("m{} cannot go on: {why}", server + 1));
                }
            }
            Ending::Refused => one.forget(number(server)),
            Ending::NobodyInTime => one.crash(number(server)),
        }
    }

    /// Nobody is moved away from a server whose processes follow each other in time.
    pub(crate) fn judge_move(&mut self, call_id: &[u8], from: &str) {
        let (then, gray) = (self.now - MOVED_FOR, self.now - GRAY_FOR);
        let known = self.nets.calls.iter().any(|call| call.id == call_id && !call.stranded);
        let server = self.servers.iter().find(|server| server.name == from);
        let sound = |one: &Server| {
            !one.is_foreign
                && one.loss_permille == 0
                && one.effects.is_sound_since(then)
                && !one.effects.was_gray_since(gray)
        };
        let sound = server.is_some_and(sound);
        if then > Time::ZERO && known && sound && !self.was_stopped_since(then) {
            let id = String::from_utf8_lossy(call_id).into_owned();
            self.violate(format!("{id} is moved away from {from}, which has all that it had"));
        }
    }
}
