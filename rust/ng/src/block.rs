//! Requests that withhold what parties send: `block media`, `silence media`, `block DTMF`, and the same with `un` in front.

use crate::fields;
use crate::request::RequestError;
use crate::value::Dictionary;

/// What of some parties' packets is to be withheld from now on, or to be passed on again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The call.
    pub call_id: Vec<u8>,
    /// Which packets.
    pub what: Blockable,
    /// They are to be passed on again.
    pub lifted: bool,
    /// Whose; everybody's in the call when `None`.
    pub party: Option<Named>,
    /// Only what goes to this party.
    pub to_tag: Option<Vec<u8>>,
    /// `all`: everybody's, and what was asked for single parties is taken back as well.
    pub all: bool,
}

/// What can be withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blockable {
    /// What is no telephone event.
    Media,
    /// The same, but that the other party is to hear silence.
    Sound,
    /// Telephone events (RFC 4733).
    Dtmf,
}

/// How a party is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// By what a client called it, `label`.
    Label(Vec<u8>),
    /// By the address in its SDP, `address`; unparsed.
    Address(Vec<u8>),
    /// By its tag, `from-tag`.
    Tag(Vec<u8>),
}

const COMMANDS: [(&str, Blockable, bool); 6] = [
    ("block media", Blockable::Media, false),
    ("unblock media", Blockable::Media, true),
    ("silence media", Blockable::Sound, false),
    ("unsilence media", Blockable::Sound, true),
    ("block DTMF", Blockable::Dtmf, false),
    ("unblock DTMF", Blockable::Dtmf, true),
];

/// The request, if the command is one of these.
pub(crate) fn block_untrusted(command: &[u8], body: &Dictionary) -> Option<Result<Block, RequestError>> {
    let (_, what, lifted) = COMMANDS.into_iter().find(|(name, ..)| name.as_bytes() == command)?;
    let text = |key: &str| fields::text(body, key).map(<[u8]>::to_vec);
    let party = (text("label").map(Named::Label))
        .or_else(|| text("address").map(Named::Address))
        .or_else(|| text("from-tag").map(Named::Tag));
    let all = fields::words(body, "flags").chain(fields::words(body, "all")).any(|word| word == b"all");
    let call_id = text("call-id").ok_or(RequestError::NoCallId);
    Some(call_id.map(|call_id| Block { call_id, what, lifted, party, to_tag: text("to-tag"), all }))
}

impl Block {
    pub(crate) fn command(&self) -> &'static [u8] {
        let same = |(_, what, lifted): &&(&str, Blockable, bool)| *what == self.what && *lifted == self.lifted;
        COMMANDS.iter().find(same).map_or(b"", |(name, ..)| name.as_bytes())
    }

    pub(crate) fn write_to(&self, body: &mut Dictionary) {
        body.set("call-id", self.call_id.clone());
        match &self.party {
            Some(Named::Label(label)) => body.set("label", label.clone()),
            Some(Named::Address(address)) => body.set("address", address.clone()),
            Some(Named::Tag(tag)) => body.set("from-tag", tag.clone()),
            None => {}
        }
        if let Some(tag) = &self.to_tag {
            body.set("to-tag", tag.clone());
        }
        if self.all {
            body.set("all", "all");
        }
    }
}
