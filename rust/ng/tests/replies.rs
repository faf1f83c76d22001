//! Replies as rtpengine and our own servers write them, and what the failover pool makes of them.

use mediaha_ng::*;

fn told(json: &str) -> Result<Reply, ReplyError> {
    reply_untrusted(&datagram_untrusted(format!("c {json}").as_bytes()).expect("a datagram").body)
}

fn error(reason: &str) -> Reply {
    told(&format!(r#"{{"result":"error","error-reason":{reason:?}}}"#)).expect("a reply")
}

#[test]
fn a_pong_of_rtpengine_knows_nothing_of_instances() {
    assert_eq!(
        told(r#"{"result":"pong"}"#),
        Ok(Reply::Pong { instance: None, load: None, draining: false, adopts: false })
    );
}

#[test]
fn unusable_sdp_is_the_callers_fault_and_a_lost_call_is_not() {
    for reason in
        ["Failed to parse SDP", "Incomplete SDP specification", "Error rewriting SDP", "No SDP body in message"]
    {
        assert!(error(reason).is_callers_fault(), "{reason}");
    }
    for reason in ["Unknown call-id", "Ran out of ports", "Internal error", ""] {
        assert!(!error(reason).is_callers_fault(), "{reason}");
    }
    assert!(error("Unknown call-id").is_unknown_call() && error("Unknown call-ID").is_unknown_call());
}

#[test]
fn a_full_server_says_so_in_either_form() {
    for reason in ["Parallel session limit reached", "Load limit exceeded", "Ran out of ports"] {
        assert!(error(reason).is_limit() && !error(reason).is_callers_fault(), "{reason}");
    }
    let limit = told(r#"{"result":"load limit","message":"Parallel session limit reached"}"#).expect("a reply");
    assert!(limit.is_limit());
}

#[test]
fn deleting_an_unknown_call_is_no_error() {
    let reply = told(r#"{"warning":"Call-ID not found or tags didn't match","result":"ok"}"#).expect("a reply");
    assert!(matches!(reply, Reply::Done(_)) && reply.is_unknown_call());
}

/// `rtpengine/` holds datagrams that rtpengine 10.5.3.5 sent, with one call up.
#[test]
fn long_replies_of_rtpengine_are_read_to_their_end() {
    let read = |bytes: &[u8]| match reply_untrusted(&datagram_untrusted(bytes).expect("a datagram").body) {
        Ok(Reply::Done(body)) => body,
        other => panic!("{other:?}"),
    };
    let query = read(include_bytes!("rtpengine/query"));
    let tags = query.get("tags").and_then(Value::dictionary).expect("tags");
    assert_eq!(tags.iter().map(|(tag, _)| tag).collect::<Vec<_>>(), [b"a", b"b"]);
    assert!(query.get("totals").is_some(), "the last key");
    let list = read(include_bytes!("rtpengine/list"));
    assert!(list.get("calls").and_then(Value::list).is_some_and(|calls| calls.contains(&Value::from("qr"))));
    let statistics = read(include_bytes!("rtpengine/statistics"));
    assert!(statistics.get("statistics").and_then(Value::dictionary).is_some());
}

#[test]
fn what_is_no_reply_is_refused() {
    assert_eq!(told("{}"), Err(ReplyError::NoResult));
    assert_eq!(told(r#"{"result":1}"#), Err(ReplyError::NoResult));
    assert_eq!(told(r#"{"result":"perhaps"}"#), Err(ReplyError::UnknownResult));
}

#[test]
fn what_a_server_tells_is_what_the_pool_reads() {
    for reply in [
        Reply::Pong { instance: Some(vec![0, 255, b'e']), load: Some(40), draining: true, adopts: true },
        Reply::Pong { instance: None, load: None, draining: false, adopts: false },
        Reply::Sdp(b"v=0\r\n".to_vec()),
        Reply::Adopted { sdp: b"v=0\r\n".to_vec(), answer_sdp: b"v=0\n".to_vec() },
        Reply::ok(),
        Reply::Done(Dictionary::new().with("result", "ok").with("created", 5_i64)),
        Reply::error(reason::NO_PORTS),
        Reply::LoadLimit { message: reason::SESSION_LIMIT.as_bytes().to_vec() },
    ] {
        assert_eq!(reply_untrusted(&reply.to_dictionary()), Ok(reply));
    }
}
