//! Requests as clients write them, and as the failover pool does.

use std::net::IpAddr;

use mediaha_ng::*;

fn asked(json: &str) -> Result<Request, RequestError> {
    request_untrusted(&datagram_untrusted(format!("c {json}").as_bytes()).expect("a datagram").body)
}

fn options(json: &str) -> Options {
    let offer = format!(r#"{{"command":"offer","call-id":"c","from-tag":"a","sdp":"v=0",{json}}}"#);
    match asked(&offer) {
        Ok(Request::Offer(media)) => media.options,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_offer_as_kamailio_writes_it() {
    let asked = asked(
        r#"{"sdp":"v=0\r\n","ICE":"remove","flags":["trust-address","SIP-source-address","port-latching"],
            "replace":["origin","session-connection"],"rtcp-mux":["demux"],"transport-protocol":"RTP/AVP",
            "direction":["pub","priv"],"address-family":"IP6","received-from":["IP4","203.0.113.7"],
            "call-id":"x@y","via-branch":"z9hG4bK1","from-tag":"a","command":"offer"}"#,
    );
    let Ok(Request::Offer(media)) = asked else { panic!("{asked:?}") };
    assert_eq!((media.call_id.as_slice(), media.from_tag.as_slice()), (&b"x@y"[..], &b"a"[..]));
    assert_eq!((media.to_tag, media.via_branch), (None, Some(b"z9hG4bK1".to_vec())));
    let expected = Options {
        replace_origin: true,
        replace_session_connection: true,
        port_latching: true,
        trust_address: false,
        rtcp_mux: RtcpMux { demux: true, ..RtcpMux::default() },
        address_family: Some(AddressFamily::V6),
        direction: Some((b"pub".to_vec(), b"priv".to_vec())),
        received_from: Some(IpAddr::from([203, 0, 113, 7])),
        transport_protocol: Some(b"RTP/AVP".to_vec()),
        ice: Some(b"remove".to_vec()),
        ..Options::default()
    };
    assert_eq!(media.options, expected);
}

#[test]
fn words_may_be_joined_by_spaces_dashes_or_underscores() {
    for flag in ["strict source", "strict-source", "strict_source", "Strict-Source"] {
        assert!(options(&format!(r#""flags":["{flag}"]"#)).strict_source, "{flag}");
        assert!(options(&format!(r#""flags":"{flag}""#)).strict_source || flag.contains(' '), "{flag} as a text");
    }
    for replace in ["session connection", "session-connection"] {
        assert!(options(&format!(r#""replace":["{replace}"]"#)).replace_session_connection, "{replace}");
        assert!(options(&format!(r#""flags":["replace-{replace}"]"#)).replace_session_connection, "as a flag");
    }
    for key in ["received from", "received-from", "received_from"] {
        let address = options(&format!(r#""{key}":["IP6","2001:db8::7"]"#)).received_from;
        assert_eq!(address, Some("2001:db8::7".parse().unwrap()), "{key}");
    }
}

#[test]
fn a_flag_nobody_knows_is_kept_for_the_log_and_changes_nothing() {
    let options = options(r#""flags":["loop-protect","trust-address"]"#);
    assert_eq!(options, Options { unknown_flags: vec![b"loop-protect".to_vec()], ..Options::default() });
}

#[test]
fn a_thousand_flags_nobody_knows_are_not_all_kept() {
    let flags = vec![r#""x""#; 1_000].join(",");
    assert!(options(&format!(r#""flags":[{flags}]"#)).unknown_flags.len() < 100);
}

#[test]
fn keys_of_the_wrong_kind_are_passed_over() {
    let nonsense =
        r#""flags":{"a":[]},"replace":7,"direction":["one"],"received-from":[1,{}],"address-family":"IPX""#;
    assert_eq!(options(nonsense), Options::default());
}

#[test]
fn what_is_missing_is_named_as_rtpengine_names_it() {
    let reason = |json: &str| asked(json).expect_err("incomplete").reason();
    assert_eq!(reason(r#"{"x":1}"#), "Dictionary contains no key \"command\"");
    assert_eq!(reason(r#"{"command":3}"#), "Dictionary contains no key \"command\"");
    assert_eq!(reason(r#"{"command":"offer","call-id":"c"}"#), "No SDP body in message");
    assert_eq!(reason(r#"{"command":"offer","sdp":"v=0"}"#), "No call-id in message");
    assert_eq!(reason(r#"{"command":"offer","sdp":"v=0","call-id":"c"}"#), "No from-tag in message");
    assert_eq!(reason(r#"{"command":"answer","sdp":"v=0","call-id":"c","from-tag":"a"}"#), "No to-tag in message");
    assert_eq!(reason(r#"{"command":"delete","from-tag":"a"}"#), "No call-id in message");
    assert_eq!(reason(r#"{"command":"query"}"#), "No call-id in message");
    assert_eq!(reason(r#"{"command":"list","limit":-2}"#), "invalid limit, must be >= 0");
}

#[test]
fn a_command_nobody_knows_is_not_an_error_of_the_parser() {
    assert_eq!(asked(r#"{"command":"play media"}"#), Ok(Request::Unsupported(b"play media".to_vec())));
}

#[test]
fn a_block_says_what_and_whose() {
    let block = |json: &str| match asked(json) {
        Ok(Request::Block(block)) => block,
        other => panic!("{other:?}"),
    };
    let directional = block(
        r#"{"supports":["load limit"],"flags":["directional"],"call-id":"c","from-tag":"a","to-tag":"b","command":"block DTMF"}"#,
    );
    assert_eq!((directional.what, directional.lifted, directional.all), (Blockable::Dtmf, false, false));
    assert_eq!((directional.party, directional.to_tag), (Some(Named::Tag(b"a".to_vec())), Some(b"b".to_vec())));
    let all = block(r#"{"command":"unsilence media","call-id":"c","flags":["all"]}"#);
    assert_eq!((all.what, all.lifted, all.party, all.all), (Blockable::Sound, true, None, true));
    let named = block(r#"{"command":"unblock media","call-id":"c","from-tag":"a","label":"bob","address":"::1"}"#);
    assert_eq!(named.party, Some(Named::Label(b"bob".to_vec())));
    let reason = asked(r#"{"command":"block media","from-tag":"a"}"#).expect_err("no call").reason();
    assert_eq!(reason, "No call-id in message");
}

#[test]
fn options_in_one_line_of_text_are_read_as_if_the_proxy_had_read_them() {
    let line = "replace-origin replace-session-connection SIP-source-address ICE=remove direction=pub direction=priv \
                rtcp-mux-demux received-from=203.0.113.7 address-family=IP6 loop-protect";
    let spread = options(&format!(r#""rtpp-flags":"{line}","ICE":"force","flags":["symmetric","strict-source"]"#));
    let expected = Options {
        replace_origin: true,
        replace_session_connection: true,
        strict_source: true,
        trust_address: false,
        rtcp_mux: RtcpMux { demux: true, ..RtcpMux::default() },
        address_family: Some(AddressFamily::V6),
        direction: Some((b"pub".to_vec(), b"priv".to_vec())),
        received_from: Some(IpAddr::from([203, 0, 113, 7])),
        ice: Some(b"force".to_vec()),
        unknown_flags: vec![b"loop-protect".to_vec()],
        ..Options::default()
    };
    assert_eq!(spread, expected, "what the proxy has read itself counts");
    let nothing = Options { unknown_keys: vec![b"-".to_vec()], ..Options::default() };
    assert_eq!(options(r#""rtpp-flags":"= =x -= replace- replace=  direction=""#), nothing);
}

#[test]
fn codecs_are_named_in_a_dictionary_or_among_the_flags() {
    let expected = Codecs {
        strip: vec![b"G722".to_vec(), b"opus/48000/2".to_vec()],
        except: vec![b"PCMU".to_vec()],
        ..Codecs::default()
    };
    let listed = options(r#""codec":{"strip":["G722","opus/48000/2"],"except":["PCMU"],"transcode":["PCMA"]}"#);
    let flags = options(r#""flags":["codec-strip-G722","codec strip opus/48000/2","codec_except_PCMU"]"#);
    assert_eq!((listed.codecs, flags.codecs), (expected.clone(), expected));
    for other in ["codec-strip-", "codec-", "codec-mask-G722", "codecs-strip-G722"] {
        let options = options(&format!(r#""flags":["{other}"]"#));
        assert_eq!((options.codecs, options.unknown_flags), (Codecs::default(), vec![other.as_bytes().to_vec()]));
    }
    let many = vec![r#""codec-strip-x""#; 1_000].join(",");
    assert!(options(&format!(r#""flags":[{many}]"#)).codecs.strip.len() < 100);
}

#[test]
fn what_nobody_reads_is_named_for_the_log() {
    let asked = r#""TOS":184,"DTLS":"off","ICE":"remove","record-call":"yes","codec":{"strip":["G722"],"transcode":["PCMA"]}"#;
    let words = ["TOS", "record-call", "codec-transcode"].map(|word| word.as_bytes().to_vec());
    assert_eq!(options(asked).unknown_keys, words);
    assert_eq!(options(r#""DTLS":"passive""#).unknown_keys, [b"DTLS"]);
    let many = (0..1_000).map(|n| format!(r#""x{n}":1"#)).collect::<Vec<_>>().join(",");
    assert!(options(&many).unknown_keys.len() < 100);
}

#[test]
fn a_list_is_limited_without_being_told() {
    assert_eq!(asked(r#"{"command":"list"}"#), Ok(Request::List { limit: 32 }));
    assert_eq!(asked(r#"{"command":"list","limit":"5"}"#), Ok(Request::List { limit: 5 }));
}

#[test]
fn what_the_pool_asks_is_what_a_server_reads() {
    let media = Media {
        call_id: b"call".to_vec(),
        from_tag: b"a".to_vec(),
        to_tag: Some(b"b".to_vec()),
        via_branch: Some(b"z9hG4bK2".to_vec()),
        sdp: b"v=0\r\n".to_vec(),
        options: Options {
            replace_origin: true,
            strict_source: true,
            media_handover: true,
            asymmetric: true,
            trust_address: false,
            full_rtcp_attribute: true,
            supports_load_limit: true,
            rtcp_mux: RtcpMux { offer: true, accept: true, ..RtcpMux::default() },
            address_family: Some(AddressFamily::V4),
            direction: Some((b"one".to_vec(), b"two".to_vec())),
            received_from: Some("2001:db8::7".parse().unwrap()),
            media_address: Some("192.0.2.9".parse().unwrap()),
            unknown_flags: vec![b"loop-protect".to_vec()],
            replace_zero_address: true,
            label: Some(b"alice".to_vec()),
            codecs: Codecs { strip: vec![b"all".to_vec()], offer: vec![b"PCMU".to_vec()], except: Vec::new() },
            ..Options::default()
        },
    };
    let delete = Delete { call_id: b"call".to_vec(), delay_s: Some(0), fatal: true, ..Delete::default() };
    let party = Some(Named::Address(b"192.0.2.7".to_vec()));
    let (call_id, what, to_tag) = (b"call".to_vec(), Blockable::Sound, Some(b"b".to_vec()));
    let block = Block { call_id, what, lifted: true, party, to_tag, all: true };
    let query = Query { call_id: b"call".to_vec(), from_tag: Some(b"a".to_vec()), to_tag: None };
    for request in [
        Request::Ping,
        Request::Offer(Media { to_tag: None, ..media.clone() }),
        Request::Adopt(Adoption { offer: media.clone(), answer_sdp: Some(b"v=0\n".to_vec()) }),
        Request::Adopt(Adoption { offer: media.clone(), answer_sdp: None }),
        Request::Answer(media),
        Request::Delete(delete),
        Request::Query(query),
        Request::Block(block),
        Request::List { limit: 7 },
        Request::Statistics,
        Request::Unsupported(b"play media".to_vec()),
    ] {
        let bytes = Datagram::asking(b"c".to_vec(), &request).to_bytes();
        assert_eq!(request_untrusted(&datagram_untrusted(&bytes).expect("a datagram").body), Ok(request));
    }
}
