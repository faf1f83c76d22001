//! What holds for any bytes and any value.

use mediaha_ng::*;
use proptest::prelude::*;

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::Text),
        any::<i64>().prop_map(Value::Integer)
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
            entries(inner).prop_map(Value::Dictionary)
        ]
    })
}

fn entries(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Dictionary> {
    prop::collection::btree_map(prop::collection::vec(any::<u8>(), 0..12), values, 0..6)
        .prop_map(|entries| entries.into_iter().collect())
}

/// The same with texts that JSON can carry.
fn value_of_utf8() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![".{0,20}".prop_map(Value::from), any::<i64>().prop_map(Value::Integer)];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
            prop::collection::btree_map(".{0,12}", inner, 0..6).prop_map(|entries| Value::Dictionary(
                entries.into_iter().map(|(key, value)| (key.into_bytes(), value)).collect()
            ))
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = datagram_untrusted(&bytes);
    }

    #[test]
    fn anything_like_bencode_is_parsed_or_refused(body in "d(1:[a-z]|[0-9]{1,3}:|[dlie]|i-?[0-9]{0,20}e|[ -~]){0,40}") {
        if let Ok(datagram) = datagram_untrusted(format!("c {body}").as_bytes()) {
            let _ = (request_untrusted(&datagram.body), reply_untrusted(&datagram.body));
            prop_assert_eq!(datagram_untrusted(&datagram.to_bytes()), Ok(datagram));
        }
    }

    #[test]
    fn bencode_reads_what_it_wrote(body in entries(value())) {
        let datagram = Datagram { cookie: b"c".to_vec(), encoding: Encoding::Bencode, body };
        prop_assert_eq!(datagram_untrusted(&datagram.to_bytes()), Ok(datagram));
    }

    #[test]
    fn json_reads_what_it_wrote(value in value_of_utf8()) {
        let body = Dictionary::new().with("value", value);
        let datagram = Datagram { cookie: b"c".to_vec(), encoding: Encoding::Json, body };
        prop_assert_eq!(datagram_untrusted(&datagram.to_bytes()), Ok(datagram));
    }

    #[test]
    fn a_typed_request_is_read_as_it_was_written(
        command in prop::sample::select(&["ping", "offer", "answer", "delete", "query", "list", "statistics", "x"][..]),
        keys in prop::collection::vec((
            prop::sample::select(&["call-id", "from-tag", "to-tag", "via-branch", "sdp", "flags", "replace", "direction",
                "received-from", "limit", "delete delay", "rtcp-mux", "supports", "ICE", "address family"][..]),
            prop_oneof!["[a-z ]{0,6}".prop_map(Value::from), value()],
        ), 0..12),
    ) {
        let mut body = Dictionary::new().with("command", command);
        for (key, value) in keys {
            body.set(key, value);
        }
        if let Ok(request) = request_untrusted(&body) {
            prop_assert_eq!(request_untrusted(&request.to_dictionary()), Ok(request));
        }
    }
}
