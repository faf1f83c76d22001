//! Statistics as JSON.

use mediaha_media::{Cause, NoRoom, Refused, Statistics};
use serde_json::{Map, Value, json};

use crate::relay::TallySnapshot;

/// What does not change while a server runs.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) name: String,
    pub(crate) datapath: &'static str,
    pub(crate) datapath_reason: String,
}

/// What the controller and the workers have counted; times in seconds.
pub(crate) fn to_json(
    about: &About,
    statistics: &Statistics,
    tallies: &[TallySnapshot],
    records_dropped: u64,
) -> Value {
    let dropped: Map<String, Value> = Cause::ALL
        .iter()
        .zip(statistics.dropped)
        .map(|(cause, count)| (cause.name().to_owned(), count.into()))
        .collect();
    json!({
        "name": about.name,
        "datapath": about.datapath,
        "datapath_reason": about.datapath_reason,
        "draining": statistics.draining,
        "sessions": statistics.sessions,
        "sessions_total": statistics.sessions_total,
        "streams": statistics.streams,
        "offers": statistics.offers,
        "answers": statistics.answers,
        "deletes": statistics.deletes,
        "expired": statistics.expired,
        "duplicates": statistics.duplicates,
        "unreadable": statistics.unreadable,
        "refused": statistics.refused,
        "refused_sessions": statistics.refused_calls[Refused::Sessions as usize],
        "refused_load": statistics.refused_calls[Refused::Load as usize],
        "refused_ports": statistics.refused_calls[Refused::Ports as usize],
        "no_room": statistics.no_room.map(NoRoom::why),
        "packets": statistics.packets,
        "bytes": statistics.bytes,
        "lost": statistics.lost,
        "dropped": dropped,
        "ports_open": statistics.load.ports_open,
        "ports_max": statistics.load.ports_max,
        "busy_permille": statistics.load.busy_permille,
        "expected_permille": statistics.load.for_new_calls_permille(),
        "records_dropped": records_dropped,
        "workers": tallies.iter().map(worker).collect::<Vec<_>>(),
    })
}

fn worker(tally: &TallySnapshot) -> Value {
    json!({
        "wakeups": tally.wakeups,
        "received": tally.received,
        "sent": tally.sent,
        "unsent": tally.unsent,
        "refused": tally.refused,
        "unclaimed": tally.unclaimed,
        "overflowed": tally.overflowed,
        "busy_s": tally.busy.as_secs_f64(),
    })
}
