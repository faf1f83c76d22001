//! What outlives every call, as bytes: names that must not be used again, and what was counted.

use super::codec::{Reader, Writer};
use crate::controller::statistics::{Statistics, Traffic};
use crate::controller::switchboard::Ledger;
use crate::counters::Cause;
use crate::datapath::Load;

pub(super) fn write(ledger: &Ledger, counted: &Statistics, draining: bool) -> Vec<u8> {
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
    writer.0
}

pub(super) fn read_untrusted(bytes: &[u8]) -> Option<(Ledger, Statistics, bool)> {
    let mut reader = Reader(bytes);
    let streams_begun = reader.u64()?;
    let began = reader.optional(Reader::time)?;
    let counted = read_counts(&mut reader)?;
    let ended = read_traffic(&mut reader)?;
    let draining = reader.flag()?;
    reader.ended((Ledger { streams_begun, began, ended, ..Ledger::default() }, counted, draining))
}

/// What is counted as it happens; the rest of [`Statistics`] is filled in when somebody asks.
fn counts(counted: &Statistics) -> [u64; 11] {
    let Statistics { sessions_total, offers, answers, deletes, refused, refused_sessions, .. } = *counted;
    let Statistics { refused_load, refused_ports, duplicates, unreadable, expired, .. } = *counted;
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
        refused_sessions: reader.u64()?,
        refused_load: reader.u64()?,
        refused_ports: reader.u64()?,
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
