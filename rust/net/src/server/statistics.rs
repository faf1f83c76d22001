//! Statistics as JSON.

use mediaha_media::{Cause, Statistics};
use serde_json::{Map, Value, json};

use crate::relay::TallySnapshot;

/// What the controller and the workers have counted. Numbers only; times in seconds.
pub(crate) fn to_json(
    name: &str,
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
        "name": name,
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
        "refused_sessions": statistics.refused_sessions,
        "refused_load": statistics.refused_load,
        "refused_ports": statistics.refused_ports,
        "packets": statistics.packets,
        "bytes": statistics.bytes,
        "lost": statistics.lost,
        "dropped": dropped,
        "ports_open": statistics.load.ports_open,
        "ports_max": statistics.load.ports_max,
        "busy_permille": statistics.load.busy_permille,
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
        "busy_s": tally.busy.as_secs_f64(),
    })
}
