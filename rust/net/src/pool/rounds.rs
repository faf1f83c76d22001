//! The thread's work, round after round: wait, hear, decide, send, tell.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mediaha_failover::{Command, Event, Input, Output, Pool, ServerId};
use mediaha_ng::{Datagram, Request, bundle, datagram_untrusted, reply_untrusted};
use mediaha_time::Time;

use super::cookie;
use super::probes::Probes;
use super::runtime::Shared;
use super::spill::Spill;
use super::wires::{Signal, Wires};
use crate::sys::{Epoll, Events, monotonic, precise_timers};

/// The bell's place in epoll; servers have those of their ids, which are smaller.
pub(super) const BELL: u64 = u64::MAX;
const EVENTS_PER_WAIT: usize = 64;
/// No more are taken in one round, so that a flood of commands does not delay the watching.
const COMMANDS_PER_ROUND_MAX: usize = 1024;
/// While the thread is woken more often than this it looks only this often, so that one round serves many calls. Half
/// of it is what a busy pool adds to an offer; one that has little to do adds nothing.
const NAP: Duration = Duration::from_micros(500);
/// How old the list that `servers()` shows may be while the pool is awake.
const VIEW_AGE_MAX: Duration = Duration::from_millis(20);

pub(super) struct Rounds {
    pool: Pool,
    epoll: Epoll,
    shared: Arc<Shared>,
    wires: Wires,
    probes: Probes,
    spill: Spill,
    viewed_at: Time,
    illegible: u64,
}

impl Rounds {
    /// `secret` is known to nobody else.
    pub(super) fn new(pool: Pool, epoll: Epoll, shared: Arc<Shared>, secret: u64) -> Self {
        let (wires, probes, spill) = (Wires::new(), Probes::new(secret), Spill::default());
        Self { pool, epoll, shared, wires, probes, spill, viewed_at: Time::ZERO, illegible: 0 }
    }

    /// Works until told to end; what was asked for before that is still sent, once.
    pub(super) fn run(mut self) {
        // Without it timers ring up to 50 µs late, which is all that is lost.
        let _ = precise_timers();
        let mut events = Events::new(EVENTS_PER_WAIT);
        self.take_commands();
        self.round();
        let mut woken_at = monotonic();
        while !self.shared.ending.load(Ordering::Acquire) {
            std::thread::sleep(NAP.saturating_sub(monotonic().since(woken_at)));
            let due = self.pool.wake_at();
            let timeout = due.map(|due| due.since(monotonic()));
            // A command that nobody rings for is seen here, or its sender sees when this thread would wake.
            let timeout = if self.shared.sleeps_until(due) { timeout } else { Some(Duration::ZERO) };
            if self.epoll.wait(&mut events, timeout).is_err() {
                return;
            }
            woken_at = monotonic();
            // Replies come first: after a stall of this thread they prove that the servers were there all along.
            for ready in events.iter() {
                match u16::try_from(ready.token) {
                    Ok(id) => self.hear(ServerId(id)),
                    Err(_) if ready.token == BELL => self.shared.commands_bell.drain(),
                    Err(_) => self.hear_probes(ready.token),
                }
            }
            self.take_commands();
            self.round();
        }
        self.take_commands();
        self.pool.handle(Input::Command(Command::Servers(Vec::new())), monotonic());
        self.round();
    }

    /// Lets time pass, and does what the pool wants done.
    fn round(&mut self) {
        let now = monotonic();
        if self.pool.wake_at().is_some_and(|due| due <= now) {
            self.pool.handle(Input::Tick, now);
        }
        self.carry_out();
        for server in self.wires.flush(&self.epoll) {
            self.pool.handle(Input::Unreachable { server }, monotonic());
        }
        // What follows from an unreachable server is sent in this round, too.
        self.carry_out();
        self.wires.flush(&self.epoll);
        self.tell();
        if now.since(self.viewed_at) >= VIEW_AGE_MAX {
            self.view(now);
        }
    }

    fn take_commands(&mut self) {
        for _ in 0..COMMANDS_PER_ROUND_MAX {
            let Some(command) = self.shared.commands.pop() else { return };
            let servers_change = matches!(command, Command::Servers(_));
            self.pool.handle(Input::Command(command), monotonic());
            if servers_change {
                self.view(monotonic());
            }
        }
        self.shared.commands_bell.ring();
    }

    fn hear(&mut self, server: ServerId) {
        let (pool, illegible) = (&mut self.pool, &mut self.illegible);
        self.wires.receive(server, |signal| match signal {
            Signal::Unreachable => pool.handle(Input::Unreachable { server }, monotonic()),
            Signal::Datagram(bytes) => {
                replies_untrusted(server, bytes, |input| match input {
                    Some(input) => pool.handle(input, monotonic()),
                    None => *illegible += 1,
                });
            }
        });
    }

    fn hear_probes(&mut self, token: u64) {
        for (server, number) in self.probes.hear(token) {
            self.pool.handle(Input::Probed { server, number }, monotonic());
        }
    }

    fn open_probe(&mut self, server: ServerId) {
        let from = self.wires.from(server);
        let opened = from.and_then(|from| self.probes.open(server, from, &self.epoll).ok());
        if let Some(ours) = opened {
            self.pool.handle(Input::ProbeOpened { server, ours }, monotonic());
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.pool.next_output() {
            match output {
                Output::Send { server, cookie, request } => {
                    let datagram = Datagram::asking(cookie::to_text(cookie), &request).to_bytes();
                    if let Request::Adopt(_) = request {
                        self.wires.bundle(server, datagram);
                    } else {
                        self.wires.push(server, datagram);
                    }
                }
                Output::OpenProbe { server } => self.open_probe(server),
                Output::Probe { server, number, side, to } => self.probes.send(server, number, side, to),
                Output::Event(event) => {
                    if matches!(event, Event::ServerState { .. }) {
                        self.viewed_at = Time::ZERO;
                    }
                    self.spill.push(event);
                }
            }
        }
    }

    /// Moves events into the queue as far as there is room. Nobody else puts any in.
    fn tell(&mut self) {
        if self.spill.is_empty() {
            return;
        }
        // Said before looking for room: who makes room after that look then knows to wake this thread.
        self.shared.spilled.store(true, Ordering::SeqCst);
        while !self.shared.events.is_full() {
            let Some(event) = self.spill.pop() else { break };
            // There is room, as was just seen.
            let _ = self.shared.events.push(event);
        }
        self.shared.spilled.store(!self.spill.is_empty(), Ordering::SeqCst);
        self.shared.events_bell.ring();
    }

    fn view(&mut self, now: Time) {
        let servers = self.pool.servers();
        self.wires.connect(&servers, &self.epoll);
        self.probes.retain(|id| servers.iter().any(|server| server.id == id));
        self.shared.show(servers, self.wires.dropped(), self.illegible);
        self.viewed_at = now;
    }
}

/// Each reply in a datagram; `None` for one that is none.
fn replies_untrusted(server: ServerId, bytes: &[u8], mut each: impl FnMut(Option<Input>)) {
    let Ok(datagram) = datagram_untrusted(bytes) else { return each(None) };
    let Some(replies) = bundle::replies(&datagram.body) else {
        return each(reply_untrusted_from(server, &datagram));
    };
    for reply in replies {
        let datagram = datagram_untrusted(reply).ok();
        each(datagram.and_then(|datagram| reply_untrusted_from(server, &datagram)));
    }
}

fn reply_untrusted_from(server: ServerId, datagram: &Datagram) -> Option<Input> {
    let cookie = cookie::from_text_untrusted(&datagram.cookie)?;
    let reply = reply_untrusted(&datagram.body).ok()?;
    Some(Input::Reply { server, cookie, reply })
}
