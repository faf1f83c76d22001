//! `PoolRuntime`: starts and ends the thread, and passes commands and events across.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_queue::ArrayQueue;
use mediaha_failover::{Command, Config, Event, Pool, ServerSpec, ServerView};
use mediaha_time::Time;

use super::rounds::{BELL, Rounds};
use crate::sys::{Epoll, EventFd, Trigger, monotonic, random_bytes, seed};

/// How many events are taken at once; the rest stays readable.
const EVENTS_PER_TAKE_MAX: usize = 1024;
/// How long a command may wait that nobody rings for. Servers are asked more often than that whether they are alive.
const LEISURE: Duration = Duration::from_millis(100);

/// A pool and its limits.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// What the deciding pool is given.
    pub decisions: Config,
    /// The servers to begin with.
    pub servers: Vec<ServerSpec>,
    /// Commands that may wait; further ones are refused.
    pub commands_max: usize,
    /// Events that may wait in the queue; further ones wait in the thread, coalesced.
    pub events_max: usize,
    /// Decides cookies; `None` takes one from the kernel.
    pub seed: Option<u64>,
}

/// The queue of commands is full: nothing was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolQueueFull;

/// The pool was closed, or its thread has ended after a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolClosed;

/// Why a command was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submit {
    /// Try again later.
    Full(PoolQueueFull),
    /// There is no pool any more.
    Closed(PoolClosed),
}

/// A running pool. Dropping it ends the thread; calls stay where they are.
pub struct PoolRuntime {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

pub(super) struct Shared {
    pub(super) commands: ArrayQueue<Command>,
    pub(super) commands_bell: EventFd,
    /// When the thread wakes by itself, in nanoseconds.
    wakes_at: AtomicU64,
    pub(super) events: ArrayQueue<Event>,
    pub(super) events_bell: EventFd,
    /// Events wait in the thread for room in the queue.
    pub(super) spilled: AtomicBool,
    /// The thread is to end.
    pub(super) ending: AtomicBool,
    /// The thread has ended, also after a panic.
    ended: AtomicBool,
    servers: Mutex<Vec<ServerView>>,
    requests_dropped: AtomicU64,
    replies_illegible: AtomicU64,
}

impl PoolRuntime {
    /// Starts the thread, which begins to watch the servers at once.
    ///
    /// # Errors
    /// When descriptors or threads are used up.
    pub fn start(config: PoolConfig) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            commands: ArrayQueue::new(config.commands_max.max(1)),
            commands_bell: EventFd::new()?,
            wakes_at: AtomicU64::new(u64::MAX),
            events: ArrayQueue::new(config.events_max.max(1)),
            events_bell: EventFd::new()?,
            spilled: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            servers: Mutex::new(Vec::new()),
            requests_dropped: AtomicU64::new(0),
            replies_illegible: AtomicU64::new(0),
        });
        let epoll = Epoll::new()?;
        epoll.add(&shared.commands_bell, BELL, Trigger::Level)?;
        let seed = config.seed.map_or_else(seed, Ok)?;
        // The queue has room for at least one, and is empty.
        let _ = shared.commands.push(Command::Servers(config.servers));
        let secret = u64::from_ne_bytes(random_bytes()?);
        let rounds = Rounds::new(Pool::new(config.decisions, seed), epoll, Arc::clone(&shared), secret);
        let end = Ended(Arc::clone(&shared));
        let thread = thread::Builder::new().name("pool".into()).spawn(move || {
            let _end = end;
            rounds.run();
        })?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Gives the pool a command. What became of it comes as an event.
    ///
    /// # Errors
    /// When too many are waiting, or the pool is closed.
    pub fn submit(&self, command: Command) -> Result<(), Submit> {
        if self.shared.ended.load(Ordering::Acquire) {
            return Err(Submit::Closed(PoolClosed));
        }
        self.shared.commands.push(command).map_err(|_| Submit::Full(PoolQueueFull))?;
        self.shared.commands_bell.ring();
        Ok(())
    }

    /// Gives the pool a command that can wait until the thread wakes anyway, if that is within [`LEISURE`]: a thread that is
    /// not woken for each of many commands sends them together.
    ///
    /// # Errors
    /// When too many are waiting, or the pool is closed.
    pub fn submit_at_leisure(&self, command: Command) -> Result<(), Submit> {
        if self.shared.ended.load(Ordering::Acquire) {
            return Err(Submit::Closed(PoolClosed));
        }
        self.shared.commands.push(command).map_err(|_| Submit::Full(PoolQueueFull))?;
        if Time::from_nanos(self.shared.wakes_at.load(Ordering::SeqCst)) > monotonic() + LEISURE {
            self.shared.commands_bell.ring();
        }
        Ok(())
    }

    /// Takes a batch of events, oldest first. The descriptor stays readable while there are more.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.shared.events_bell.drain();
        let mut events = Vec::new();
        while events.len() < EVENTS_PER_TAKE_MAX {
            let Some(event) = self.shared.events.pop() else { break };
            events.push(event);
        }
        if !self.shared.events.is_empty() {
            self.shared.events_bell.ring();
        }
        if self.shared.spilled.load(Ordering::SeqCst) {
            // There is room now for what waits in the thread.
            self.shared.commands_bell.ring();
        }
        events
    }

    /// The servers as of the thread's last look, at most some tens of milliseconds ago.
    #[must_use]
    pub fn servers(&self) -> Vec<ServerView> {
        self.shared.servers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests that the kernel did not take: full queues, no way to the server.
    #[must_use]
    pub fn requests_dropped(&self) -> u64 {
        self.shared.requests_dropped.load(Ordering::Relaxed)
    }

    /// Datagrams from servers that were no replies.
    #[must_use]
    pub fn replies_illegible(&self) -> u64 {
        self.shared.replies_illegible.load(Ordering::Relaxed)
    }

    /// Ends the thread and waits for it. Further calls do nothing.
    pub fn close(&self) {
        self.shared.ending.store(true, Ordering::Release);
        self.shared.commands_bell.ring();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic has been printed by the thread itself.
            let _ = thread.join();
        }
    }
}

impl AsRawFd for PoolRuntime {
    /// Readable while events wait.
    fn as_raw_fd(&self) -> RawFd {
        self.shared.events_bell.as_raw_fd()
    }
}

impl Drop for PoolRuntime {
    fn drop(&mut self) {
        self.close();
    }
}

/// Says, when it goes out of scope, that the thread has ended.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
    }
}

impl Shared {
    /// Says when the thread will wake; whether it may sleep until then, as no command waits.
    pub(super) fn sleeps_until(&self, due: Option<Time>) -> bool {
        self.wakes_at.store(due.map_or(u64::MAX, Time::as_nanos), Ordering::SeqCst);
        self.commands.is_empty()
    }

    /// Lets others see the servers.
    pub(super) fn show(&self, servers: Vec<ServerView>, requests_dropped: u64, replies_illegible: u64) {
        *self.servers.lock().unwrap_or_else(PoisonError::into_inner) = servers;
        self.requests_dropped.store(requests_dropped, Ordering::Relaxed);
        self.replies_illegible.store(replies_illegible, Ordering::Relaxed);
    }
}

impl fmt::Display for Submit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Full(PoolQueueFull) => "the pool has more commands waiting than it may",
            Self::Closed(PoolClosed) => "the pool is closed",
        })
    }
}

impl std::error::Error for Submit {}
