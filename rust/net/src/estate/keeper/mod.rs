//! Keeps what media-server processes leave behind, for those that take their place.
//!
//! A thread that never waits for anybody, in the process that supervises them. A process that dies takes its end of a line
//! with it, when the last of its threads is gone: that is seen here at once, and what it left goes to a spare process if one
//! is ready, without asking anybody, as sound is being lost meanwhile. The supervisor is told.

mod rounds;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use self::rounds::Rounds;
use super::line::Line;
use crate::sys::{EventFd, ParcelSocket, raise_open_files};

/// News that nobody takes; the oldest is dropped.
const NEWS_MAX: usize = 1024;

/// Descriptors to ask for: with sockets as the datapath, four for each call of all servers.
const DESCRIPTORS: u64 = 1 << 18;
/// The part of them that is left to all else in this process: one in so many.
const OTHERS_PART: u64 = 4;

/// Names a line for as long as the keeper lives.
pub type LineId = u64;

/// What the supervisor is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The spare process with this line could take a place at once.
    Ready {
        /// Its line.
        line: LineId,
    },
    /// A server's process is gone, and a spare has taken its place.
    Given {
        /// The server.
        server: String,
        /// The spare's line, which is the server's from here on.
        line: LineId,
    },
    /// A server's process is gone, and what it left waits for a spare.
    Bereft {
        /// The server.
        server: String,
    },
    /// A server's process is gone, and there is nothing to be taken over.
    Lost {
        /// The server.
        server: String,
        /// Why.
        why: &'static str,
    },
}

/// The thread. Dropping it ends it, and lets go of everything.
#[derive(Debug)]
pub struct Keeper {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread and its owner share.
#[derive(Debug)]
struct Desk {
    /// Those of one round of the thread; the owner gives as many as it starts and ends processes meanwhile.
    orders: Mutex<VecDeque<Order>>,
    bell: EventFd,
    news: Mutex<VecDeque<News>>,
    news_bell: EventFd,
    stopping: AtomicBool,
    lines: Mutex<LineId>,
}

#[derive(Debug)]
enum Order {
    Line { line: LineId, socket: ParcelSocket, server: Option<(String, Vec<u8>)> },
    HandOver(String),
    Forget(String),
}

impl Keeper {
    /// Starts the thread, and takes as many descriptors as this process may have.
    ///
    /// # Errors
    /// No descriptor or thread is left.
    pub fn start() -> io::Result<Self> {
        let limit = raise_open_files(DESCRIPTORS)?.soft;
        let room = usize::try_from(limit - limit / OTHERS_PART).unwrap_or(usize::MAX);
        let desk = Arc::new(Desk {
            orders: Mutex::default(),
            bell: EventFd::new()?,
            news: Mutex::default(),
            news_bell: EventFd::new()?,
            stopping: AtomicBool::new(false),
            lines: Mutex::new(0),
        });
        let rounds = Rounds::new(Arc::clone(&desk), room)?;
        let thread = thread::Builder::new().name("keeper".to_owned()).spawn(move || rounds.run())?;
        Ok(Self { desk, thread: Some(thread) })
    }

    /// A line for a process that is about to be started. With the name of a server and the words that describe it, the process is
    /// that one, and gets what its former process has left, if there is anything; without, it is a spare.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn line(&self, server: Option<(&str, &[u8])>) -> io::Result<(LineId, OwnedFd)> {
        let (ours, theirs) = ParcelSocket::pair()?;
        let line = {
            let mut lines = self.desk.lines.lock().unwrap_or_else(PoisonError::into_inner);
            *lines += 1;
            *lines
        };
        let server = server.map(|(name, words)| (name.to_owned(), words.to_vec()));
        self.desk.order(Order::Line { line, socket: ours, server });
        Ok((line, theirs.into_owned()))
    }

    /// Has a server's process stop, so that a spare takes its place.
    pub fn hand_over(&self, server: &str) {
        self.desk.order(Order::HandOver(server.to_owned()));
    }

    /// Lets go of what a server has left.
    pub fn forget(&self, server: &str) {
        self.desk.order(Order::Forget(server.to_owned()));
    }

    /// What has happened since this was last asked.
    #[must_use]
    pub fn news(&self) -> Vec<News> {
        self.desk.news_bell.drain();
        self.desk.news().drain(..).collect()
    }
}

/// Readable while there is news.
impl AsRawFd for Keeper {
    fn as_raw_fd(&self) -> RawFd {
        self.desk.news_bell.as_raw_fd()
    }
}

impl AsFd for Keeper {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.desk.news_bell.as_fd()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.desk.stopping.store(true, Ordering::Release);
        self.desk.bell.ring();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Desk {
    fn order(&self, order: Order) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).push_back(order);
        self.bell.ring();
    }

    fn tell(&self, news: News) {
        let mut waiting = self.news();
        if waiting.len() == NEWS_MAX {
            waiting.pop_front();
        }
        waiting.push_back(news);
        drop(waiting);
        self.news_bell.ring();
    }

    fn news(&self) -> MutexGuard<'_, VecDeque<News>> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For whoever is a media server in the same process, such as a test.
impl Keeper {
    /// As [`Self::line`], with the line ready to be used.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn line_here(&self, server: Option<(&str, &[u8])>) -> io::Result<(LineId, Line)> {
        let (line, fd) = self.line(server)?;
        let socket = ParcelSocket::inherited(std::os::fd::IntoRawFd::into_raw_fd(fd))?;
        Ok((line, Line::over(socket)))
    }
}
