//! Replies kept for a while, so that a request which comes twice is carried out once.
//!
//! UDP loses datagrams and clients send again under the same cookie; each must get the reply that was lost.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use mediaha_time::{Duration, Time};

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuplicatesConfig {
    /// A reply is forgotten after this long. Longer than any client goes on retransmitting.
    pub kept_for: Duration,
    /// At most so many replies; the oldest is dropped for a new one.
    pub replies_max: usize,
    /// At most so many bytes of cookies and replies; the oldest are dropped for a new one.
    pub bytes_max: usize,
}

impl Default for DuplicatesConfig {
    fn default() -> Self {
        Self { kept_for: Duration::from_secs(10), replies_max: 100_000, bytes_max: 64 << 20 }
    }
}

/// Who asked, and under which cookie.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Asked {
    source: SocketAddr,
    cookie: Box<[u8]>,
}

/// The replies of the last seconds by source and cookie.
#[derive(Debug)]
pub struct Duplicates {
    config: DuplicatesConfig,
    replies: HashMap<Arc<Asked>, Box<[u8]>>,
    /// Oldest first; every key of `replies` is in it exactly once.
    ages: VecDeque<(Time, Arc<Asked>)>,
    bytes: usize,
    crowded_out: u64,
}

impl Duplicates {
    /// An empty cache.
    #[must_use]
    pub fn new(config: DuplicatesConfig) -> Self {
        Self { config, replies: HashMap::new(), ages: VecDeque::new(), bytes: 0, crowded_out: 0 }
    }

    /// The reply that `source` was given under `cookie` before, if that is not too long ago.
    #[must_use]
    pub fn lookup(&mut self, source: SocketAddr, cookie: &[u8], now: Time) -> Option<&[u8]> {
        self.expire(now);
        self.replies.get(&Asked { source, cookie: cookie.into() }).map(AsRef::as_ref)
    }

    /// Keeps `reply`. A reply remembered before under the same source and cookie stays: the first was carried out.
    pub fn remember(&mut self, source: SocketAddr, cookie: &[u8], reply: Vec<u8>, now: Time) {
        self.expire(now);
        let size = cookie.len() + reply.len();
        if size > self.config.bytes_max || self.config.replies_max == 0 {
            return;
        }
        while self.replies.len() >= self.config.replies_max || self.bytes + size > self.config.bytes_max {
            self.drop_oldest();
            self.crowded_out += 1;
        }
        let asked = Arc::new(Asked { source, cookie: cookie.into() });
        if let Entry::Vacant(vacant) = self.replies.entry(asked) {
            self.bytes += size;
            self.ages.push_back((now, Arc::clone(vacant.key())));
            vacant.insert(reply.into());
        }
    }

    /// How many replies are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.replies.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.replies.is_empty()
    }

    /// How many replies had to go before their time for lack of room.
    #[must_use]
    pub fn crowded_out(&self) -> u64 {
        self.crowded_out
    }

    fn expire(&mut self, now: Time) {
        while self.ages.front().is_some_and(|(kept_at, _)| now.since(*kept_at) >= self.config.kept_for) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, asked)) = self.ages.pop_front() {
            let reply = self.replies.remove(&asked).unwrap_or_default();
            self.bytes -= asked.cookie.len() + reply.len();
        }
    }
}
