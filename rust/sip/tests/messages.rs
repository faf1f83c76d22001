//! Messages are read from bytes and written to bytes. `tests/sip` of the Python package tells the stories of RFC 3261 and
//! RFC 4475; here is what must hold for any bytes.

use mediaha_sip::{
    Encoding, Field, Headers, LineBreak, Reading, Refused, SizeLimits, Start, Text, name_addr_untrusted,
    read_untrusted, response_headers, uri_untrusted, via_untrusted, write,
};
use proptest::prelude::*;

const LIMITS: SizeLimits = SizeLimits { head_bytes_max: 2048, headers_max: 40 };

const INVITE: &str = "INVITE sip:bob@biloxi.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKnashds8\r\n\
    To: Bob <sip:bob@biloxi.com>\r\n\
    f: Alice <sip:alice@atlanta.com>;tag=1928301774\r\n\
    Call-ID: a84b4c76e66710\r\n\
    CSeq: 314159 INVITE\r\n\
    Record-Route: <sip:p1.test;lr>\r\n\
    Content-Length: 4\r\n\r\nbody";

fn read(text: &str) -> Result<Reading, Refused> {
    read_untrusted(text.as_bytes(), &LIMITS)
}

fn written(read: &Reading, data: &[u8]) -> Vec<u8> {
    write(&read.start, &read.headers, &data[read.body.clone()], read.encoding).expect("it was read")
}

#[test]
fn what_was_read_is_written_byte_for_byte() {
    let invite = read(INVITE).unwrap();
    assert_eq!(written(&invite, INVITE.as_bytes()), INVITE.as_bytes());
    assert_eq!(invite.via.branch.as_deref(), Some("z9hG4bKnashds8"));
    assert_eq!(invite.from.tag.as_deref(), Some("1928301774"));
    assert_eq!((invite.cseq.number, &*invite.cseq.method), (314_159, "INVITE"));
}

#[test]
fn a_name_in_latin_1_comes_back_as_it_came() {
    let (before, after) = INVITE.split_once("Bob").unwrap();
    let data = [before.as_bytes(), b"B\xf6b", after.as_bytes()].concat();
    let invite = read_untrusted(&data, &LIMITS).unwrap();
    assert_eq!(invite.encoding, Encoding::Latin1);
    assert_eq!(written(&invite, &data), data);
}

#[test]
fn a_response_copies_what_it_must_and_gets_our_tag() {
    let invite = read(INVITE).unwrap();
    let more = [Field::new("Contact", "<sip:us@here.test>")];
    let headers = response_headers(&invite.headers, 180, Some("ours"), more).unwrap();
    let names: Vec<&str> = headers.fields().iter().map(|field| &**field.name()).collect();
    assert_eq!(names, ["Via", "To", "f", "Call-ID", "CSeq", "Record-Route", "Contact"]);
    assert_eq!(headers.first("t").map(|to| &**to), Some("Bob <sip:bob@biloxi.com>;tag=ours"));
}

#[test]
fn a_value_of_ours_cannot_break_out_of_its_line() {
    let headers: Headers = [Field::new("Subject", "x\r\nRoute: <sip:evil.test>")].into_iter().collect();
    let start = Start::Response { status: 200, reason: Text::from("OK") };
    assert_eq!(write(&start, &headers, b"", Encoding::Utf8), Err(LineBreak));
}

#[test]
fn headers_that_may_be_there_once_are_not_chosen_from() {
    let twice = INVITE.replace("Record-Route: <sip:p1.test;lr>", "CSeq: 1 BYE");
    let refused = read(&twice).unwrap_err();
    assert_eq!((refused.status, &*refused.reason), (400, "More than one CSeq"));
    assert!(refused.request.is_some(), "its sender is told");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(data in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read_untrusted(&data, &LIMITS);
    }

    #[test]
    fn any_header_is_read_or_refused_and_what_was_read_reads_the_same(
        name in "[A-Za-z-]{1,12}|CSeq|Via|To|Content-Length",
        value in "[ -~é]{0,60}",
        at in 0_usize..8,
    ) {
        let mut lines: Vec<&str> = INVITE.split("\r\n").collect();
        let line = format!("{name}: {value}");
        lines.insert(1 + at % 7, &line);
        let data = lines.join("\r\n");
        if let Ok(first) = read(&data) {
            let again = written(&first, data.as_bytes());
            let second = read_untrusted(&again, &LIMITS).expect("what we write can be read");
            prop_assert_eq!(&first.headers, &second.headers);
            prop_assert_eq!(written(&second, &again), again);
        }
    }

    #[test]
    fn any_value_is_read_or_refused(value in "\\PC{0,80}|[a-z:@;=<>\", \\\\\\[\\]/.0-9]{0,80}") {
        let value = Text::from(value);
        let _ = via_untrusted(&value);
        if let Ok(address) = name_addr_untrusted(&value) {
            let _ = address.parameter("q");
            let _ = uri_untrusted(&address.uri);
        }
        if let Ok(uri) = uri_untrusted(&value) {
            // What is read is written so that it reads the same.
            let again = uri_untrusted(&Text::from(uri.to_string()));
            prop_assert_eq!(again.as_ref(), Ok(&uri));
        }
    }
}
