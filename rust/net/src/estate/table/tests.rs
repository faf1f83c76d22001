use std::collections::BTreeMap;

use mediaha_media::Written;
use proptest::prelude::*;

use super::reading::{Damage, Found};
use super::*;

const SHAPE: Shape = Shape { owner: 7, calls_max: 20, streams_max: 4 };
const INSTANCE: [u8; 16] = *b"0123456789abcdef";

type Calls = BTreeMap<Vec<u8>, Vec<u8>>;

/// A record as a controller would write it: the call-id in front.
fn record(call: u8, length: usize) -> (Vec<u8>, Vec<u8>) {
    let call_id = vec![b'c', call];
    let mut record = vec![2, 0, b'c', call];
    record.extend((0..=250_u8).cycle().take(length).map(|byte| byte ^ call));
    (call_id, record)
}

fn reopened(table: &Table) -> Result<(Table, Found), Damage> {
    let fd = table.descriptor().try_clone_to_owned().unwrap();
    Table::open(fd, SHAPE.owner).unwrap()
}

fn calls(found: &Found) -> Calls {
    let call_id = |record: &Vec<u8>| Written::call_id_untrusted(record).unwrap().to_vec();
    found.written.calls.iter().map(|record| (call_id(record), record.clone())).collect()
}

/// A call is written with so many bytes, or struck out.
#[derive(Clone, Debug)]
enum Change {
    Call(u8, Option<usize>),
    Ledger(usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (0..6_u8, proptest::option::weighted(0.7, 0..1_500_usize)).prop_map(|(call, length)| Change::Call(call, length)),
        1 => (1..700_usize).prop_map(Change::Ledger),
    ]
}

fn apply(table: &mut Table, model: &mut (Vec<u8>, Calls), change: &Change) {
    match change {
        Change::Call(call, length) => {
            let (call_id, bytes) = record(*call, length.unwrap_or(0));
            table.put(&call_id, length.is_some().then_some(&bytes[..]));
            if length.is_some() {
                model.1.insert(call_id, bytes)
            } else {
                model.1.remove(&call_id)
            };
        }
        Change::Ledger(length) => {
            model.0 = vec![9; *length];
            table.put_ledger(&model.0);
        }
    }
}

#[test]
fn a_table_of_another_version_or_another_server_is_refused() {
    let table = Table::new(SHAPE, INSTANCE).unwrap();
    let other = |owner| Table::open(table.descriptor().try_clone_to_owned().unwrap(), owner).unwrap();
    assert_eq!(other(8).map(drop).unwrap_err(), Damage::Owner);
    table.memory.words()[header::LAYOUT].fetch_add(1, Relaxed);
    assert_eq!(other(7).map(drop).unwrap_err(), Damage::Layout);
}

#[test]
fn a_table_that_is_too_short_is_refused() {
    let table = Table::new(SHAPE, INSTANCE).unwrap();
    let words = table.memory.words();
    for length in [1, HEADER_WORDS, words.len() - 1] {
        let short = Memory::new(c"mediaha-test", length).unwrap();
        for (place, word) in short.words().iter().zip(words) {
            place.store(word.load(Relaxed), Relaxed);
        }
        assert_eq!(Table::read(short, SHAPE.owner).map(drop).unwrap_err(), Damage::Header, "{length} words");
    }
}

#[test]
fn a_call_that_does_not_fit_makes_the_table_useless_until_it_is_gone() {
    let mut table = Table::new(SHAPE, INSTANCE).unwrap();
    table.put(b"c\x01", Some(&record(1, 10).1));
    let (call_id, much) = record(2, BLOCK_BYTES * (BLOCKS_PER_RECORD_MAX + 1));
    table.put(&call_id, Some(&much));
    assert_eq!(reopened(&table).map(drop).unwrap_err(), Damage::Omitted);
    table.put(&call_id, None);
    assert_eq!(calls(&reopened(&table).unwrap().1).len(), 1);
}

#[test]
fn a_table_is_filled_and_emptied_again_and_again() {
    let mut table = Table::new(SHAPE, INSTANCE).unwrap();
    for round in 0..200 {
        for call in 0..20 {
            let (call_id, bytes) = record(call, 100 + round);
            table.put(&call_id, Some(&bytes));
        }
        for call in 0..20 {
            table.put(&record(call, 0).0, None);
        }
    }
    assert!(table.memory.words()[header::BLOCKS_USED].load(Relaxed) <= 60);
    assert!(reopened(&table).unwrap().1.written.calls.is_empty());
}

proptest! {
    #[test]
    fn what_was_written_is_found_and_can_be_written_on(
        first in proptest::collection::vec(change(), 0..40),
        second in proptest::collection::vec(change(), 0..40),
    ) {
        let mut table = Table::new(SHAPE, INSTANCE).unwrap();
        let mut model = (Vec::new(), Calls::new());
        for changes in [first, second] {
            for change in &changes {
                apply(&mut table, &mut model, change);
            }
            let (again, found) = reopened(&table).unwrap();
            prop_assert_eq!(&found.written.ledger, &model.0);
            prop_assert_eq!(calls(&found), model.1.clone());
            prop_assert_eq!(found.instance, INSTANCE);
            table = again;
        }
    }

    /// The process is killed after any number of stores: each change is there as a whole, or not at all.
    #[test]
    fn whoever_is_killed_leaves_each_record_as_it_was_before_or_after(
        before in proptest::collection::vec(change(), 0..20),
        last in change(),
        stores in 0..400_usize,
    ) {
        let mut table = Table::new(SHAPE, INSTANCE).unwrap();
        let mut model = (Vec::new(), Calls::new());
        for change in &before {
            apply(&mut table, &mut model, change);
        }
        let untouched = model.clone();
        table.stores_left.set(stores);
        apply(&mut table, &mut model, &last);
        let (mut successor, found) = reopened(&table).unwrap();
        let state = (found.written.ledger.clone(), calls(&found));
        prop_assert!(state == untouched || state == model, "{state:?}");
        // And it is as good as new.
        let mut model = state;
        for change in &before {
            apply(&mut successor, &mut model, change);
        }
        prop_assert_eq!(calls(&reopened(&successor).unwrap().1), model.1);
    }

    /// Whichever bit is flipped: the table is refused, or nothing in it is other than it was.
    #[test]
    fn a_flipped_bit_is_seen_or_was_of_no_account(
        changes in proptest::collection::vec(change(), 1..20),
        word in 0..3_000_usize,
        bit in 0..64_u32,
    ) {
        let mut table = Table::new(SHAPE, INSTANCE).unwrap();
        let mut model = (Vec::new(), Calls::new());
        for change in &changes {
            apply(&mut table, &mut model, change);
        }
        let used = at(usize::try_from(table.memory.words()[header::BLOCKS_USED].load(Relaxed)).unwrap());
        // Most often where something is.
        let word = if word % 8 == 0 { word % HEADER_WORDS } else { word % used };
        table.memory.words()[word].fetch_xor(1_u64 << bit, Relaxed);
        if let Ok((_, found)) = reopened(&table) {
            prop_assert_eq!(&found.written.ledger, &model.0);
            prop_assert_eq!(calls(&found), model.1);
        }
    }

    /// A part of the table is overwritten with something else.
    #[test]
    fn a_scribble_is_seen_or_was_of_no_account(
        changes in proptest::collection::vec(change(), 1..20),
        start in 0..3_000_usize,
        scribble in proptest::collection::vec(any::<u64>(), 1..200),
    ) {
        let mut table = Table::new(SHAPE, INSTANCE).unwrap();
        let mut model = (Vec::new(), Calls::new());
        for change in &changes {
            apply(&mut table, &mut model, change);
        }
        for (place, word) in table.memory.words()[start..].iter().zip(&scribble) {
            place.store(*word, Relaxed);
        }
        if let Ok((_, found)) = reopened(&table) {
            prop_assert_eq!(&found.written.ledger, &model.0);
            prop_assert_eq!(calls(&found), model.1);
        }
    }
}
