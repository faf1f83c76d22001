//! What happens to SDP that rtpengine would treat otherwise, or that is unusable.

use std::net::IpAddr;

use mediaha_ng::Codecs;

use super::super::*;

const SESSION: &str = "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n";

fn placed(rtp: u16) -> Placement {
    Placement { address: address("192.0.2.9"), rtp, rtcp: rtp + 1, rtcp_mux: false, profile: None }
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn parsed(sections: &str) -> Description {
    description_untrusted(format!("{SESSION}{sections}").as_bytes()).expect("usable SDP")
}

fn refusal(sections: &str) -> SdpError {
    description_untrusted(format!("{SESSION}{sections}").as_bytes()).expect_err("unusable SDP")
}

fn rewritten(sections: &str, placements: &[Option<Placement>]) -> String {
    String::from_utf8(rewrite(&parsed(sections), placements, &RewriteOptions::default())).expect("UTF-8")
}

#[test]
fn a_phone_says_where_it_wants_rtp_and_rtcp() {
    let sdp =
        parsed("m=audio 4000 RTP/AVP 0\r\nm=audio 5000 RTP/AVP 0\r\nc=IN IP6 2001:db8::7\r\na=rtcp:5003\r\n");
    let [first, second] = sdp.media() else { panic!("two sections") };
    assert_eq!(first.rtp_address(), Some("198.51.100.1:4000".parse().unwrap()));
    assert_eq!(first.rtcp_address(), Some("198.51.100.1:4001".parse().unwrap()));
    assert_eq!(second.rtp_address(), Some("[2001:db8::7]:5000".parse().unwrap()));
    assert_eq!(second.rtcp_address(), Some("[2001:db8::7]:5003".parse().unwrap()));
}

#[test]
fn a_phone_on_the_last_port_has_no_port_for_rtcp() {
    assert_eq!(parsed("m=audio 65535 RTP/AVP 0\r\n").media()[0].rtcp_address(), None);
}

#[test]
fn three_ways_to_hold_a_call_are_understood() {
    for held in ["a=sendonly\r\n", "a=inactive\r\n", "c=IN IP4 0.0.0.0\r\n"] {
        assert!(parsed(&format!("m=audio 4000 RTP/AVP 0\r\n{held}")).media()[0].held, "{held}");
    }
    for not_held in ["a=recvonly\r\n", "a=sendrecv\r\n", ""] {
        assert!(!parsed(&format!("m=audio 4000 RTP/AVP 0\r\n{not_held}")).media()[0].held, "{not_held}");
    }
}

#[test]
fn a_disabled_stream_needs_no_address() {
    let sdp = "v=0\r\nm=audio 0 RTP/AVP 0\r\n";
    let parsed = description_untrusted(sdp.as_bytes()).expect("usable SDP");
    assert!(parsed.media()[0].disabled);
    assert_eq!(parsed.media()[0].rtp_address(), None);
    assert_eq!(rewrite(&parsed, &[Some(placed(30_000))], &RewriteOptions::default()), sdp.as_bytes());
}

#[test]
fn a_stream_that_was_given_no_place_is_refused_and_not_passed_by() {
    let sdp = rewritten(
        "m=audio 4000 RTP/AVP 0\r\nm=video 5000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n",
        &[Some(placed(30_000))],
    );
    assert!(sdp.contains("m=audio 30000 RTP/AVP 0\r\n"), "{sdp}");
    assert!(sdp.ends_with("m=video 0 RTP/AVP 96\r\n"), "{sdp}");
}

#[test]
fn messages_keep_the_address_they_had_from_the_session() {
    let message = "m=message 2855 TCP/MSRP *\r\ni=chat\r\na=path:msrp://198.51.100.1:2855/x;tcp\r\na=sendonly\r\n";
    let sdp =
        rewritten(&format!("m=audio 4000 RTP/AVP 0\r\n{message}"), &[Some(placed(30_000)), Some(placed(30_002))]);
    let kept = message.replace("i=chat\r\n", "i=chat\r\nc=IN IP4 198.51.100.1\r\n");
    assert!(sdp.ends_with(&kept), "{sdp}");
}

#[test]
fn a_fax_goes_through_the_relay_without_reports() {
    let asked = Placement { rtcp_mux: true, ..placed(30_000) };
    let sdp = rewritten("m=image 4000 udptl t38\r\na=T38FaxVersion:0\r\n", &[Some(asked)]);
    let placed = "c=IN IP4 192.0.2.9\r\nt=0 0\r\nm=image 30000 udptl t38\r\na=T38FaxVersion:0\r\na=sendrecv\r\n";
    assert!(sdp.ends_with(placed), "{sdp}");
}

#[test]
fn real_time_text_goes_through_the_relay_like_audio() {
    let sdp = rewritten("m=text 4000 RTP/AVP 98\r\na=rtpmap:98 t140/1000\r\n", &[Some(placed(30_000))]);
    assert!(
        sdp.contains("m=text 30000 RTP/AVP 98\r\na=rtpmap:98 t140/1000\r\na=sendrecv\r\na=rtcp:30001\r\n"),
        "{sdp}"
    );
}

#[test]
fn keys_for_encryption_pass_through() {
    let crypto = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n";
    let sdp = rewritten(&format!("m=audio 4000 RTP/SAVP 0\r\n{crypto}a=ptime:20\r\n"), &[Some(placed(30_000))]);
    assert!(sdp.contains(&format!("a=rtcp:30001\r\n{crypto}a=ptime:20\r\n")), "{sdp}");
}

#[test]
fn every_trace_of_ice_is_taken_out() {
    let ice = "a=ice-pacing:50\r\na=end-of-candidates\r\na=remote-candidates:1 198.51.100.1 4000\r\n";
    let sdp = rewritten(&format!("m=audio 4000 RTP/AVP 0\r\n{ice}"), &[Some(placed(30_000))]);
    assert!(!sdp.contains("candidate") && !sdp.contains("ice-"), "{sdp}");
}

#[test]
fn no_other_address_of_its_author_is_passed_on() {
    let elsewhere = [
        "a=altc:1 IP6 2001:db8::7 4000",
        "a=alt:1 1 : abc def 198.51.100.7 4000",
        "a=ccap:1 IN IP4 198.51.100.7",
        "a=source-filter: incl IN IP4 * 198.51.100.7",
    ];
    let lines = elsewhere.join("\r\n");
    let written = rewritten(&format!("{lines}\r\nm=audio 4000 RTP/AVP 0\r\n{lines}\r\n"), &[Some(placed(30_000))]);
    assert!(!written.contains("198.51.100.7") && !written.contains("2001:db8::7"), "{written}");
}

/// As a browser offers audio and video: on one port, with a handshake for the keys.
#[test]
fn an_offer_of_a_browser_comes_out_without_a_trace_of_where_it_is() {
    let common = "c=IN IP4 198.51.100.1\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:x\r\na=ice-pwd:y\r\na=ice-options:trickle\r\n\
        a=candidate:1 1 udp 2113937151 198.51.100.1 54400 typ host\r\na=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\na=rtcp-mux\r\na=rtcp-rsize\r\n";
    let offer = format!(
        "a=group:BUNDLE 0 1\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS s\r\n\
         m=audio 54400 UDP/TLS/RTP/SAVPF 111 9 0 110\r\n{common}a=mid:0\r\na=sendrecv\r\na=rtpmap:111 opus/48000/2\r\n\
         a=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:110 telephone-event/48000\r\na=ssrc:1 cname:c\u{e4}\r\n\
         m=video 0 UDP/TLS/RTP/SAVPF 96 97\r\n{common}a=bundle-only\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\n\
         a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n"
    );
    let mux = Placement { rtcp_mux: true, ..placed(30_000) };
    let written = rewritten(&offer, &[Some(mux), None]);
    assert!(
        !written.contains("54400") && !written.contains("ice-") && !written.contains("candidate"),
        "{written}"
    );
    let sections: Vec<_> = description_untrusted(written.as_bytes()).expect("usable SDP").media().to_vec();
    assert_eq!((sections[0].port, sections[0].rtcp_mux, sections[0].rtcp), (30_000, true, Some((None, 30_001))));
    assert_eq!((sections[0].formats.len(), sections[1].disabled), (4, true));
    for kept in
        ["a=setup:actpass", "a=fingerprint:", "a=rtcp-fb:111 transport-cc", "a=fmtp:111 minptime=10", "a=ssrc:1"]
    {
        assert!(written.contains(kept), "{kept} in {written}");
    }
    assert!(!written.contains("BUNDLE"));
}

#[test]
fn what_is_written_in_an_older_alphabet_stays_as_it_is() {
    let sdp = [SESSION.as_bytes(), b"i=b\xfcro\r\nm=audio 4000 RTP/AVP 0\r\na=X-na\xefve:\xff\r\n"].concat();
    let description = description_untrusted(&sdp).expect("usable SDP");
    let written = rewrite(&description, &[Some(placed(30_000))], &RewriteOptions::default());
    for kept in [&b"i=b\xfcro\r\n"[..], b"a=X-na\xefve:\xff\r\n"] {
        assert!(written.windows(kept.len()).any(|it| it == kept));
    }
}

#[test]
fn a_stream_placed_on_another_address_than_the_session_says_so_itself() {
    let elsewhere = Placement { address: address("2001:db8::9"), rtp: 30_002, rtcp: 30_003, ..placed(30_002) };
    let sections = "m=audio 4000 RTP/AVP 0\r\nm=audio 5000 RTP/AVP 0\r\ni=second\r\n";
    let sdp = rewritten(sections, &[Some(placed(30_000)), Some(elsewhere)]);
    assert!(sdp.contains("m=audio 30002 RTP/AVP 0\r\ni=second\r\nc=IN IP6 2001:db8::9\r\n"), "{sdp}");
}

#[test]
fn the_origin_follows_the_first_stream_that_is_placed() {
    let options = RewriteOptions {
        replace_origin: true,
        address: Some(address("2001:db8::9")),
        ..RewriteOptions::default()
    };
    let sdp = |port: u16| {
        let sdp = parsed(&format!("m=audio {port} RTP/AVP 0\r\n"));
        String::from_utf8(rewrite(&sdp, &[Some(placed(30_000))], &options)).expect("UTF-8")
    };
    assert!(sdp(4_000).contains("o=- 1 1 IN IP4 192.0.2.9\r\n"));
    assert!(sdp(0).contains("o=- 1 1 IN IP6 2001:db8::9\r\n"), "there is no stream");
}

#[test]
fn two_ports_for_one_stream_become_one() {
    assert!(
        rewritten("m=audio 4000/2 RTP/AVP 0\r\n", &[Some(placed(30_000))]).contains("m=audio 30000 RTP/AVP 0\r\n")
    );
}

#[test]
fn bare_line_feeds_stay_bare() {
    let sdp = format!("{SESSION}m=audio 4000 RTP/AVP 0\n").replace('\r', "");
    let parsed = description_untrusted(sdp.as_bytes()).expect("usable SDP");
    let sdp =
        String::from_utf8(rewrite(&parsed, &[Some(placed(30_000))], &RewriteOptions::default())).expect("UTF-8");
    assert!(!sdp.contains('\r') && sdp.ends_with("a=rtcp:30001\n"), "{sdp}");
}

#[test]
fn an_ending_that_is_missing_is_added_and_an_empty_line_dropped() {
    let usual = rewritten("m=audio 4000 RTP/AVP 0\r\na=x\r\n", &[Some(placed(30_000))]);
    assert_eq!(rewritten("m=audio 4000 RTP/AVP 0\r\na=x", &[Some(placed(30_000))]), usual);
    assert_eq!(rewritten("\r\nm=audio 4000 RTP/AVP 0\r\na=x\r\n\r\n", &[Some(placed(30_000))]), usual);
}

#[test]
fn an_address_nobody_can_send_to_is_the_authors_fault() {
    for unusable in ["host.example", "224.2.36.42", "224.2.36.42/127", "2001:db8::1", "198.51.100"] {
        let sections = format!("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 {unusable}\r\n");
        assert_eq!(refusal(&sections), SdpError::BadAddress, "{unusable}");
    }
}

#[test]
fn what_is_no_sdp_is_refused() {
    assert_eq!(refusal(""), SdpError::NoMedia);
    assert_eq!(refusal("garbage\r\n"), SdpError::NotSdp);
    assert_eq!(refusal("m=audio 4000\r\n"), SdpError::BadMedia);
    assert_eq!(refusal("m=audio 70000 RTP/AVP 0\r\n"), SdpError::BadMedia);
    let nowhere = "v=0\r\nm=audio 4000 RTP/AVP 0\r\n";
    assert_eq!(description_untrusted(nowhere.as_bytes()), Err(SdpError::NoAddress));
    for text in ["", "\r\n", "x", "v=0\r\no=alice 1 1\r\n", "o=- 1 1 IN IP4 198.51.100.1\r\nv=0\r\n"] {
        assert_eq!(description_untrusted(text.as_bytes()), Err(SdpError::NotSdp), "{text:?}");
    }
}

#[test]
fn a_carriage_return_alone_cannot_smuggle_a_line_in() {
    assert_eq!(refusal("m=audio 4000 RTP/AVP 0\r\na=x\rc=IN IP4 203.0.113.66\r\n"), SdpError::NotSdp);
}

#[test]
fn too_much_of_anything_is_refused() {
    let section = "m=audio 4000 RTP/AVP 0\r\n";
    assert_eq!(refusal(&section.repeat(SECTIONS_MAX + 1)), SdpError::TooLarge);
    assert_eq!(refusal(&format!("{section}{}", "a=x\r\n".repeat(LINES_MAX))), SdpError::TooLarge);
    assert_eq!(refusal(&format!("m=audio 4000 RTP/AVP{}\r\n", " 0".repeat(FORMATS_MAX + 1))), SdpError::TooLarge);
    assert_eq!(refusal(&format!("{section}a={}\r\n", "x".repeat(SDP_BYTES_MAX))), SdpError::TooLarge);
}

#[test]
fn every_refusal_tells_the_pool_whose_fault_it_is() {
    use SdpError::{BadAddress, BadMedia, NoAddress, NoMedia, NotSdp, TooLarge};
    for error in [NotSdp, TooLarge, BadMedia, BadAddress, NoAddress, NoMedia] {
        assert!(mediaha_ng::Reply::error(error.reason()).is_callers_fault(), "{error:?}");
    }
}

fn stripped(sections: &str, codecs: &Codecs) -> String {
    let mut parsed = parsed(sections);
    parsed.strip(codecs);
    let text = rewrite(&parsed, &[Some(placed(30_000))], &RewriteOptions::default());
    let text = String::from_utf8(text).expect("UTF-8");
    let lines = text
        .lines()
        .filter(|line| line.starts_with("m=") || line.starts_with("a=rtpmap") || line.starts_with("a=fmtp"));
    lines.collect::<Vec<_>>().join(" ")
}

#[test]
fn codecs_are_taken_out_with_all_that_is_said_of_them() {
    let codecs = |strip: &str, offer: &str, except: &str| {
        let names = |text: &str| text.split_whitespace().map(|name| name.as_bytes().to_vec()).collect();
        Codecs { strip: names(strip), offer: names(offer), except: names(except) }
    };
    let sdp = "m=audio 4000 RTP/AVP 0 8 9 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n";
    let of = |kept: &[(&str, &str)]| {
        let types: Vec<_> = kept.iter().map(|(payload, _)| *payload).collect();
        let maps = kept.iter().map(|(payload, encoding)| format!(" a=rtpmap:{payload} {encoding}"));
        format!("m=audio 30000 RTP/AVP {}{}", types.join(" "), maps.collect::<String>())
    };
    let (mu, law, g722) = (("0", "PCMU/8000"), ("8", "PCMA/8000"), ("9", "G722/8000"));
    let events = ("101", "telephone-event/8000");
    assert_eq!(stripped(sdp, &codecs("G722", "", "")), of(&[mu, law, events]) + " a=fmtp:101 0-15");
    assert_eq!(stripped(sdp, &codecs("telephone-event pcmu/8000", "", "")), of(&[law, g722]));
    assert_eq!(stripped(sdp, &codecs("all", "PCMA PCMU", "")), of(&[law, mu]));
    assert_eq!(stripped(sdp, &codecs("all", "", "PCMU")), of(&[mu]));
    assert_eq!(
        stripped(sdp, &codecs("PCMU PCMA", "", "PCMA telephone-event")),
        of(&[law, g722, events]) + " a=fmtp:101 0-15"
    );
    let whole = of(&[mu, law, g722, events]) + " a=fmtp:101 0-15";
    assert_eq!(stripped(sdp, &codecs("all", "", "")), whole, "an offer of nothing is no use");
    assert_eq!(stripped(sdp, &codecs("", "PCMA", "PCMU")), whole);
    assert_eq!(stripped("m=image 4000 udptl t38\r\n", &codecs("all", "", "")), "m=image 30000 udptl t38");
}

#[test]
fn an_address_that_says_on_hold_is_replaced_when_that_is_asked_for() {
    let sdp = description_untrusted(
        b"v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n",
    );
    let options = RewriteOptions { replace_zero_address: true, ..RewriteOptions::default() };
    let text = rewrite(&sdp.expect("usable SDP"), &[Some(placed(30_000))], &options);
    let text = String::from_utf8(text).expect("UTF-8");
    assert!(text.contains("c=IN IP4 192.0.2.9\r\n") && text.contains("a=sendonly\r\n"), "{text}");
    assert!(!text.contains("0.0.0.0"), "{text}");
}
