//! The answer to `statistics`: what rtpengine has under its names, and beside it how full this server is and what it drops.

use mediaha_ng::{Dictionary, Reply};
use mediaha_time::Duration;

use super::config::ControllerConfig;
use super::report::unix_s;
use super::statistics::{Refused, Statistics};
use super::trends::Trend;
use crate::counters::Cause;

/// What packets that came to a port of no stream are called.
const UNCLAIMED: &str = "unclaimed";

/// All about the server, which answers since `uptime`.
pub(super) fn statistics(statistics: &Statistics, uptime: Duration, config: &ControllerConfig) -> Reply {
    let all = Dictionary::new()
        .with("currentstatistics", current(statistics, config))
        .with("totalstatistics", total(statistics, uptime))
        .with("dropped", dropped(statistics, config))
        .with("refusedcalls", refused(statistics, config));
    Reply::Done(Dictionary::new().with("result", "ok").with("statistics", all))
}

fn current(statistics: &Statistics, config: &ControllerConfig) -> Dictionary {
    let Statistics { load, trends, .. } = statistics;
    let mut current = Dictionary::new()
        .with("sessionsown", statistics.sessions)
        .with("sessionsforeign", 0_u32)
        .with("sessionstotal", statistics.sessions)
        .with("sessionsmax", config.sessions_max as u64)
        .with("transcodedmedia", 0_u32)
        .with("packetrate", trends.packets.per_second)
        .with("byterate", trends.bytes.per_second)
        .with("errorrate", trends.dropped.iter().map(|trend| trend.per_second).sum::<u64>())
        .with("streams", statistics.streams)
        .with("portsopen", load.ports_open)
        .with("portsmax", load.ports_max)
        .with("busypermille", load.busy_permille)
        .with("expectedpermille", load.for_new_calls_permille())
        .with("busypermillemax", config.busy_permille_max)
        .with("draining", u32::from(statistics.draining));
    if let Some(no_room) = statistics.no_room {
        current.set("refuses", no_room.why());
    }
    current.with("datapath", config.datapath.as_str()).with("datapathreason", config.datapath_reason.as_str())
}

fn total(statistics: &Statistics, uptime: Duration) -> Dictionary {
    Dictionary::new()
        .with("uptime", uptime.as_secs())
        .with("managedsessions", statistics.sessions_total)
        .with("rejectedsessions", statistics.refused_calls.iter().sum::<u64>())
        .with("timeoutsessions", statistics.expired)
        .with("offers", statistics.offers)
        .with("answers", statistics.answers)
        .with("deletes", statistics.deletes)
        .with("refused", statistics.refused)
        .with("duplicates", statistics.duplicates)
        .with("unreadable", statistics.unreadable)
        .with("relayedpackets", statistics.packets)
        .with("relayedbytes", statistics.bytes)
        .with("relayedpacketerrors", statistics.dropped.iter().sum::<u64>())
        .with("packetloss", statistics.lost)
}

fn dropped(statistics: &Statistics, config: &ControllerConfig) -> Dictionary {
    let Statistics { trends, .. } = statistics;
    let causes = Cause::ALL.iter().zip(statistics.dropped).zip(&trends.dropped);
    let causes = causes.map(|((cause, count), trend)| (cause.name(), count, trend));
    listed(causes.chain([(UNCLAIMED, statistics.load.unclaimed, &trends.unclaimed)]), config)
}

fn refused(statistics: &Statistics, config: &ControllerConfig) -> Dictionary {
    let reasons = Refused::ALL.iter().zip(statistics.refused_calls).zip(&statistics.trends.refused);
    listed(reasons.map(|((reason, count), trend)| (reason.name(), count, trend)), config)
}

fn listed<'a>(
    counts: impl Iterator<Item = (&'static str, u64, &'a Trend)>,
    config: &ControllerConfig,
) -> Dictionary {
    let named = counts.map(|(name, count, trend)| (name.as_bytes().to_vec(), growth(count, trend, config).into()));
    named.collect()
}

/// A count, how fast it grows, and of its last growth the beginning and the end, in seconds of Unix time.
fn growth(count: u64, trend: &Trend, config: &ControllerConfig) -> Dictionary {
    let mut growth = Dictionary::new().with("count", count).with("rate", trend.per_second);
    if let Some((since, last)) = trend.grew {
        growth.set("since", unix_s(since, config));
        growth.set("last", unix_s(last, config));
    }
    growth
}
