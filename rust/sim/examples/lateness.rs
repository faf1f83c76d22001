//! `cargo run --release -p mediaha-sim --example lateness -- WORLDS`: what the pool makes of a machine on which everybody runs late.
//!
//! In each world 12 calls are on three healthy servers; after 3.5 s one of them hangs for good. Counted is what was held against servers
//! that were only late, how often two servers were asked for one call, and when the hung one was noticed.

use mediaha_sim::{Lateness, Tally, measure};

fn main() {
    let worlds: u64 = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(200);
    println!("late wake-ups        worlds  called dead  suspected  moved  asked twice  noticed p50  p99  never");
    for (permille, ms, all_permille) in [
        (0, 1..=1, 0),
        (300, 10..=40, 0),
        (800, 10..=40, 0),
        (300, 10..=40, 500),
        (300, 20..=80, 0),
        (800, 20..=80, 0),
        (300, 20..=80, 500),
        (100, 50..=150, 0),
        (300, 50..=150, 0),
        (300, 50..=150, 500),
    ] {
        let lateness = Lateness { permille, ms, all_permille };
        let tallies: Vec<Tally> = (0..worlds).map(|seed| measure(seed, &lateness)).collect();
        print(&lateness, &tallies);
    }
}

fn print(lateness: &Lateness, tallies: &[Tally]) {
    let sum = |count: fn(&Tally) -> u32| tallies.iter().map(count).sum::<u32>();
    let mut noticed: Vec<u128> =
        tallies.iter().filter_map(|one| one.noticed_after).map(|after| after.as_millis()).collect();
    noticed.sort_unstable();
    let at = |percent: usize| noticed.get((noticed.len() * percent / 100).min(noticed.len().saturating_sub(1)));
    let ms = |value: Option<&u128>| value.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms"));
    println!(
        "{:>4} ‰ {:>3}-{:<3} ms {:>3} ‰  {:>6}  {:>11}  {:>9}  {:>5}  {:>9.1} %  {:>11}  {:>6}  {:>5}",
        lateness.permille,
        lateness.ms.start(),
        lateness.ms.end(),
        lateness.all_permille,
        tallies.len(),
        sum(|one| one.deaths_unearned),
        sum(|one| one.suspicions_unearned),
        sum(|one| one.moves_unearned),
        100.0 * f64::from(sum(|one| one.asked_twice)) / f64::from(sum(|one| one.placed).max(1)),
        ms(at(50)),
        ms(at(99)),
        tallies.len() - noticed.len(),
    );
}
