//! The rewriter against what rtpengine wrote for the same offers; `rtpengine.txt` says how that was recorded.

use super::super::{Placement, RewriteOptions, RtcpAttribute, description_untrusted, rewrite};

const RECORDED: &str = include_str!("rtpengine.txt");

/// One recorded case.
struct Case<'a> {
    name: &'a str,
    options: RewriteOptions,
    offer: String,
    placements: Vec<Option<Placement>>,
    rewritten: String,
}

#[test]
fn sdp_is_rewritten_as_rtpengine_does() {
    let mut cases = 0;
    for case in RECORDED.split("\n== ").skip(1).map(Case::parse) {
        let description = description_untrusted(case.offer.as_bytes()).expect(case.name);
        let rewritten = rewrite(&description, &case.placements, &case.options);
        assert_eq!(String::from_utf8_lossy(&rewritten), case.rewritten, "{}", case.name);
        cases += 1;
    }
    assert!(cases > 30, "the recording must be read to its end, not only {cases} cases of it");
}

#[test]
fn rewriting_what_was_rewritten_changes_nothing_more() {
    for case in RECORDED.split("\n== ").skip(1).map(Case::parse) {
        let description = description_untrusted(case.rewritten.as_bytes()).expect(case.name);
        let rewritten = rewrite(&description, &case.placements, &case.options);
        assert_eq!(String::from_utf8_lossy(&rewritten), case.rewritten, "{}", case.name);
    }
}

impl<'a> Case<'a> {
    fn parse(text: &'a str) -> Self {
        let (name, rest) = text.split_once("\n-- options\n").expect(text);
        let (options, rest) = rest.split_once("-- offer\n").expect(name);
        let (offer, rest) = rest.split_once("-- placed\n").expect(name);
        let (placed, rewritten) = rest.split_once("-- rewritten\n").expect(name);
        Self {
            name,
            options: rewrite_options(options),
            offer: crlf(offer),
            placements: placed.lines().map(placement).collect(),
            rewritten: crlf(rewritten),
        }
    }
}

fn crlf(text: &str) -> String {
    text.lines().fold(String::new(), |text, line| text + line + "\r\n")
}

fn rewrite_options(words: &str) -> RewriteOptions {
    let has = |word: &str| words.lines().any(|line| line == word);
    let rtcp_attribute = match (has("no-rtcp-attribute"), has("full-rtcp-attribute")) {
        (true, _) => RtcpAttribute::Absent,
        (_, true) => RtcpAttribute::Full,
        _ => RtcpAttribute::Port,
    };
    RewriteOptions {
        replace_zero_address: false,
        replace_origin: has("replace-origin"),
        replace_session_connection: has("replace-session-connection"),
        rtcp_attribute,
        address: words.lines().find_map(|line| line.strip_prefix("address ")?.parse().ok()),
        original_direction: false,
    }
}

fn placement(line: &str) -> Option<Placement> {
    let mut words = line.split(' ');
    let address = words.next().filter(|word| *word != "-")?.parse().expect(line);
    let mut port = || words.next().and_then(|word| word.parse().ok()).expect(line);
    Some(Placement { address, rtp: port(), rtcp: port(), rtcp_mux: words.next() == Some("mux"), profile: None })
}
