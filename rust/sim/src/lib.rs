//! A seeded world that lies to the failover pool: loss, delay, crashes, hangs, partitions. Never ships.
//!
//! One seed is one [`World`]: the real pool, real media-server controllers over a datapath that is a table, and a
//! network, a session control and a clock that are drawn from the seed. [`run`] lets it happen and says what must not
//! have happened; the same seed happens in the same way every time.
#![forbid(unsafe_code)]

mod calendar;
mod call;
mod chance;
mod checks;
mod effect;
mod late;
mod nets;
mod network;
mod plan;
mod server;
mod story;
mod succession;
mod tally;
mod telling;
mod world;

use mediaha_failover::Config;

pub use chance::Chance;
pub use late::Lateness;
pub use nets::Violation;
pub use tally::Tally;
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
    /// Everybody runs late: the pool, and the servers, which share its machine.
    Late,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Probed, Self::Succeeded, Self::Late];
}

/// Let the world of this seed happen.
#[must_use]
pub fn run(seed: u64, kind: Kind, told: bool) -> Outcome {
    let mut world = World::new(seed, kind, told);
    world.run();
    Outcome { seed, violations: world.violations, story: world.story.to_string() }
}

/// What the pool judges in a world in which nothing is wrong but that everybody is late, until a server hangs.
#[must_use]
pub fn measure(seed: u64, lateness: &Lateness) -> Tally {
    let mut chance = Chance::new(seed);
    let plan = plan::Plan::late(&mut chance, lateness.clone());
    // As impatient as a site is that says nothing about it.
    let config = Config { suspect_ms: 100, silence_ms_max: 150, ..Config::default() };
    let mut world = World::planned(seed, plan, config, chance, false);
    world.run();
    world.tally
}
