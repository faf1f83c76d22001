//! What the threads have to say: records for somebody else's log.
//!
//! A thread never waits for its log: records go into a bounded queue and ring a bell. When nobody takes them the oldest
//! are dropped, and counted, since the newest say what is wrong now.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;
use mediaha_time::Time;
use serde_json::{Map, Value};

use crate::sys::{EventFd, monotonic};

/// How many records wait at most.
const WAITING_MAX: usize = 1024;

/// How much a record matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For who looks for a mistake.
    Debug,
    /// The course of things.
    Info,
    /// Something is about to fail, or was refused.
    Warning,
    /// Something has failed.
    Error,
}

impl Level {
    /// The word for it in a log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One line for the log: what happened, and the facts of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When, on the monotonic clock.
    pub at: Time,
    /// How much it matters.
    pub level: Level,
    /// What happened, in `snake_case`.
    pub event: &'static str,
    /// The facts, by name.
    pub fields: Map<String, Value>,
}

impl Record {
    /// What happened now, with its facts; `fields` is a `json!` object.
    #[must_use]
    pub fn now(level: Level, event: &'static str, fields: Value) -> Self {
        let fields = if let Value::Object(fields) = fields { fields } else { Map::new() };
        Self { at: monotonic(), level, event, fields }
    }

    /// The facts as a JSON object.
    #[must_use]
    pub fn fields_json(&self) -> String {
        Value::Object(self.fields.clone()).to_string()
    }
}

/// The queue of records; clones share it.
#[derive(Clone, Debug)]
pub struct Records(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    waiting: ArrayQueue<Record>,
    dropped: AtomicU64,
    bell: EventFd,
}

impl Records {
    /// An empty queue.
    ///
    /// # Errors
    /// The kernel's, when the process has no file descriptor left.
    pub fn new() -> io::Result<Self> {
        let bell = EventFd::new()?;
        Ok(Self(Arc::new(Shared { waiting: ArrayQueue::new(WAITING_MAX), dropped: AtomicU64::new(0), bell })))
    }

    /// Adds a record; never waits.
    pub fn push(&self, record: Record) {
        if self.0.waiting.force_push(record).is_some() {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
        self.0.bell.ring();
    }

    /// Takes what waits, oldest first, and makes the descriptor unreadable.
    #[must_use]
    pub fn take(&self) -> Vec<Record> {
        // The bell first: what is pushed from here on rings it again.
        self.0.bell.drain();
        let mut taken = Vec::with_capacity(self.0.waiting.len());
        while taken.len() < WAITING_MAX {
            let Some(record) = self.0.waiting.pop() else { return taken };
            taken.push(record);
        }
        self.0.bell.ring();
        taken
    }

    /// How many were dropped since the start because nobody took them.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

/// Readable while records wait.
impl AsFd for Records {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.bell.as_fd()
    }
}

impl AsRawFd for Records {
    fn as_raw_fd(&self) -> RawFd {
        self.0.bell.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_nobody_takes_is_dropped_oldest_first_and_counted() {
        let records = Records::new().unwrap();
        for number in 0..WAITING_MAX + 3 {
            records.push(Record::now(Level::Info, "counted", json!({ "number": number })));
        }
        assert_eq!(records.dropped(), 3);
        let taken = records.take();
        assert_eq!(taken.len(), WAITING_MAX);
        assert_eq!(taken[0].fields_json(), r#"{"number":3}"#);
        assert!(records.take().is_empty());
    }
}
