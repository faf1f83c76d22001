//! What an offer or answer asks for and this crate has no name for, so that whoever reads the log learns that it is not done.

use crate::fields;
use crate::value::{Dictionary, Value};

/// The keys that have a meaning in an offer or answer, and those that say nothing about its media.
const KNOWN: [&str; 24] = [
    "command",
    "call id",
    "from tag",
    "to tag",
    "via branch",
    "sdp",
    "answer sdp",
    "flags",
    "rtpp flags",
    "replace",
    "rtcp mux",
    "supports",
    "address family",
    "direction",
    "received from",
    "media address",
    "transport protocol",
    "ice",
    "label",
    "codec",
    "metadata",
    "xmlrpc callback",
    "cookie",
    "delete delay",
];
/// How many are kept; the rest is passed over.
const KEYS_MAX: usize = 32;

/// The keys that nobody reads, each once, with what is asked of codecs as `codec-transcode` and its like.
pub(crate) fn keys(dictionary: &Dictionary) -> Vec<Vec<u8>> {
    let codecs = fields::value(dictionary, "codec").and_then(Value::dictionary);
    let kinds = codecs.into_iter().flat_map(Dictionary::iter).map(|(kind, _)| kind);
    let kinds =
        kinds.filter(|kind| !["strip", "offer", "except"].iter().any(|known| fields::same_word(kind, known)));
    let keys = dictionary.iter().filter(|(key, value)| !is_known(key) && !is_off(key, value)).map(|(key, _)| key);
    let mut unknown = Vec::new();
    for key in keys.map(<[u8]>::to_vec).chain(kinds.map(|kind| [b"codec-", kind].concat())) {
        if unknown.len() < KEYS_MAX && !key.is_empty() && !unknown.contains(&key) {
            unknown.push(key);
        }
    }
    unknown
}

/// Asks for them again, whatever their values were.
pub(crate) fn write(keys: &[Vec<u8>], dictionary: &mut Dictionary) {
    for key in keys {
        dictionary.set(key.clone(), 1_u32);
    }
}

fn is_known(key: &[u8]) -> bool {
    KNOWN.iter().any(|known| fields::same_word(key, known))
}

/// That there is to be no DTLS is said of calls that have none.
fn is_off(key: &[u8], value: &Value) -> bool {
    fields::same_word(key, "dtls") && value.text() == Some(b"off")
}
