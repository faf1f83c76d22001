//! What holds for any bytes, and for any SDP.

use proptest::prelude::*;

use super::super::*;

/// Lines out of which sections are made; the author's addresses all begin with 198.51.100.
const LINES: &[&str] = &[
    "c=IN IP4 198.51.100.2",
    "c=IN IP4 0.0.0.0",
    "i=title",
    "b=AS:64",
    "a=sendonly",
    "a=inactive",
    "a=rtcp:4009 IN IP4 198.51.100.3",
    "a=rtcp-mux",
    "a=rtpmap:101 telephone-event/8000",
    "a=fmtp:101 0-15",
    "a=candidate:1 1 UDP 2130706431 198.51.100.1 4000 typ host",
    "a=mid:0",
    "a=ptime:20",
    "a=something",
];

const MEDIA: &[&str] = &[
    "m=audio 4000 RTP/AVP 0 101",
    "m=video 5000 RTP/SAVPF 96",
    "m=audio 0 RTP/AVP 8",
    "m=image 4000 udptl t38",
    "m=message 2855 TCP/MSRP *",
];

fn sdp() -> impl Strategy<Value = String> {
    let lines = || prop::collection::vec(prop::sample::select(LINES), 0..6);
    let section =
        (prop::sample::select(MEDIA), lines()).prop_map(|(media, lines)| format!("{media}\r\n{}", joined(&lines)));
    let session_connection = prop::sample::select(&["", "c=IN IP4 198.51.100.1\r\n"][..]);
    (session_connection, prop::collection::vec(section, 1..4)).prop_map(|(connection, sections)| {
        format!("v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\n{connection}{}", sections.concat())
    })
}

fn joined(lines: &[&str]) -> String {
    lines.iter().fold(String::new(), |text, line| text + line + "\r\n")
}

fn placements() -> impl Strategy<Value = Vec<Option<Placement>>> {
    let placement =
        (prop::bool::ANY, 1024..65_000_u16, prop::bool::ANY).prop_map(|(v6, rtp, rtcp_mux)| Placement {
            address: if v6 { "2001:db8::9" } else { "192.0.2.9" }.parse().expect("an address"),
            rtp,
            rtcp: rtp + 1,
            rtcp_mux,
            profile: None,
        });
    prop::collection::vec(prop::option::weighted(0.8, placement), 0..5)
}

fn options() -> impl Strategy<Value = RewriteOptions> {
    (prop::bool::ANY, prop::bool::ANY).prop_map(|(origin, session)| RewriteOptions {
        replace_origin: origin,
        replace_session_connection: session,
        ..RewriteOptions::default()
    })
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = description_untrusted(&bytes);
    }

    #[test]
    fn any_lines_are_parsed_or_refused_and_rewritten(
        text in "(v=0\r?\n)?([a-z]=[ -~]{0,40}\r?\n|m=audio [0-9]{0,6} RTP/AVP [0-9 ]{0,9}\n|c=IN IP[46] [0-9a-f:.]{0,15}\n){0,12}",
        placements in placements(),
        options in options(),
    ) {
        if let Ok(description) = description_untrusted(text.as_bytes()) {
            let rewritten = rewrite(&description, &placements, &options);
            prop_assert!(description_untrusted(&rewritten).is_ok(), "{}", String::from_utf8_lossy(&rewritten));
        }
    }

    #[test]
    fn no_relayed_stream_leads_past_the_relay(sdp in sdp(), placements in placements(), options in options()) {
        let Ok(before) = description_untrusted(sdp.as_bytes()) else { return Ok(()) };
        let rewritten = rewrite(&before, &placements, &options);
        let text = String::from_utf8_lossy(&rewritten);
        let after = description_untrusted(&rewritten).expect("what is rewritten is SDP");
        prop_assert_eq!(after.media().len(), before.media().len());
        for (index, (section, old)) in after.media().iter().zip(before.media()).enumerate() {
            let placement = placements.get(index).copied().flatten();
            match placement.filter(|_| old.relayed && !old.disabled) {
                Some(placement) => {
                    prop_assert_eq!(section.port, placement.rtp, "{}", text);
                    let held = section.address.is_some_and(|address| address.is_unspecified());
                    prop_assert!(held || section.address == Some(placement.address), "{}", text);
                    prop_assert_eq!(section.rtcp, old.rtp.then_some((None, placement.rtcp)), "{}", text);
                    prop_assert_eq!(section.rtcp_mux, old.rtp && placement.rtcp_mux, "{}", text);
                    prop_assert_eq!(section.direction, old.direction, "{}", text);
                }
                None if old.relayed => prop_assert!(section.disabled, "{}", text),
                None => {
                    prop_assert_eq!((section.port, section.address), (old.port, old.address), "{}", text);
                }
            }
        }
    }
}
