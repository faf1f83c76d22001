//! A table as the next process finds it: whether it is to be believed, and what is in it.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::Relaxed;

use mediaha_media::Written;

use super::layout::{
    BLOCK_BYTES, BLOCK_HEAD, BLOCK_WORDS, HEADER_WORDS, LEDGER, MAGIC, at, block_checksum, checksum, header,
    layout, whole,
};
use super::{Place, Table};
use crate::estate::lives::LIFE_WORDS;
use crate::sys::Memory;

/// Why a table is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::estate) enum Damage {
    /// It was written by a program that writes it differently.
    Layout,
    /// It belongs to a server with other addresses, ports or workers.
    Owner,
    /// The header does not fit its checksum, or the memory is not as long as it says.
    Header,
    /// A block does not fit its checksum.
    Block,
    /// A record lacks a part.
    Part,
    /// There are not as many records as there should be.
    Count,
    /// Some calls were never written down.
    Omitted,
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Layout => "it was written by another version",
            Self::Owner => "it was written under another configuration",
            Self::Header => "its header is damaged",
            Self::Block => "a block is damaged",
            Self::Part => "a record lacks a part",
            Self::Count => "a record is missing",
            Self::Omitted => "it has not room for all calls",
        })
    }
}

/// What was found in a table.
#[derive(Debug)]
pub(in crate::estate) struct Found {
    pub(in crate::estate) written: Written,
    pub(in crate::estate) instance: [u8; 16],
}

/// Reads a table, and goes on writing it.
impl Table {
    /// Nothing is written before everything has been found in order.
    ///
    /// # Errors
    /// It is not to be believed, or cannot be mapped.
    pub(in crate::estate) fn open(fd: OwnedFd, owner: u64) -> io::Result<Result<(Self, Found), Damage>> {
        let memory = Memory::open(fd)?;
        Ok(Self::read(memory, owner))
    }

    pub(super) fn read(memory: Memory, owner: u64) -> Result<(Self, Found), Damage> {
        let words = memory.words();
        let fixed = words.get(..HEADER_WORDS).ok_or(Damage::Header)?;
        let read = |place: usize| fixed[place].load(Relaxed);
        // Whose layout is another one may keep its checksum elsewhere.
        if read(header::MAGIC) == MAGIC && read(header::LAYOUT) != layout() {
            return Err(Damage::Layout);
        }
        if read(header::MAGIC) != MAGIC || read(header::CHECK) != checksum(&fixed[..header::CHECK]) {
            return Err(Damage::Header);
        }
        if read(header::OWNER) != owner {
            return Err(Damage::Owner);
        }
        let number = |place: usize| usize::try_from(read(place)).map_err(|_| Damage::Header);
        let (blocks, lives) = (number(header::BLOCKS)?, number(header::LIVES)?);
        let needed = blocks.checked_mul(BLOCK_WORDS).zip(lives.checked_mul(LIFE_WORDS));
        let needed = needed.and_then(|(blocks, lives)| blocks.checked_add(lives)?.checked_add(HEADER_WORDS));
        let (used, lives_used) = (number(header::BLOCKS_USED)?, number(header::LIVES_USED)?);
        if needed.is_none_or(|needed| needed != words.len()) || used > blocks || lives_used > lives {
            return Err(Damage::Header);
        }
        if read(header::OMITTED) != 0 {
            return Err(Damage::Omitted);
        }
        let (at_work, records) = (read(header::AT_WORK) != 0, read(header::RECORDS));
        let instance = whole([read(header::INSTANCE), read(header::INSTANCE + 1)]);
        let mut table = Self::over(memory, blocks);
        let written = table.take_stock(used, records, at_work)?;
        Ok((table, Found { written, instance }))
    }

    /// Finds every record, and frees what is of none.
    fn take_stock(&mut self, used: usize, records: u64, at_work: bool) -> Result<Written, Damage> {
        let parts = (0..used).filter_map(|block| self.read_block(block).transpose());
        let parts = parts.collect::<Result<HashMap<Key, Part>, Damage>>()?;
        let mut newest: HashMap<u64, Key> = HashMap::new();
        for key in parts.keys().filter(|key| key.index == 0) {
            let known = newest.entry(key.id).or_insert(*key);
            // Two generations are there only if the process was killed before it had freed the older one.
            if key.generation.wrapping_sub(known.generation).cast_signed() > 0 {
                *known = *key;
            }
        }
        let found = newest.len() as u64;
        if found.abs_diff(records) > u64::from(at_work) {
            return Err(Damage::Count);
        }
        let mut written = Written::default();
        for (id, first) in newest {
            let (record, blocks) = assemble(&parts, first)?;
            self.ids_used = self.ids_used.max(id);
            let place = Place { id, generation: first.generation, blocks };
            if id == LEDGER {
                (written.ledger, self.ledger) = (record, Some(place));
            } else {
                let call_id = Written::call_id_untrusted(&record).ok_or(Damage::Block)?.to_vec();
                self.calls.insert(call_id, place);
                written.calls.push(record);
            }
        }
        self.tidy(used, found);
        Ok(written)
    }

    fn tidy(&mut self, used: usize, found: u64) {
        let kept: HashSet<usize> =
            self.calls.values().chain(&self.ledger).flat_map(|place| place.blocks.iter().copied()).collect();
        let free: Vec<usize> = (0..used).rev().filter(|block| !kept.contains(block)).collect();
        self.free_blocks(&free);
        self.store(header::RECORDS, found);
        self.store(header::AT_WORK, 0);
    }

    /// What is in a block; nothing if it is free.
    fn read_block(&self, block: usize) -> Result<Option<(Key, Part)>, Damage> {
        let memory = &self.memory.words()[at(block)..][..BLOCK_WORDS];
        let mut words = [0; BLOCK_WORDS];
        for (word, place) in words.iter_mut().zip(memory) {
            *word = place.load(Relaxed);
        }
        let [id, numbers, length, check, ..] = words;
        if id == 0 {
            return Ok(None);
        }
        let length = usize::try_from(length).ok().filter(|length| *length <= BLOCK_BYTES).ok_or(Damage::Block)?;
        if check != block_checksum(&words[..BLOCK_HEAD + length.div_ceil(8)]) {
            return Err(Damage::Block);
        }
        let mut bytes = Vec::with_capacity(length.next_multiple_of(8));
        for word in &words[BLOCK_HEAD..][..length.div_ceil(8)] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.truncate(length);
        let [g0, g1, g2, g3, i0, i1, c0, c1] = numbers.to_be_bytes();
        let key =
            Key { id, generation: u32::from_be_bytes([g0, g1, g2, g3]), index: u16::from_be_bytes([i0, i1]) };
        Ok(Some((key, Part { block, count: u16::from_be_bytes([c0, c1]), bytes })))
    }
}

/// Which part of which record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    id: u64,
    generation: u32,
    index: u16,
}

#[derive(Debug)]
struct Part {
    block: usize,
    count: u16,
    bytes: Vec<u8>,
}

/// A record from its first part, and the blocks that it is in.
fn assemble(parts: &HashMap<Key, Part>, first: Key) -> Result<(Vec<u8>, Vec<usize>), Damage> {
    let count = parts.get(&first).ok_or(Damage::Part)?.count;
    let (mut record, mut blocks) = (Vec::new(), Vec::new());
    for index in 0..count {
        let part = parts.get(&Key { index, ..first }).filter(|part| part.count == count).ok_or(Damage::Part)?;
        record.extend(&part.bytes);
        blocks.push(part.block);
    }
    Ok((record, blocks))
}
