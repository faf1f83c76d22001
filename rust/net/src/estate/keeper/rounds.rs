//! What the keeper's thread does: hears the processes, keeps what they give it, and finds a spare for what is left.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;

use mediaha_time::{Duration, Time};

use super::{Desk, LineId, News, Order};
use crate::estate::courier::is_temporary;
use crate::estate::message::{KEYS_MAX, Key, MESSAGE_MAX, Message};
use crate::sys::{Epoll, Events, ParcelSocket, Trigger, monotonic};

/// A server that dies this often within [`DEATHS_WITHIN`] is perhaps killed by what it inherits.
const DEATHS_MAX: usize = 4;
const DEATHS_WITHIN: Duration = Duration::from_secs(10);
/// How soon it is tried again to send to a process that has much to read.
const RETRY: Duration = Duration::from_millis(1);
/// Messages that are read from one line before the others have their turn.
const MESSAGES_MAX: usize = 64;
const BELL: u64 = 0;

/// What the thread owns.
pub(super) struct Rounds {
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
    /// Waiting to be sent; whatever descriptors go with it are the estate's. As bounded as those.
    outgoing: VecDeque<Message>,
}

impl End {
    /// Says a word, unless it waits to be sent already: a process that does not listen would have more and more kept for it.
    fn say(&mut self, word: Message) {
        if self.outgoing.back() != Some(&word) {
            self.outgoing.push_back(word);
        }
    }
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
    pub(super) fn new(desk: Arc<Desk>, room: usize) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        epoll.add(&desk.bell, BELL, Trigger::Level)?;
        let buffer = vec![0; MESSAGE_MAX].into_boxed_slice();
        Ok(Self { desk, epoll, buffer, lines: HashMap::new(), estates: HashMap::new(), room })
    }

    pub(super) fn run(mut self) {
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
            end.say(message);
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
                end.say(Message::Complete);
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
