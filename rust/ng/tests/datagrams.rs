//! What comes over the wire, byte by byte; the error texts are those that rtpengine 10.5 answered.

use mediaha_ng::*;

fn answered(bytes: &[u8]) -> String {
    let datagram = datagram_untrusted(bytes).expect_err("not legible").reply().expect("an answer");
    String::from_utf8(datagram.to_bytes()).expect("UTF-8")
}

fn asked(bytes: &[u8]) -> Result<Request, RequestError> {
    request_untrusted(&datagram_untrusted(bytes).expect("a datagram").body)
}

#[test]
fn a_ping_is_understood_in_both_encodings() {
    assert_eq!(asked(b"c1 d7:command4:pinge"), Ok(Request::Ping));
    assert_eq!(asked(br#"c1 {"command": "ping"}"#), Ok(Request::Ping));
}

#[test]
fn a_reply_is_written_as_its_request_was() {
    let pong = Reply::Pong { instance: None, load: None, draining: false, adopts: false };
    let reply = |bytes: &[u8]| datagram_untrusted(bytes).expect("a datagram").answered_by(&pong).to_bytes();
    assert_eq!(reply(b"c1 d7:command4:pinge"), b"c1 d6:result4:ponge");
    assert_eq!(reply(br#"c1 {"command": "ping"}"#), br#"c1 {"result":"pong"}"#);
}

#[test]
fn what_cannot_be_read_is_answered_under_its_cookie() {
    assert_eq!(answered(b"c4 garbage"), "c4 d6:result5:error12:error-reason22:Invalid NG data formate");
    assert_eq!(answered(b"c7 l4:pinge"), "c7 d6:result5:error12:error-reason22:Invalid NG data formate");
    assert_eq!(answered(b"c8 "), "c8 d6:result5:error12:error-reason25:Invalid data (no payload)e");
    assert_eq!(answered(b"c9 d3:a"), "c9 d6:result5:error12:error-reason35:Could not decode bencode dictionarye");
    let json = r#"{"result":"error","error-reason":"Failed to parse JSON document"}"#;
    assert_eq!(answered(br#"c20 {"command":"#), format!("c20 {json}"));
    assert_eq!(answered(br#"c22 {"command":"ping"} x"#), format!("c22 {json}"));
}

#[test]
fn without_a_cookie_nothing_is_answered() {
    for bytes in [&b""[..], b" ", b" d7:command4:pinge", b"d7:command4:pinge", &[b'x'; 300]] {
        assert_eq!(datagram_untrusted(bytes), Err(DatagramError::NoCookie));
    }
    let too_long = [b"c d1:a".to_vec(), vec![b' '; DATAGRAM_BYTES_MAX]].concat();
    assert_eq!(datagram_untrusted(&too_long), Err(DatagramError::NoCookie));
    let long = [vec![b'x'; COOKIE_BYTES_MAX + 1], b" d7:command4:pinge".to_vec()].concat();
    assert_eq!(datagram_untrusted(&long), Err(DatagramError::NoCookie));
    assert!(datagram_untrusted(&long[1..]).is_ok(), "the longest cookie that is allowed");
}

#[test]
fn broken_bencode_is_refused() {
    for body in [
        "d",
        "d1",
        "d1:",
        "d1:a",
        "d1:ae",
        "d1:ai",
        "d1:aie",
        "d1:ai007ee",
        "d1:ai-07ee",
        "d01:ai7ee",
        "d1:ai1",
        "d1:ai--1ee",
        "d1:ai1e",
        "di1e1:ae",
        "d1:al",
        "d1:a99999999999999999999999:xe",
        "d1:a5:xe",
        "d1:a-1:xe",
        "d1:a+1:xe",
        "d1:ai99999999999999999999ee",
    ] {
        let datagram = format!("c {body}");
        assert!(datagram_untrusted(datagram.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn what_follows_the_dictionary_is_passed_over_as_rtpengine_does() {
    assert_eq!(asked(b"c21 d7:command4:pinge "), Ok(Request::Ping));
}

#[test]
fn nesting_ends_somewhere() {
    let nested =
        |depth: usize| [b"c d1:a".to_vec(), b"l".repeat(depth), b"e".repeat(depth), b"e".to_vec()].concat();
    assert!(datagram_untrusted(&nested(DEPTH_MAX - 1)).is_ok());
    for depth in [DEPTH_MAX, 30_000] {
        let refused = datagram_untrusted(&nested(depth)).expect_err("too deep");
        assert!(matches!(refused, DatagramError::Body { fault: BodyFault::TooLarge, .. }), "{refused:?}");
    }
    let json = |depth: usize| ["c {\"a\":", &"[".repeat(depth), &"]".repeat(depth), "}"].concat().into_bytes();
    assert!(datagram_untrusted(&json(DEPTH_MAX - 1)).is_ok());
    assert!(datagram_untrusted(&json(DEPTH_MAX)).is_err());
    assert!(datagram_untrusted(&json(30_000)).is_err());
}

#[test]
fn there_is_an_end_to_how_many_values_are_kept() {
    let values = |count: usize| [b"c d1:al".to_vec(), b"0:".repeat(count), b"ee".to_vec()].concat();
    assert!(datagram_untrusted(&values(VALUES_MAX - 2)).is_ok());
    assert!(datagram_untrusted(&values(VALUES_MAX - 1)).is_err());
}

#[test]
fn json_says_what_bencode_can_say() {
    let body = datagram_untrusted(br#"c {"t":true,"f":false,"n":null,"x":1.5,"i":-3,"big":18446744073709551615}"#)
        .expect("a datagram")
        .body;
    assert_eq!(body.integer("t"), Some(1));
    assert_eq!(body.integer("f"), Some(0));
    assert_eq!(body.text("n"), Some(&b""[..]));
    assert_eq!(body.text("x"), Some(&b"1.5"[..]));
    assert_eq!(body.integer("i"), Some(-3));
    assert_eq!(body.text("big"), Some(&b"18446744073709551615"[..]));
}

#[test]
fn json_replies_escape_what_they_must() {
    let sdp = Reply::Sdp(b"v=0\r\ns=\"\\\"\x01\xff".to_vec());
    let datagram = Datagram { cookie: b"c".to_vec(), encoding: Encoding::Json, body: sdp.to_dictionary() };
    let bytes = datagram.to_bytes();
    assert_eq!(
        String::from_utf8(bytes.clone()).expect("UTF-8"),
        "c {\"sdp\":\"v=0\\r\\ns=\\\"\\\\\\\"\\u0001\u{fffd}\",\"result\":\"ok\"}"
    );
    assert!(datagram_untrusted(&bytes).is_ok());
}

#[test]
fn a_number_may_come_as_text_and_of_a_key_given_twice_the_first_counts() {
    let body = datagram_untrusted(b"c d5:limit1:35:limiti4ee").expect("a datagram").body;
    assert_eq!(body.integer("limit"), Some(3));
}
