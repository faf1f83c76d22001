//! Sends the keeper what it is to keep, without ever waiting for it.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use super::message::{KEYS_MAX, Key, Message};
use crate::sys::ParcelSocket;

/// How many descriptors may wait to be sent. Beyond that the oldest is not kept: a successor binds its port anew, and loses
/// what came to it in between.
const WAITING_MAX: usize = 4096;

/// A way to the keeper. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Courier(Arc<Mutex<Satchel>>);

#[derive(Debug)]
struct Satchel {
    /// `None` once it has been closed.
    line: Option<ParcelSocket>,
    waiting: VecDeque<Item>,
}

#[derive(Debug)]
enum Item {
    Keep(Key, OwnedFd),
    Drop(Key),
    Word(Message),
}

impl Courier {
    /// The line stays open until [`Self::close`], or until the process has ended with all of its threads: when it closes, somebody
    /// else takes over what they work on.
    pub(super) fn new(line: ParcelSocket) -> Self {
        let courier = Self(Arc::new(Mutex::new(Satchel { line: Some(line), waiting: VecDeque::new() })));
        mem::forget(courier.clone());
        courier
    }

    /// Closes the line.
    pub(super) fn close(&self) {
        let mut satchel = self.satchel();
        satchel.line = None;
        satchel.waiting.clear();
    }

    /// Has the descriptor outlive us, from the next [`Self::flush`] on.
    pub(crate) fn keep(&self, key: Key, descriptor: BorrowedFd<'_>) {
        // Without a descriptor to spare nothing can be kept; what the call needs itself comes first.
        if let Ok(copy) = descriptor.try_clone_to_owned() {
            self.add(Item::Keep(key, copy));
        }
    }

    /// It is not to outlive us after all.
    pub(crate) fn drop(&self, key: Key) {
        self.add(Item::Drop(key));
    }

    pub(super) fn say(&self, message: Message) {
        self.add(Item::Word(message));
    }

    fn add(&self, item: Item) {
        let mut satchel = self.satchel();
        if satchel.waiting.len() >= WAITING_MAX {
            let oldest = satchel.waiting.iter().position(|item| matches!(item, Item::Keep(..)));
            satchel.waiting.remove(oldest.unwrap_or(0));
        }
        satchel.waiting.push_back(item);
    }

    /// Sends what there is room for; whether anything is left.
    ///
    /// # Errors
    /// The keeper is gone.
    pub(crate) fn flush(&self) -> io::Result<bool> {
        let mut satchel = self.satchel();
        while let Some(parcel) = satchel.pack() {
            let (message, descriptors) = &parcel;
            let borrowed: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
            let sent = satchel.line.as_ref().map(|line| line.send(&message.to_bytes(), &borrowed));
            match sent.unwrap_or_else(|| Err(io::ErrorKind::BrokenPipe.into())) {
                Ok(()) => {}
                Err(error) if is_temporary(&error) => {
                    satchel.unpack(parcel);
                    return Ok(true);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn satchel(&self) -> std::sync::MutexGuard<'_, Satchel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Satchel {
    /// Items of one kind, from the front, as one message.
    fn pack(&mut self) -> Option<(Message, Vec<OwnedFd>)> {
        let (mut keys, mut descriptors) = (Vec::new(), Vec::new());
        let first = match self.waiting.pop_front()? {
            Item::Word(message) => return Some((message, descriptors)),
            Item::Drop(key) => {
                keys.push(key);
                while let Some(&Item::Drop(key)) = self.waiting.front().filter(|_| keys.len() < KEYS_MAX) {
                    self.waiting.pop_front();
                    keys.push(key);
                }
                return Some((Message::Drop(keys), descriptors));
            }
            Item::Keep(key, descriptor) => (key, descriptor),
        };
        keys.push(first.0);
        descriptors.push(first.1);
        while keys.len() < KEYS_MAX && matches!(self.waiting.front(), Some(Item::Keep(..))) {
            if let Some(Item::Keep(key, descriptor)) = self.waiting.pop_front() {
                keys.push(key);
                descriptors.push(descriptor);
            }
        }
        Some((Message::Keep(keys), descriptors))
    }

    /// Puts a message back to the front.
    fn unpack(&mut self, (message, descriptors): (Message, Vec<OwnedFd>)) {
        let items: Vec<Item> = match message {
            Message::Keep(keys) => {
                keys.into_iter().zip(descriptors).map(|(key, fd)| Item::Keep(key, fd)).collect()
            }
            Message::Drop(keys) => keys.into_iter().map(Item::Drop).collect(),
            word => vec![Item::Word(word)],
        };
        let behind = mem::take(&mut self.waiting);
        self.waiting = items.into_iter().chain(behind).collect();
    }
}

/// The other end has much to read still, or too many descriptors are under way.
pub(super) fn is_temporary(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::ETOOMANYREFS)
}
