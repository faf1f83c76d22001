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
    let (mut named, mut met) = (false, false);
    for dialogue in &mut call.dialogues {
        for side in Side::BOTH.into_iter().filter(|side| is(dialogue, *side, party)).collect::<Vec<_>>() {
            named = true;
            let other = dialogue.tag(side.other());
            if block.to_tag.as_deref().is_none_or(|to| other == Some(to)) {
                met = true;
                set(&mut dialogue.blocked.parties[side.index()], block);
            }
        }
    }
    match (named, met, party) {
        (true, true, _) => Ok(()),
        (true, false, _) => Err(Refusal::NoFlow),
        (false, _, Named::Label(_)) => Err(Refusal::UnknownLabel),
        (false, _, Named::Address(_)) => Err(Refusal::UnknownAddress),
        (false, _, Named::Tag(_)) => Err(Refusal::UnknownTag),
    }
}

/// Whether one side of a dialogue is the party that is meant.
fn is(dialogue: &Dialogue, side: Side, party: &Named) -> bool {
    match party {
        Named::Tag(tag) => dialogue.tag(side) == Some(tag),
        Named::Label(label) => dialogue.labels[side.index()].as_deref() == Some(label),
        Named::Address(text) => {
            let address = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
            let signalled = |address: IpAddr| {
                let mut parties = dialogue.relayed().map(|stream| stream.parties[side.index()]);
                parties.any(|party| party.rtp.is_some_and(|rtp| rtp.ip() == address))
            };
            address.is_some_and(signalled)
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
