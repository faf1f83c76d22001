//! The checks over the seeds and over mutations of them, from a fixed seed: what a fuzzer does, without one.

use std::path::Path;

/// How many mutations of each seed are tried; `MUTATIONS` in the environment says otherwise.
const MUTATIONS: u64 = 5_000;

#[test]
fn ng_holds() {
    run("ng", mediaha_fuzz::check_ng);
}

#[test]
fn sdp_holds() {
    run("sdp", mediaha_fuzz::check_sdp);
}

#[test]
fn rtp_holds() {
    run("rtp", mediaha_fuzz::check_rtp);
}

#[test]
fn rtcp_holds() {
    run("rtcp", mediaha_fuzz::check_rtcp);
}

#[test]
fn sip_holds() {
    run("sip", mediaha_fuzz::check_sip);
}

/// Whole programs, which take longer. Noise is one as well.
#[test]
fn control_holds() {
    let times = number("MUTATIONS", MUTATIONS) / 20;
    run_each("control", mediaha_fuzz::check_control, times);
    let mut chance = Chance(number("SEED", 1));
    for _ in 0..times {
        let program: Vec<u8> = (0..600).map(|_| u8::try_from(chance.below(256)).expect("below 256")).collect();
        check_one(mediaha_fuzz::check_control, &program);
    }
}

fn run(target: &str, check: fn(&[u8])) {
    run_each(target, check, number("MUTATIONS", MUTATIONS));
}

fn run_each(target: &str, check: fn(&[u8]), mutations: u64) {
    let seeds = seeds(target);
    let mut chance = Chance(number("SEED", 1));
    for seed in &seeds {
        check(seed);
        for _ in 0..mutations {
            check_one(check, &mutated(seed, &seeds, &mut chance));
        }
    }
}

fn check_one(check: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = std::panic::catch_unwind(|| check(input)) {
        eprintln!("input: b\"{}\"", input.escape_ascii());
        std::panic::resume_unwind(panic);
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let mut paths: Vec<_> =
        std::fs::read_dir(directory).expect("seeds").map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths.iter().map(|path| std::fs::read(path).expect("a seed")).collect()
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// A few changes of the kinds that break parsers: flipped, odd, lost, repeated and foreign bytes.
fn mutated(seed: &[u8], seeds: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    const ODD: &[u8] = b"\0\xff\x80 \r\n:/=-0019aedliv\"{}[],";
    let mut bytes = seed.to_vec();
    for _ in 0..=chance.below(6) {
        let at = chance.below(bytes.len() + 1);
        let end = (at + 1 + chance.below(12)).min(bytes.len());
        match chance.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << chance.below(8),
            1 if at < bytes.len() => bytes[at] = ODD[chance.below(ODD.len())],
            2 => bytes.insert(at, ODD[chance.below(ODD.len())]),
            3 => drop(bytes.drain(at..end.max(at))),
            4 => {
                let piece = bytes[at..end.max(at)].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => {
                let other = &seeds[chance.below(seeds.len())];
                let from = chance.below(other.len() + 1);
                let to = (from + 1 + chance.below(24)).min(other.len());
                bytes.splice(at..at, other[from..to.max(from)].iter().copied());
            }
        }
    }
    bytes
}

/// Numbers that look random and are the same each time (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound.max(1) as u64).expect("below a usize")
    }
}
