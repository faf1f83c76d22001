//! What outlives every call, as bytes: names that must not be used again, what was counted, and why the datapath is the one it is.

use super::codec::{Reader, Writer};
use crate::controller::statistics::{Statistics, Traffic};
use crate::controller::switchboard::Ledger;
use crate::counters::Cause;
use crate::datapath::Load;

/// What a ledger says.
#[derive(Debug)]
pub(super) struct Entries {
    pub(super) ledger: Ledger,
    pub(super) counted: Statistics,
    pub(super) draining: bool,
    pub(super) datapath_reason: String,
}

pub(super) fn write(ledger: &Ledger, counted: &Statistics, draining: bool, datapath_reason: &str) -> Vec<u8> {
    let mut writer = Writer(Vec::with_capacity(256));
    writer.u64(ledger.streams_begun);
    writer.optional(ledger.began, Writer::time);
    for number in counts(counted).into_iter().chain(traffic(&ledger.ended)) {
        writer.u64(number);
    }
    writer.count(ledger.ended.dropped.len());
    for number in ledger.ended.dropped {
        writer.u64(number);
    }
    writer.u8(u8::from(draining));
    writer.bytes(datapath_reason.as_bytes());
    writer.0
}

pub(super) fn read_untrusted(bytes: &[u8]) -> Option<Entries> {
    let mut reader = Reader(bytes);
    let streams_begun = reader.u64()?;
    let began = reader.optional(Reader::time)?;
    let counted = read_counts(&mut reader)?;
    let ended = read_traffic(&mut reader)?;
    let draining = reader.flag()?;
    let datapath_reason = reader.text()?.to_owned();
    let ledger = Ledger { streams_begun, began, ended, ..Ledger::default() };
    reader.ended(Entries { ledger, counted, draining, datapath_reason })
}

/// What is counted as it happens; the rest of [`Statistics`] is filled in when somebody asks.
fn counts(counted: &Statistics) -> [u64; 11] {
    let Statistics { sessions_total, offers, answers, deletes, refused, refused_calls, .. } = *counted;
    let Statistics { duplicates, unreadable, expired, .. } = *counted;
    let [refused_sessions, refused_load, refused_ports] = refused_calls;
    [
        sessions_total,
        offers,
        answers,
        deletes,
        refused,
        refused_sessions,
        refused_load,
        refused_ports,
        duplicates,
        unreadable,
        expired,
    ]
}

fn read_counts(reader: &mut Reader<'_>) -> Option<Statistics> {
    Some(Statistics {
        sessions_total: reader.u64()?,
        offers: reader.u64()?,
        answers: reader.u64()?,
        deletes: reader.u64()?,
        refused: reader.u64()?,
        refused_calls: [reader.u64()?, reader.u64()?, reader.u64()?],
        duplicates: reader.u64()?,
        unreadable: reader.u64()?,
        expired: reader.u64()?,
        load: Load::default(),
        ..Statistics::default()
    })
}

fn traffic(traffic: &Traffic) -> [u64; 7] {
    let Traffic { packets, bytes, rtcp_packets, rtcp_bytes, dtls_packets, dtls_bytes, lost, dropped: _ } =
        *traffic;
    [packets, bytes, rtcp_packets, rtcp_bytes, dtls_packets, dtls_bytes, lost]
}

fn read_traffic(reader: &mut Reader<'_>) -> Option<Traffic> {
    Some(Traffic {
        packets: reader.u64()?,
        bytes: reader.u64()?,
        rtcp_packets: reader.u64()?,
        rtcp_bytes: reader.u64()?,
        dtls_packets: reader.u64()?,
        dtls_bytes: reader.u64()?,
        lost: reader.u64()?,
        dropped: <[u64; Cause::ALL.len()]>::try_from(reader.several(Reader::u64)?).ok()?,
    })
}
