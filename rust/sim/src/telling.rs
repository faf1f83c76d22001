//! What goes to and fro, in words, for the story.

use mediaha_failover::{Command, Event};
use mediaha_ng::{Reply, Request};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn told(command: &Command) -> String {
    match command {
        Command::Offer { token, call_id, from_tag, servers, .. } => {
            format!("nets: #{} offer {} by {} to {servers:?}", token.0, text(call_id), text(from_tag))
        }
        Command::Answer { token, call_id, .. } => format!("nets: #{} answer {}", token.0, text(call_id)),
        Command::Delete { token, call_id } => format!("nets: #{} delete {}", token.0, text(call_id)),
        Command::Servers(specs) => {
            format!("nets: the servers are {:?}", specs.iter().map(|one| &one.name).collect::<Vec<_>>())
        }
        other => format!("nets: {other:?}"),
    }
}

pub(crate) fn heard(event: &Event) -> String {
    match event {
        Event::Anchored { token, call_id, server, .. } => {
            format!("pool: #{} {} is on {server}", token.0, text(call_id))
        }
        Event::Refused { token, call_id, fault, reason, .. } => {
            format!("pool: #{} {} is refused, {}: {reason}", token.0, text(call_id), fault.as_str())
        }
        Event::Deleted { token, call_id } => format!("pool: #{} {} is deleted", token.0, text(call_id)),
        Event::Moved { call_id, from_server, server, .. } => {
            format!("pool: {} moved from {from_server} to {server}", text(call_id))
        }
        Event::Stranded { call_id, server, why } => {
            format!("pool: {} of {server} is stranded: {why}", text(call_id))
        }
        Event::ServerState { server, state, why, .. } => format!("pool: {server} is {}: {why}", state.as_str()),
    }
}

pub(crate) fn asked(request: &Request) -> String {
    match request {
        Request::Offer(media) => format!("offer {} by {}", text(&media.call_id), text(&media.from_tag)),
        Request::Answer(media) => format!("answer {}", text(&media.call_id)),
        Request::Adopt(adoption) => format!("adopt {}", text(&adoption.offer.call_id)),
        Request::Delete(delete) => format!("delete {}", text(&delete.call_id)),
        Request::Query(query) => format!("query {}", text(&query.call_id)),
        other => format!("{other:?}"),
    }
}

pub(crate) fn answered(reply: &Reply) -> String {
    match reply {
        Reply::Sdp(_) | Reply::Adopted { .. } => "sdp".into(),
        Reply::Done(_) => "ok".into(),
        Reply::Error { reason } => text(reason),
        other => format!("{other:?}"),
    }
}
