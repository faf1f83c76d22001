//! SIP messages.

use std::ops::Range;

use mediaha_sip::{
    Encoding, Field, Headers, Reading, SizeLimits, Start, Text, first_of, name_addr_untrusted, read_untrusted,
    response_headers, uri_untrusted, write,
};

const LIMITS: SizeLimits = SizeLimits { head_bytes_max: 32 * 1024, headers_max: 200 };

/// A datagram is read or refused; what was read is written so that it reads the same, and what is answered can be read.
pub fn check_sip(bytes: &[u8]) {
    match read_untrusted(bytes, &LIMITS) {
        Ok(message) => {
            check_round_trip(&message, bytes);
            check_contact(&message.headers);
            if matches!(message.start, Start::Request { .. }) {
                let answer = answer(&message.headers, message.encoding);
                assert!(read_untrusted(&answer, &LIMITS).is_ok() || answer.len() > LIMITS.head_bytes_max);
            }
        }
        Err(refused) => {
            assert!((400..600).contains(&refused.status));
            if let Some(request) = refused.request {
                assert!(matches!(request.start, Start::Request { .. }));
                answer(&request.headers, request.encoding);
            }
        }
    }
}

fn check_round_trip(message: &Reading, bytes: &[u8]) {
    let written = written(message, bytes, message.body.clone());
    // Compact names stay as they are, but a Content-Length may be added: a head near the limit may cross it.
    let Ok(again) = read_untrusted(&written, &LIMITS) else {
        assert!(written.len() > LIMITS.head_bytes_max || message.headers.fields().len() >= LIMITS.headers_max);
        return;
    };
    assert_eq!((&again.start, &again.headers), (&message.start, &message.headers));
    assert_eq!((&again.via, &again.from, &again.to), (&message.via, &message.from, &message.to));
    assert_eq!((&again.cseq, &written[again.body.clone()]), (&message.cseq, &bytes[message.body.clone()]));
}

fn written(message: &Reading, bytes: &[u8], body: Range<usize>) -> Vec<u8> {
    write(&message.start, &message.headers, &bytes[body], message.encoding)
        .expect("what was read has no line breaks")
}

fn check_contact(headers: &Headers) {
    let Some(first) = headers.first("Contact").and_then(|value| first_of(value).ok()) else { return };
    let Ok(contact) = name_addr_untrusted(&Text::from(first)) else { return };
    if let Ok(uri) = uri_untrusted(&contact.uri) {
        assert_eq!(uri_untrusted(&Text::from(uri.to_string())), Ok(uri));
    }
}

fn answer(request: &Headers, encoding: Encoding) -> Vec<u8> {
    let more = || [Field::new("Retry-After", "5")];
    let headers = response_headers(request, 503, Some("ours"), more());
    // A To that cannot be read is copied as it is.
    let headers =
        headers.or_else(|_| response_headers(request, 503, None, more())).expect("nothing is added to To");
    let start = Start::Response { status: 503, reason: Text::from("Service Unavailable") };
    write(&start, &headers, b"", encoding).expect("what was read has no line breaks")
}
