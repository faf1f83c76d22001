//! `mediaha-sim --seeds N [--seed S]`: so many worlds of each kind, from seed S on, on all cores. Exit status 1 if one of them saw
//! what must not happen; the first such seeds are told.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use mediaha_sim::{Kind, Outcome, run};

/// So many failing seeds are named, and this many told.
const NAMED_MAX: usize = 20;
const TOLD_MAX: usize = 1;

fn main() -> ExitCode {
    let (first, count) = match arguments() {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("{problem}\nusage: mediaha-sim --seeds N [--seed FIRST]");
            return ExitCode::from(2);
        }
    };
    let failed = run_all(first, count);
    for (number, (kind, outcome)) in failed.iter().take(NAMED_MAX).enumerate() {
        if number < TOLD_MAX {
            println!("{}", run(outcome.seed, *kind, true).story);
        }
        let what: Vec<&str> = outcome.violations.iter().map(|violation| violation.0.as_str()).collect();
        println!("seed {} {kind:?}: {}", outcome.seed, what.join("; "));
    }
    println!("{count} worlds of each kind, {} in which something happened that must not", failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The first seed and how many.
fn arguments() -> Result<(u64, u64), String> {
    let (mut first, mut count) = (None, None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let number = words.next().ok_or(format!("{word} wants a number"))?;
        let number = number.parse().map_err(|_| format!("{number} is not a number"))?;
        match word.as_str() {
            "--seed" => first = Some(number),
            "--seeds" => count = Some(number),
            _ => return Err(format!("{word} is not known")),
        }
    }
    // One named seed alone is that one; a number alone counts from 0.
    Ok((first.unwrap_or(0), count.unwrap_or(if first.is_some() { 1 } else { 1_000 })))
}

/// Run the seeds on all cores; the failed ones in order.
fn run_all(first: u64, count: u64) -> Vec<(Kind, Outcome)> {
    let (next, failed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return;
            }
            for kind in Kind::ALL {
                let outcome = run(first.wrapping_add(number), kind, false);
                if !outcome.violations.is_empty() {
                    failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((kind, outcome));
                }
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    let mut failed = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    failed.sort_by_key(|(_, outcome)| outcome.seed);
    failed
}
