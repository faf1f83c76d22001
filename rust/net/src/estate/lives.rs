//! What the workers publish of their streams, in memory that outlives them.
//!
//! A life is the words of one stream's [`StreamCounters`], behind the stream's name. Control gives them out and takes them
//! back; a worker may still write for a moment to the life of a stream that was taken from it, so that a life rests before it
//! is another stream's.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::Release};

use mediaha_media::{STREAM_WORDS, StreamCounters, StreamId};
use mediaha_time::{Duration, Time};

/// Words of a life, a whole number of cache lines: the stream's name, and what its counters take.
pub(super) const LIFE_WORDS: usize = (1 + STREAM_WORDS).next_multiple_of(8);
/// How long a worker may take at most to hear that a stream is none of its any more.
const REST: Duration = Duration::from_secs(2);

/// Control's account of lives.
#[derive(Debug)]
pub(crate) struct Lives {
    words: &'static [AtomicU64],
    /// Lives at and above this were never used.
    used: &'static AtomicU64,
    by_stream: HashMap<StreamId, usize>,
    /// Oldest first.
    resting: VecDeque<(Time, usize)>,
}

impl Lives {
    pub(super) fn over(words: &'static [AtomicU64], used: &'static AtomicU64) -> Self {
        let mut lives = Self { words, used, by_stream: HashMap::new(), resting: VecDeque::new() };
        for number in 0..lives.used() {
            match lives.life(number)[0].load(Relaxed) {
                0 => lives.resting.push_back((Time::ZERO, number)),
                name => drop(lives.by_stream.insert(StreamId(name), number)),
            }
        }
        lives
    }

    /// Where a stream is counted: where it was before, if a former life of the server has had it. When there is no room, in
    /// memory that does not outlive us: then what it learnt is learnt anew.
    pub(crate) fn of(&mut self, stream: StreamId, now: Time) -> StreamCounters {
        if let Some(&number) = self.by_stream.get(&stream) {
            return self.counters(number);
        }
        let Some(number) = self.take(now) else { return StreamCounters::default() };
        let life = self.life(number);
        for word in &life[1..] {
            word.store(0, Relaxed);
        }
        life[0].store(stream.0, Release);
        self.by_stream.insert(stream, number);
        self.counters(number)
    }

    /// The stream is over.
    pub(crate) fn end(&mut self, stream: StreamId, now: Time) {
        if let Some(number) = self.by_stream.remove(&stream) {
            self.life(number)[0].store(0, Release);
            self.resting.push_back((now + REST, number));
        }
    }

    /// Ends what a former life had and nobody has claimed.
    pub(crate) fn keep_only(&mut self, claimed: impl Fn(StreamId) -> bool, now: Time) {
        let orphans: Vec<StreamId> = self.by_stream.keys().copied().filter(|&stream| !claimed(stream)).collect();
        for stream in orphans {
            self.end(stream, now);
        }
    }

    fn take(&mut self, now: Time) -> Option<usize> {
        if self.resting.front().is_some_and(|&(until, _)| until <= now) {
            return self.resting.pop_front().map(|(_, number)| number);
        }
        let number = self.used();
        if (number + 1) * LIFE_WORDS > self.words.len() {
            return None;
        }
        self.used.store(number as u64 + 1, Release);
        Some(number)
    }

    fn used(&self) -> usize {
        usize::try_from(self.used.load(Relaxed)).unwrap_or(0).min(self.words.len() / LIFE_WORDS)
    }

    fn life(&self, number: usize) -> &'static [AtomicU64] {
        &self.words[number * LIFE_WORDS..][..LIFE_WORDS]
    }

    fn counters(&self, number: usize) -> StreamCounters {
        match self.life(number)[1..].first_chunk::<STREAM_WORDS>() {
            Some(words) => StreamCounters::in_memory(words),
            None => StreamCounters::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Memory;

    fn lives(memory: &Memory) -> Lives {
        let (used, words) = memory.words().split_first().unwrap();
        Lives::over(words, used)
    }

    #[test]
    fn a_life_is_found_again_by_the_name_of_its_stream() {
        let memory = Memory::new(c"mediaha-test", 1 + 3 * LIFE_WORDS).unwrap();
        let mut before = lives(&memory);
        before.of(StreamId(7), Time::ZERO);
        memory.words()[1 + 1].store(42, Relaxed);
        let mut after = lives(&memory);
        assert_eq!(after.of(StreamId(7), Time::ZERO).snapshot()[0].packets, 42);
        assert_eq!(after.of(StreamId(8), Time::ZERO).snapshot()[0].packets, 0);
    }

    #[test]
    fn a_life_rests_before_it_is_another_ones_and_is_empty_then() {
        let memory = Memory::new(c"mediaha-test", 1 + LIFE_WORDS).unwrap();
        let mut lives = lives(&memory);
        lives.of(StreamId(1), Time::ZERO);
        lives.end(StreamId(1), Time::ZERO);
        memory.words()[1 + 1].store(42, Relaxed);
        let elsewhere = lives.of(StreamId(2), Time::ZERO);
        assert_eq!(elsewhere.snapshot()[0].packets, 0, "not in the life that rests");
        assert_eq!(lives.of(StreamId(3), Time::ZERO + REST).snapshot()[0].packets, 0);
        assert_eq!(memory.words()[1].load(Relaxed), 3);
    }

    #[test]
    fn what_nobody_claims_is_ended() {
        let memory = Memory::new(c"mediaha-test", 1 + 3 * LIFE_WORDS).unwrap();
        let mut before = lives(&memory);
        before.of(StreamId(1), Time::ZERO);
        before.of(StreamId(2), Time::ZERO);
        let mut after = lives(&memory);
        after.keep_only(|stream| stream == StreamId(2), Time::ZERO);
        assert_eq!([1, 1 + LIFE_WORDS].map(|place| memory.words()[place].load(Relaxed)), [0, 2]);
    }
}
