//! What is known of a call: its dialogues, and the streams of each.

use std::borrow::Cow;
use std::net::SocketAddr;

use mediaha_time::Time;

use super::blocking::Blocked;
use super::mux::Mux;
use crate::blocks::{Blocks, Events};
use crate::clocks::Clocks;
use crate::content::Content;
use crate::interface::Interface;
use crate::plan::{PortPair, Side, SidePlan, StreamId, StreamPlan};

/// Everything under one call-id.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) created: Time,
    /// The last offer or answer.
    pub(super) signalled: Time,
    /// It was deleted, and ends then.
    pub(super) ends_at: Option<Time>,
    /// When the clock looks at it next; the key of its entry in the deadlines.
    pub(super) check_at: Time,
    /// Oldest first. Usually one; a forked call has one for each branch.
    pub(super) dialogues: Vec<Dialogue>,
}

/// Two parties and the streams between them. Side A is the one whose offer began it.
#[derive(Debug)]
pub(super) struct Dialogue {
    pub(super) offerer: Vec<u8>,
    /// `None` until it has been named.
    pub(super) answerer: Option<Vec<u8>>,
    pub(super) via_branch: Option<Vec<u8>>,
    /// What a client calls the parties, indexed by [`Side::index`].
    pub(super) labels: [Option<Box<[u8]>>; 2],
    pub(super) blocked: Blocked,
    pub(super) created: Time,
    pub(super) answered: bool,
    /// One for each `m=` line; `None` for one that is disabled or not ours to relay.
    pub(super) streams: Vec<Option<MediaStream>>,
}

/// One relayed `m=` line.
#[derive(Clone, Debug)]
pub(super) struct MediaStream {
    pub(super) id: StreamId,
    /// `audio` or `video`, and the transport, for reports.
    pub(super) kind: Word,
    pub(super) protocol: Word,
    /// Indexed by [`Side::index`].
    pub(super) ends: [End; 2],
    pub(super) parties: [Party; 2],
    pub(super) mux: Mux,
    pub(super) clocks: Clocks,
    pub(super) events: Events,
    /// What of each party's packets is withheld, by whatever request; indexed by [`Side::index`].
    pub(super) blocks: [Blocks; 2],
    /// It was on a server that has died, perhaps on this one.
    pub(super) wary: bool,
}

/// A word of an `m=` line. The usual ones take no memory of their own.
pub(super) type Word = Cow<'static, str>;

const USUAL_WORDS: [&str; 6] = ["audio", "RTP/AVP", "RTP/SAVP", "UDP/TLS/RTP/SAVPF", "video", "RTP/SAVPF"];

/// Bytes that are no UTF-8 become U+FFFD.
pub(super) fn word(bytes: &[u8]) -> Word {
    match USUAL_WORDS.into_iter().find(|usual| usual.as_bytes() == bytes) {
        Some(usual) => Cow::Borrowed(usual),
        None => Cow::Owned(String::from_utf8_lossy(bytes).into_owned()),
    }
}

/// Our end towards a party.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) interface: Interface,
    pub(super) ports: PortPair,
}

/// What a party's SDP said last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Party {
    pub(super) rtp: Option<SocketAddr>,
    pub(super) rtcp: Option<SocketAddr>,
    pub(super) held: bool,
    pub(super) strict_source: bool,
}

impl Dialogue {
    /// One in which nothing has been said yet.
    pub(super) fn new(offerer: &[u8], answerer: Option<&[u8]>, via_branch: Option<&[u8]>, now: Time) -> Self {
        Self {
            offerer: offerer.to_vec(),
            answerer: answerer.map(<[u8]>::to_vec),
            via_branch: via_branch.map(<[u8]>::to_vec),
            labels: [None, None],
            blocked: Blocked::default(),
            created: now,
            answered: false,
            streams: Vec::new(),
        }
    }

    /// The streams that are relayed.
    pub(super) fn relayed(&self) -> impl Iterator<Item = &MediaStream> {
        self.streams.iter().flatten()
    }

    /// The tag of one side, where it is known.
    pub(super) fn tag(&self, side: Side) -> Option<&[u8]> {
        match side {
            Side::A => Some(&self.offerer),
            Side::B => self.answerer.as_deref(),
        }
    }
}

impl Call {
    /// The streams that are relayed, of all dialogues.
    pub(super) fn relayed(&self) -> impl Iterator<Item = &MediaStream> {
        self.dialogues.iter().flat_map(Dialogue::relayed)
    }
}

impl MediaStream {
    /// What the datapath is told. Both windows open: the two parties learn of each other at the same time.
    pub(super) fn plan(&self) -> StreamPlan {
        StreamPlan {
            sides: Side::BOTH.map(|side| self.side_plan(side)),
            clocks: self.clocks,
            events: self.events,
            wary: self.wary,
            content: self.content(),
        }
    }

    /// What the parties send each other.
    pub(super) fn content(&self) -> Content {
        Content::over_untrusted(self.protocol.as_bytes()).unwrap_or_default()
    }

    fn side_plan(&self, side: Side) -> SidePlan {
        let party = &self.parties[side.index()];
        SidePlan {
            local: self.ends[side.index()].ports,
            remote: party.rtp,
            remote_rtcp: party.rtcp,
            rtcp_mux: self.mux.agreed(side),
            strict_source: party.strict_source,
            blocks: self.blocks[side.index()],
            reopen: true,
        }
    }
}
