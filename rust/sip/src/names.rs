//! Header names, their compact forms, and reason phrases, as RFC 3261 and its extensions spell them.

use crate::text::Text;

/// The usual spellings with the names under which headers are looked up.
const USUAL: [(&str, &str); 39] = [
    ("Via", "via"),
    ("To", "to"),
    ("From", "from"),
    ("CSeq", "cseq"),
    ("Call-ID", "call-id"),
    ("Contact", "contact"),
    ("Max-Forwards", "max-forwards"),
    ("Content-Type", "content-type"),
    ("Content-Length", "content-length"),
    ("Allow", "allow"),
    ("Supported", "supported"),
    ("Require", "require"),
    ("Route", "route"),
    ("Record-Route", "record-route"),
    ("User-Agent", "user-agent"),
    ("Server", "server"),
    ("Subject", "subject"),
    ("Session-Expires", "session-expires"),
    ("Min-SE", "min-se"),
    ("Timestamp", "timestamp"),
    ("Reason", "reason"),
    ("RSeq", "rseq"),
    ("RAck", "rack"),
    ("Retry-After", "retry-after"),
    ("Accept", "accept"),
    ("Expires", "expires"),
    ("Authorization", "authorization"),
    ("Proxy-Authorization", "proxy-authorization"),
    ("WWW-Authenticate", "www-authenticate"),
    ("Proxy-Authenticate", "proxy-authenticate"),
    ("P-Asserted-Identity", "p-asserted-identity"),
    ("Privacy", "privacy"),
    ("Refer-To", "refer-to"),
    ("Referred-By", "referred-by"),
    ("Replaces", "replaces"),
    ("Event", "event"),
    ("Subscription-State", "subscription-state"),
    ("Allow-Events", "allow-events"),
    ("Warning", "warning"),
];

const COMPACT: [(&str, &str); 20] = [
    ("a", "accept-contact"),
    ("b", "referred-by"),
    ("c", "content-type"),
    ("d", "request-disposition"),
    ("e", "content-encoding"),
    ("f", "from"),
    ("i", "call-id"),
    ("j", "reject-contact"),
    ("k", "supported"),
    ("l", "content-length"),
    ("m", "contact"),
    ("n", "identity-info"),
    ("o", "event"),
    ("r", "refer-to"),
    ("s", "subject"),
    ("t", "to"),
    ("u", "allow-events"),
    ("v", "via"),
    ("x", "session-expires"),
    ("y", "identity"),
];

/// Headers of which a message may hold one only; a second is an error and not a choice (RFC 4475 section 3.3.8).
pub(crate) const SINGLE: [&str; 9] =
    ["call-id", "content-length", "content-type", "cseq", "expires", "from", "max-forwards", "min-expires", "to"];

/// A header's name as it is written, and the one under which it is looked up: lower case, compact forms written out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) key: Text,
    pub(crate) written: Text,
}

/// The name of a header of ours.
pub(crate) fn name_of(name: &str) -> Name {
    usual(name).unwrap_or_else(|| Name { key: key_of(name), written: Text::from(name) })
}

/// A name from the network, a part of `line`; None when it is no token.
pub(crate) fn name_untrusted(name: &str, line: &Text) -> Option<Name> {
    usual(name).or_else(|| is_token(name).then(|| Name { key: key_of(name), written: line.part(name) }))
}

/// The name under which a header is looked up.
#[must_use]
pub fn key_of(name: &str) -> Text {
    if let Some(name) = usual(name) {
        return name.key;
    }
    let lower = name.to_lowercase();
    let known =
        USUAL.iter().chain(&COMPACT).find(|(spelt, key)| *key == lower || (spelt.len() == 1 && *spelt == lower));
    known.map_or_else(|| Text::from(lower), |(_, key)| Text::fixed(key))
}

fn usual(name: &str) -> Option<Name> {
    let (written, key) = USUAL.iter().find(|(spelt, _)| *spelt == name)?;
    Some(Name { key: Text::fixed(key), written: Text::fixed(written) })
}

/// Whether the text is a `token` of the grammar: a method, a tag, the name of a header or a parameter.
#[must_use]
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte))
}

/// The reason phrase of a status code; of its class when the code is unknown (section 8.1.3.2).
#[must_use]
pub fn reason_of(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        305 => "Use Proxy",
        380 => "Alternative Service",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 | 606 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        485 => "Ambiguous",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        493 => "Undecipherable",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        580 => "Precondition Failure",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        _ if !status.is_multiple_of(100) => reason_of(status / 100 * 100),
        _ => "Unknown",
    }
}
