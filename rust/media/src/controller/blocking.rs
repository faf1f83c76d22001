//! What clients have asked to be withheld, of everybody in a call or of one party.

use std::net::IpAddr;

use mediaha_ng::{Block, Blockable, Named, Reply};
use mediaha_time::Time;

use super::Controller;
use super::call::{Call, Dialogue};
use super::refusal::Refusal;
use super::switchboard::Switchboard;
use crate::blocks::Blocks;
use crate::datapath::Datapath;
use crate::plan::Side;

/// What is withheld in a dialogue. What was asked for everybody is taken back by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Blocked {
    pub(super) everybody: Blocks,
    /// What was asked for one party, indexed by [`Side::index`].
    pub(super) parties: [Blocks; 2],
}

impl Blocked {
    /// What of each party's packets is withheld, indexed by [`Side::index`].
    pub(super) fn of_both(&self) -> [Blocks; 2] {
        self.parties.map(|party| party.and(self.everybody))
    }
}

impl Controller {
    /// Withholds what a party or everybody sends, or passes it on again.
    pub(super) fn block(&mut self, block: &Block, datapath: &mut dyn Datapath, now: Time) -> Reply {
        let outcome = self.try_block(block, datapath, now).map(|()| Reply::ok());
        self.replied(outcome, false)
    }

    fn try_block(&mut self, block: &Block, datapath: &mut dyn Datapath, now: Time) -> Result<(), Refusal> {
        let call = self.calls.find_mut(&block.call_id).ok_or(Refusal::UnknownCallId)?;
        match &block.party {
            Some(party) if !block.all => block_party(call, party, block)?,
            _ => block_everybody(call, block),
        }
        let mut board = Switchboard { datapath, ledger: &mut self.ledger, now };
        for dialogue in &mut call.dialogues {
            let blocks = dialogue.blocked.of_both();
            for stream in dialogue.streams.iter_mut().flatten().filter(|stream| stream.blocks != blocks) {
                stream.blocks = blocks;
                board.install_unchanged(stream);
            }
        }
        Ok(())
    }
}

fn block_everybody(call: &mut Call, block: &Block) {
    for dialogue in &mut call.dialogues {
        set(&mut dialogue.blocked.everybody, block);
        if block.all && block.lifted {
            dialogue.blocked.parties.iter_mut().for_each(|party| set(party, block));
        }
    }
}

fn block_party(call: &mut Call, party: &Named, block: &Block) -> Result<(), Refusal> {
    let party = Sought::of(party).ok_or(Refusal::NoAddress)?;
    let (mut named, mut met) = (false, false);
    for dialogue in &mut call.dialogues {
        for side in Side::BOTH {
            if !party.is(dialogue, side) {
                continue;
            }
            named = true;
            if block.to_tag.as_deref().is_none_or(|to| dialogue.tag(side.other()) == Some(to)) {
                met = true;
                set(&mut dialogue.blocked.parties[side.index()], block);
            }
        }
    }
    match (named, met, party) {
        (true, true, _) => Ok(()),
        (true, false, _) => Err(Refusal::NoFlow),
        (false, _, Sought::Label(_)) => Err(Refusal::UnknownLabel),
        (false, _, Sought::Address(_)) => Err(Refusal::UnknownAddress),
        (false, _, Sought::Tag(_)) => Err(Refusal::UnknownTag),
    }
}

/// A party that is looked for.
#[derive(Clone, Copy)]
enum Sought<'a> {
    Tag(&'a [u8]),
    Label(&'a [u8]),
    Address(IpAddr),
}

impl<'a> Sought<'a> {
    /// `None` for an address that is none.
    fn of(named: &'a Named) -> Option<Self> {
        Some(match named {
            Named::Tag(tag) => Self::Tag(tag),
            Named::Label(label) => Self::Label(label),
            Named::Address(text) => Self::Address(std::str::from_utf8(text).ok()?.parse().ok()?),
        })
    }

    /// Whether one side of a dialogue is it.
    fn is(self, dialogue: &Dialogue, side: Side) -> bool {
        match self {
            Self::Tag(tag) => dialogue.tag(side) == Some(tag),
            Self::Label(label) => dialogue.labels[side.index()].as_deref() == Some(label),
            Self::Address(address) => {
                let mut parties = dialogue.relayed().map(|stream| stream.parties[side.index()]);
                parties.any(|party| party.rtp.is_some_and(|rtp| rtp.ip() == address))
            }
        }
    }
}

fn set(blocks: &mut Blocks, block: &Block) {
    let place = match block.what {
        Blockable::Media => &mut blocks.media,
        Blockable::Sound => &mut blocks.silence,
        Blockable::Dtmf => &mut blocks.dtmf,
    };
    *place = !block.lifted;
}
