//! Answers to questions, with the keys that rtpengine's clients know.

use std::net::{IpAddr, SocketAddr};

use mediaha_ng::{Dictionary, Reply, Value, reason};
use mediaha_time::Time;

use super::call::{Call, Dialogue, MediaStream};
use super::config::ControllerConfig;
use super::statistics::Traffic;
use crate::counters::SideCounters;
use crate::datapath::Datapath;
use crate::plan::{Component, Side};

/// When the last packet of any party of a call came; `None` before the first.
pub(super) fn heard(call: &Call, datapath: &dyn Datapath) -> Option<Time> {
    let counters = call.relayed().filter_map(|stream| datapath.counters(stream.id));
    counters.flatten().filter_map(|side| side.last_seen).max()
}

/// The call-ids, as many as asked for.
pub(super) fn list<'a>(call_ids: impl Iterator<Item = &'a [u8]>, limit: u32) -> Reply {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let calls: Vec<Value> = call_ids.take(limit).map(Value::from).collect();
    Reply::Done(ok().with("calls", calls))
}

/// The reply to a delete that named nothing.
pub(super) fn nothing_deleted() -> Reply {
    Reply::Done(ok().with("warning", reason::NOTHING_DELETED))
}

/// All about some dialogues of a call: their tags, the streams of each, what each has sent.
pub(super) fn call<'a>(
    call: &Call,
    dialogues: impl Iterator<Item = &'a Dialogue>,
    datapath: &dyn Datapath,
    config: &ControllerConfig,
) -> Reply {
    let mut tags = Dictionary::new();
    let mut traffic = Traffic::default();
    for dialogue in dialogues {
        for stream in dialogue.relayed() {
            traffic.add(&datapath.counters(stream.id).unwrap_or_default());
        }
        for side in Side::BOTH {
            if let Some(tag) = dialogue.tag(side) {
                tags.set(tag, party(dialogue, side, datapath, config));
            }
        }
    }
    Reply::Done(
        ok().with("created", unix_s(call.created, config))
            .with("last signal", unix_s(call.signalled, config))
            .with("tags", tags)
            .with("totals", totals(&traffic)),
    )
}

fn ok() -> Dictionary {
    Dictionary::new().with("result", "ok")
}

fn totals(traffic: &Traffic) -> Dictionary {
    Dictionary::new()
        .with("RTP", count(traffic.packets, traffic.bytes, traffic.dropped.iter().sum()))
        .with("RTCP", count(traffic.rtcp_packets, traffic.rtcp_bytes, 0))
        .with("DTLS", count(traffic.dtls_packets, traffic.dtls_bytes, 0))
}

fn count(packets: u64, bytes: u64, errors: u64) -> Dictionary {
    Dictionary::new().with("packets", packets).with("bytes", bytes).with("errors", errors)
}

fn party(dialogue: &Dialogue, side: Side, datapath: &dyn Datapath, config: &ControllerConfig) -> Dictionary {
    let mut party = Dictionary::new()
        .with("tag", dialogue.tag(side).unwrap_or_default())
        .with("created", unix_s(dialogue.created, config));
    if let Some(label) = &dialogue.labels[side.index()] {
        party.set("label", &**label);
    }
    if let Some(other) = dialogue.tag(side.other()) {
        party.set("in dialogue with", other);
    }
    if let Some(branch) = &dialogue.via_branch {
        party.set("via-branch", branch.clone());
    }
    let numbered = dialogue.streams.iter().zip(1_u32..);
    let medias: Vec<Value> = numbered
        .filter_map(|(stream, index)| stream.as_ref().map(|stream| media(stream, index, side, datapath, config)))
        .map(Value::from)
        .collect();
    party.with("medias", medias)
}

fn media(
    stream: &MediaStream,
    index: u32,
    side: Side,
    datapath: &dyn Datapath,
    config: &ControllerConfig,
) -> Dictionary {
    let counters = datapath.counters(stream.id).unwrap_or_default()[side.index()];
    let audio = component(stream, side, Component::Rtp, &counters, config);
    let mut streams = vec![Value::from(account(audio, &counters))];
    if stream.content().is_rtp() && !stream.mux.agreed(side) {
        streams.push(Value::from(component(stream, side, Component::Rtcp, &counters, config)));
    }
    let mut media = Dictionary::new()
        .with("index", index)
        .with("type", &*stream.kind)
        .with("protocol", &*stream.protocol)
        .with("streams", streams);
    let blocks = stream.blocks[side.index()];
    for (name, withheld) in [("media", blocks.media), ("silence", blocks.silence), ("DTMF", blocks.dtmf)] {
        if withheld {
            media.set(format!("blocked {name}"), 1_u32);
        }
    }
    media
}

fn component(
    stream: &MediaStream,
    side: Side,
    which: Component,
    counters: &SideCounters,
    config: &ControllerConfig,
) -> Dictionary {
    let (ports, party) = (stream.ends[side.index()].ports, &stream.parties[side.index()]);
    let dropped = counters.dropped.iter().sum();
    let (name, local, signalled, [packets, bytes, errors]) = match which {
        Component::Rtp => ("RTP", ports.rtp, party.rtp, [counters.packets, counters.bytes, dropped]),
        Component::Rtcp => ("RTCP", ports.rtcp, party.rtcp, [counters.rtcp_packets, counters.rtcp_bytes, 0]),
    };
    let mut component = Dictionary::new()
        .with("local address", local.ip().to_string())
        .with("local port", u32::from(local.port()))
        .with("flags", vec![Value::from(name)]);
    if let Some(signalled) = signalled {
        component.set("advertised endpoint", endpoint(signalled));
    }
    if let Some(target) = counters.targets[which.index()].or(signalled) {
        component.set("endpoint", endpoint(target));
    }
    if let Some(seen) = counters.last_seen {
        component.set("last packet", unix_s(seen, config));
    }
    component.with("stats", count(packets, bytes, errors))
}

/// What only RTP has: sequence numbers, and a source that may be an impostor.
fn account(mut component: Dictionary, counters: &SideCounters) -> Dictionary {
    if let Some(ssrc) = counters.ssrc {
        component.set("SSRC", ssrc);
    }
    let mut dropped = Dictionary::new();
    for cause in crate::Cause::ALL {
        dropped.set(cause.name(), counters.dropped(cause));
    }
    component
        .with("lost", counters.lost)
        .with("jitter us", counters.jitter_ns / 1_000)
        .with("SSRC changes", counters.ssrc_changes)
        .with("dropped", dropped)
}

fn endpoint(address: SocketAddr) -> Dictionary {
    let family = match address.ip() {
        IpAddr::V4(_) => "IPv4",
        IpAddr::V6(_) => "IPv6",
    };
    Dictionary::new()
        .with("family", family)
        .with("address", address.ip().to_string())
        .with("port", u32::from(address.port()))
}

pub(super) fn unix_s(at: Time, config: &ControllerConfig) -> u64 {
    (config.unix_at_zero + at.since(Time::ZERO)).as_secs()
}
