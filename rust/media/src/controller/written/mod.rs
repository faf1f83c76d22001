//! What a successor of this server must know, as bytes: each call, and the ledger.
//!
//! Calls are written when an offer, an answer or a deletion has changed them, not for packets: what a stream learns and
//! counts is published by its worker ([`crate::StreamCounters`]). The bytes come back to the same version of this program, or
//! to one that knows the layout; whoever keeps them guards them with a checksum and the number [`Written::LAYOUT`].
//!
//! The answers that repeated cookies get are not written: a client that asks again after its server has died is answered
//! anew. Carrying out an offer, an answer or a deletion twice does no harm.

mod call;
mod codec;
mod ledger;

use std::collections::HashSet;
use std::fmt;

use mediaha_time::Time;

use super::call::Call;
use super::config::ControllerConfig;
use super::report;
use super::switchboard::Switchboard;
use super::{Controller, expiry};
use crate::datapath::Datapath;
use crate::plan::PortPair;

/// What a controller would have to be told to go on where another one stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// What outlives every call, see [`Controller::written_ledger`].
    pub ledger: Vec<u8>,
    /// Each call, see [`Controller::written_call`].
    pub calls: Vec<Vec<u8>>,
}

impl Written {
    /// Changes whenever the bytes mean something else.
    pub const LAYOUT: u64 = 3;

    /// The call-id in the bytes of a call.
    #[must_use]
    pub fn call_id_untrusted(call: &[u8]) -> Option<&[u8]> {
        codec::Reader(call).bytes()
    }
}

/// Why a server cannot go on where its former life stopped. What must not be believed is not forwarded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unadoptable {
    /// The ledger cannot be read.
    Ledger,
    /// A call cannot be read, or speaks of addresses that this server does not have.
    Call,
    /// Two streams have one name, or one port.
    Twice,
    /// A port that was open cannot be had.
    Ports,
}

impl fmt::Display for Unadoptable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ledger => "the ledger cannot be read",
            Self::Call => "a call cannot be read",
            Self::Twice => "two streams have the same port or the same name",
            Self::Ports => "a port cannot be had again",
        })
    }
}

impl std::error::Error for Unadoptable {}

impl Controller {
    /// From now on [`Self::take_changed`] tells what changes.
    pub fn note_changes(&mut self) {
        self.calls.note_changes();
    }

    /// The call-ids of the calls that came, changed or went since this was last asked.
    pub fn take_changed(&mut self) -> Vec<Vec<u8>> {
        self.calls.take_changed()
    }

    /// A call as bytes; `None` if it is gone.
    #[must_use]
    pub fn written_call(&self, call_id: &[u8]) -> Option<Vec<u8>> {
        self.calls.find(call_id).map(|call| call::write(call_id, call, &self.config.interfaces))
    }

    /// What outlives every call as bytes.
    #[must_use]
    pub fn written_ledger(&self) -> Vec<u8> {
        ledger::write(&self.ledger, &self.counted, self.draining, &self.config.datapath_reason)
    }

    /// A controller that goes on where another one stopped, and a datapath that forwards what was forwarded then.
    /// The instance in `config` has to be that of the other one; why the datapath is the one it is stays as it was said then.
    ///
    /// # Errors
    /// Nothing is forwarded then, though ports may be open: start with another datapath.
    pub fn adopt(
        config: ControllerConfig,
        written: &Written,
        datapath: &mut dyn Datapath,
        now: Time,
    ) -> Result<Self, Unadoptable> {
        let mut adopted = Self::new(config);
        let read = ledger::read_untrusted(&written.ledger).ok_or(Unadoptable::Ledger)?;
        (adopted.ledger, adopted.counted, adopted.draining) = (read.ledger, read.counted, read.draining);
        adopted.config.datapath_reason = read.datapath_reason;
        let interfaces = &adopted.config.interfaces;
        let read = |bytes: &Vec<u8>| call::read_untrusted(bytes, interfaces).ok_or(Unadoptable::Call);
        let calls = written.calls.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let ports = distinct_ports(&calls).ok_or(Unadoptable::Twice)?;
        datapath.reopen(&ports).map_err(|_| Unadoptable::Ports)?;
        for (call_id, mut call) in calls {
            for stream in call.dialogues.iter_mut().flat_map(|dialogue| &mut dialogue.streams).flatten() {
                let mut board = Switchboard { datapath, ledger: &mut adopted.ledger, now };
                board.ledger.used(stream.id);
                board.lead(stream, &adopted.config.ours);
                board.install(stream);
            }
            call.check_at = expiry::end_of(&call, report::heard(&call, datapath), &adopted.config).0;
            adopted.calls.insert(&call_id, call);
        }
        Ok(adopted)
    }
}

/// The ports of all calls; `None` if any call, stream or port is there twice.
fn distinct_ports(calls: &[(Vec<u8>, Call)]) -> Option<Vec<PortPair>> {
    let (mut ids, mut streams, mut numbers) = (HashSet::new(), HashSet::new(), HashSet::new());
    let mut ports = Vec::new();
    for (call_id, call) in calls {
        let new = ids.insert(call_id.as_slice());
        for stream in call.relayed() {
            let pairs = [stream.ends[0].ports, stream.ends[1].ports];
            let distinct = pairs.iter().all(|pair| numbers.insert(pair.rtp) && numbers.insert(pair.rtcp));
            if !distinct || !streams.insert(stream.id) {
                return None;
            }
            ports.extend(pairs);
        }
        if !new {
            return None;
        }
    }
    Some(ports)
}
