//! Keeps what media-server processes leave behind, for those that take their place.
//!
//! A thread that never waits for anybody, in the process that supervises them. A process that dies takes its end of a line
//! with it, when the last of its threads is gone: that is seen here at once, and what it left goes to a spare process if one
//! is ready, without asking anybody, as sound is being lost meanwhile. The supervisor is told.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use mediaha_time::{Duration, Time};

use super::courier::is_temporary;
use super::line::Line;
use super::message::{KEYS_MAX, Key, MESSAGE_MAX, Message};
use crate::sys::{Epoll, EventFd, Events, ParcelSocket, Trigger, monotonic, raise_open_files};

/// A server that dies this often within [`DEATHS_WITHIN`] is perhaps killed by what it inherits.
const DEATHS_MAX: usize = 4;
const DEATHS_WITHIN: Duration = Duration::from_secs(10);
/// How soon it is tried again to send to a process that has much to read.
const RETRY: Duration = Duration::from_millis(1);
/// Messages that are read from one line before the others have their turn.
const MESSAGES_MAX: usize = 64;
/// News that nobody takes; the oldest is dropped.
const NEWS_MAX: usize = 1024;
/// Descriptors to ask for: with sockets as the datapath, four for each call of all servers.
const DESCRIPTORS: u64 = 1 << 18;
/// Of those that this process may have, the others around us keep so many parts in four.
const OTHERS_QUARTERS: u64 = 1;
const BELL: u64 = 0;

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
        let room = usize::try_from(limit - limit / 4 * OTHERS_QUARTERS).unwrap_or(usize::MAX);
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

/// What the thread owns.
struct Rounds {
    desk: Arc<Desk>,
    epoll: Epoll,
    buffer: Box<[u8]>,
    /// As many as there are processes.
    lines: HashMap<LineId, End>,
    /// As many as there are servers.
    estates: HashMap<String, Estate>,
    /// How many descriptors all estates together may have. What there is no room for is not kept: a successor binds the port anew.
    room: usize,
}

/// Our end of a line.
struct End {
    socket: ParcelSocket,
    role: Role,
    /// Waiting to be sent; whatever descriptors go with it are the estate's.
    outgoing: VecDeque<Message>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Role {
    Serving(String),
    /// Not ready yet.
    Preparing,
    Ready,
    /// It has taken its leave.
    Leaving,
}

#[derive(Default)]
struct Estate {
    words: Vec<u8>,
    descriptors: HashMap<Key, OwnedFd>,
    holder: Option<LineId>,
    deaths: VecDeque<Time>,
}

impl Rounds {
    fn new(desk: Arc<Desk>, room: usize) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        epoll.add(&desk.bell, BELL, Trigger::Level)?;
        let buffer = vec![0; MESSAGE_MAX].into_boxed_slice();
        Ok(Self { desk, epoll, buffer, lines: HashMap::new(), estates: HashMap::new(), room })
    }

    fn run(mut self) {
        let mut events = Events::new(64);
        while !self.desk.stopping.load(Ordering::Acquire) {
            let behind = self.lines.values().any(|end| !end.outgoing.is_empty());
            if self.epoll.wait(&mut events, behind.then_some(RETRY)).is_err() {
                return;
            }
            self.obey();
            let readable: Vec<LineId> = events.iter().map(|ready| ready.token).filter(|it| *it != BELL).collect();
            for line in readable {
                self.read(line);
            }
            self.match_up();
            self.send();
        }
    }

    fn obey(&mut self) {
        self.desk.bell.drain();
        let orders = std::mem::take(&mut *self.desk.orders.lock().unwrap_or_else(PoisonError::into_inner));
        for order in orders {
            match order {
                Order::Line { line, socket, server } => self.begin(line, socket, server),
                Order::HandOver(server) => self.say_to_holder(&server, Message::HandOver),
                Order::Forget(server) => self.forget(&server),
            }
        }
    }

    fn begin(&mut self, line: LineId, socket: ParcelSocket, server: Option<(String, Vec<u8>)>) {
        // A process whose line cannot be watched finds it closed, and ends.
        if self.epoll.add(&socket, line, Trigger::Level).is_err() {
            return;
        }
        self.lines.insert(line, End { socket, role: Role::Preparing, outgoing: VecDeque::new() });
        if let Some((server, words)) = server {
            self.estates.entry(server.clone()).or_default().words = words;
            self.give(&server, line);
        }
    }

    /// Sends what a server has left, which may be nothing, to the process that is to be it.
    fn give(&mut self, server: &str, line: LineId) {
        let (Some(estate), Some(end)) = (self.estates.get_mut(server), self.lines.get_mut(&line)) else { return };
        estate.holder = Some(line);
        end.role = Role::Serving(server.to_owned());
        end.outgoing.push_back(Message::Assigned(estate.words.clone()));
        let keys: Vec<Key> = estate.descriptors.keys().copied().collect();
        end.outgoing.extend(keys.chunks(KEYS_MAX).map(|keys| Message::Keep(keys.to_vec())));
        end.outgoing.push_back(Message::Complete);
    }

    fn say_to_holder(&mut self, server: &str, message: Message) {
        let holder = self.estates.get(server).and_then(|estate| estate.holder);
        if let Some(end) = holder.and_then(|line| self.lines.get_mut(&line)) {
            end.outgoing.push_back(message);
        }
    }

    fn forget(&mut self, server: &str) {
        if let Some(estate) = self.estates.remove(server) {
            close_apart(estate.descriptors);
        }
    }

    fn read(&mut self, line: LineId) {
        for _ in 0..MESSAGES_MAX {
            let Some(end) = self.lines.get(&line) else { return };
            match end.socket.receive(&mut self.buffer) {
                Ok(Some(parcel)) => {
                    let message = Message::read_untrusted(&self.buffer[..parcel.length]);
                    self.take(line, message, parcel.descriptors);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(None) | Err(_) => return self.gone(line),
            }
        }
    }

    fn take(&mut self, line: LineId, message: Option<Message>, descriptors: Vec<OwnedFd>) {
        let kept: usize = self.estates.values().map(|estate| estate.descriptors.len()).sum();
        let Some(end) = self.lines.get_mut(&line) else { return };
        let estate = match &end.role {
            Role::Serving(server) => self.estates.get_mut(server).filter(|estate| estate.holder == Some(line)),
            _ => None,
        };
        match (message, estate) {
            (Some(Message::Ready), None) if end.role == Role::Preparing => {
                end.role = Role::Ready;
                self.desk.tell(News::Ready { line });
            }
            // Those that this process may not have any more are not kept.
            (Some(Message::Keep(keys)), Some(estate)) => {
                let room = self.room.saturating_sub(kept);
                estate.descriptors.extend(keys.into_iter().zip(descriptors).take(room));
            }
            (Some(Message::Drop(keys)), Some(estate)) => {
                for key in keys {
                    estate.descriptors.remove(&key);
                }
            }
            (Some(Message::Discard), Some(estate)) => {
                close_apart(std::mem::take(&mut estate.descriptors));
                end.outgoing.push_back(Message::Complete);
            }
            (Some(Message::Farewell), Some(estate)) => {
                close_apart(std::mem::take(&mut estate.descriptors));
                end.role = Role::Leaving;
            }
            _ => {}
        }
    }

    /// A process has ended.
    fn gone(&mut self, line: LineId) {
        let Some(end) = self.lines.remove(&line) else { return };
        let Role::Serving(server) = end.role else { return };
        let Some(estate) = self.estates.get_mut(&server).filter(|estate| estate.holder == Some(line)) else {
            return;
        };
        estate.holder = None;
        let now = monotonic();
        estate.deaths.retain(|at| now.since(*at) < DEATHS_WITHIN);
        estate.deaths.push_back(now);
        let why = if estate.deaths.len() > DEATHS_MAX {
            "it has died too often"
        } else if !estate.descriptors.contains_key(&Key::Memory) {
            "it has left nothing"
        } else {
            return self.desk.tell(News::Bereft { server });
        };
        close_apart(std::mem::take(&mut estate.descriptors));
        self.desk.tell(News::Lost { server, why });
    }

    /// Gives each server that has lost its process a spare, while there are any.
    fn match_up(&mut self) {
        let orphaned = |estate: &Estate| estate.holder.is_none() && estate.descriptors.contains_key(&Key::Memory);
        loop {
            let spare = self.lines.iter().filter(|(_, end)| end.role == Role::Ready).map(|(line, _)| *line).min();
            let server =
                self.estates.iter().find(|(_, estate)| orphaned(estate)).map(|(server, _)| server.clone());
            let (Some(line), Some(server)) = (spare, server) else { return };
            self.give(&server, line);
            self.desk.tell(News::Given { server, line });
        }
    }

    fn send(&mut self) {
        for end in self.lines.values_mut() {
            let estate = match &end.role {
                Role::Serving(server) => self.estates.get(server),
                _ => None,
            };
            while let Some(message) = end.outgoing.front() {
                match end.socket.send(&message.to_bytes(), &enclosed(message, estate)) {
                    Err(error) if is_temporary(&error) => break,
                    // It is gone, which will be seen when the line is read.
                    Err(_) => end.outgoing.clear(),
                    Ok(()) => drop(end.outgoing.pop_front()),
                }
            }
        }
    }
}

/// The descriptors that go with a message.
fn enclosed<'a>(message: &Message, estate: Option<&'a Estate>) -> Vec<BorrowedFd<'a>> {
    match (message, estate) {
        (Message::Keep(keys), Some(estate)) => {
            keys.iter().filter_map(|key| estate.descriptors.get(key)).map(AsFd::as_fd).collect()
        }
        _ => Vec::new(),
    }
}

/// Closing some ten thousand sockets takes a while, in which another server may die.
fn close_apart(descriptors: HashMap<Key, OwnedFd>) {
    if descriptors.len() > KEYS_MAX {
        // Without a thread to spare they are closed here.
        let _ = thread::Builder::new().name("keeper-closes".to_owned()).spawn(move || drop(descriptors));
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
