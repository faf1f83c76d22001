//! A few worlds on every run of the tests; `make sim SEEDS=10000` is for many.

use mediaha_sim::{Kind, run};

#[test]
fn nothing_happens_that_must_not() {
    for (seed, kind) in (0..75).flat_map(|seed| Kind::ALL.map(|kind| (seed, kind))) {
        let outcome = run(seed, kind, false);
        assert!(outcome.violations.is_empty(), "seed {seed} {kind:?}: {:?}", outcome.violations);
    }
}

/// Each of these once saw a bug, told as a story in `mediaha-failover`.
#[test]
fn seeds_that_found_bugs_find_none() {
    for seed in [
        26, 132, 357, 377, 412, 1174, 1553, 5888, 6652, 14_841, 27_386, 40_774, 43_163, 32_994, 1_037_102,
        1_056_524,
    ] {
        let outcome = run(seed, Kind::Plain, false);
        assert!(outcome.violations.is_empty(), "seed {seed}: {:?}", outcome.violations);
    }
}

#[test]
fn the_same_seed_happens_in_the_same_way() {
    for seed in [3, 412] {
        assert_eq!(run(seed, Kind::Probed, true).story, run(seed, Kind::Probed, true).story);
    }
}
