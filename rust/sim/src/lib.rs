//! A seeded world that lies to the failover pool: loss, delay, crashes, hangs, partitions. Never ships.
//!
//! One seed is one [`World`]: the real pool, real media-server controllers over a datapath that is a table, and a
//! network, a session control and a clock that are drawn from the seed. [`run`] lets it happen and says what must not
//! have happened; the same seed happens in the same way every time.
#![forbid(unsafe_code)]

mod call;
mod chance;
mod checks;
mod effect;
mod nets;
mod plan;
mod server;
mod story;
mod succession;
mod telling;
mod world;

pub use chance::Chance;
pub use nets::Violation;
pub use world::World;

/// What a world came to.
#[derive(Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// What must not have happened; empty when all is well.
    pub violations: Vec<Violation>,
    /// What happened, when it was wanted.
    pub story: String,
}

/// Which worlds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The pool watches the servers' control ports.
    Plain,
    /// It sends packets through them as well, and some forward none for a while.
    Probed,
    /// Some of their processes die, and others go on with what they had, or cannot.
    Succeeded,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Probed, Self::Succeeded];
}

/// Let the world of this seed happen.
#[must_use]
pub fn run(seed: u64, kind: Kind, told: bool) -> Outcome {
    let mut world = World::new(seed, kind, told);
    world.run();
    Outcome { seed, violations: world.violations, story: world.story.to_string() }
}
