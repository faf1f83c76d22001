//! The datapath as control uses it, with the account of the streams that have ended.

use mediaha_time::{Duration, Time};

use super::call::{Dialogue, End, MediaStream};
use super::circles::Circles;
use super::statistics::Traffic;
use crate::datapath::{Datapath, PortsExhausted};
use crate::interface::Interface;
use crate::ours::Ours;
use crate::plan::{Side, StreamId};

/// For so long after the first request packets may arrive that are meant for a former life of this server: calls that
/// have waited for it to come back are created anew within this time.
const YOUNG: Duration = Duration::from_secs(10);

/// What outlives every call.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Stream ids are never used twice.
    pub(super) streams_begun: u64,
    /// When the first request came.
    pub(super) began: Option<Time>,
    /// What ended streams have carried.
    pub(super) ended: Traffic,
    /// Follows from the calls.
    pub(super) circles: Circles,
}

impl Ledger {
    /// A request came.
    pub(super) fn asked(&mut self, now: Time) {
        self.began.get_or_insert(now);
    }

    /// A stream of this name is there: it is not to be given to another one.
    pub(super) fn used(&mut self, stream: StreamId) {
        self.streams_begun = self.streams_begun.max(stream.0);
    }
}

/// Borrowed for the time of one request.
pub(super) struct Switchboard<'a> {
    pub(super) datapath: &'a mut dyn Datapath,
    pub(super) ledger: &'a mut Ledger,
    pub(super) now: Time,
}

impl Switchboard<'_> {
    /// A pair of ports on the first of `candidates` that has one.
    pub(super) fn open(&mut self, candidates: &[&Interface]) -> Result<End, PortsExhausted> {
        candidates
            .iter()
            .find_map(|interface| {
                let ports = self.datapath.open(interface).ok()?;
                Some(End { interface: (*interface).clone(), ports })
            })
            .ok_or(PortsExhausted)
    }

    /// Gives the ports of an end back.
    pub(super) fn close(&mut self, end: &End) {
        self.ledger.circles.end(end.ports.rtp);
        self.datapath.close(end.ports);
    }

    /// A name for a new stream.
    pub(super) fn name(&mut self) -> StreamId {
        self.ledger.streams_begun += 1;
        StreamId(self.ledger.streams_begun)
    }

    /// Sees where packets go that arrive at the stream's ports. A party that would have them come back to where they were is
    /// taken to have said nothing.
    pub(super) fn lead(&mut self, stream: &mut MediaStream, ours: &Ours) {
        for side in Side::BOTH {
            let arrives = stream.ends[side.other().index()].ports.rtp;
            let party = &mut stream.parties[side.index()];
            let to = [party.rtp, party.rtcp];
            // A party on hold is sent what it was sent before.
            let says = to.iter().any(Option::is_some);
            if says && !self.ledger.circles.lead(arrives, to.map(|to| to.and_then(|to| ours.here(to)))) {
                (party.rtp, party.rtcp) = (None, None);
            }
        }
    }

    /// Makes the datapath do what the stream says.
    pub(super) fn install(&mut self, stream: &MediaStream) {
        self.datapath.install(stream.id, stream.plan(), self.now);
    }

    /// The same where nothing has been said that a party's address could follow from: nobody is learnt anew.
    pub(super) fn install_unchanged(&mut self, stream: &MediaStream) {
        let mut plan = stream.plan();
        plan.sides.iter_mut().for_each(|side| side.reopen = false);
        self.datapath.install(stream.id, plan, self.now);
    }

    /// Whether packets may arrive that are meant for a former life of this server.
    pub(super) fn is_young(&self) -> bool {
        self.ledger.began.is_none_or(|began| self.now.since(began) < YOUNG)
    }

    /// Ends a stream: what it carried goes into the books, its ports are free again.
    pub(super) fn end(&mut self, stream: &MediaStream) {
        if let Some(counters) = self.datapath.counters(stream.id) {
            self.ledger.ended.add(&counters);
        }
        self.datapath.remove(stream.id);
        for end in &stream.ends {
            self.close(end);
        }
    }

    /// Ends all streams of a dialogue.
    pub(super) fn end_dialogue(&mut self, dialogue: &Dialogue) {
        for stream in dialogue.relayed() {
            self.end(stream);
        }
    }
}
