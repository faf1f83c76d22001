//! How a request's number is written into the `ng` cookie.

use mediaha_failover::Cookie;

const PREFIX: &[u8] = b"mh";
const DIGITS: usize = 16;

/// The cookie as text, the same for each retransmission.
pub(super) fn to_text(Cookie(number): Cookie) -> Vec<u8> {
    format!("mh{number:016x}").into_bytes()
}

/// The number in a cookie; `None` when it is not one of ours.
pub(super) fn from_text_untrusted(text: &[u8]) -> Option<Cookie> {
    let digits = text.strip_prefix(PREFIX)?;
    if digits.len() != DIGITS || !digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let digits = std::str::from_utf8(digits).ok()?;
    u64::from_str_radix(digits, 16).ok().map(Cookie)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_comes_back_as_the_number_it_was() {
        for number in [0, 1, 0x1234_5678_9abc_def0, u64::MAX] {
            assert_eq!(from_text_untrusted(&to_text(Cookie(number))), Some(Cookie(number)));
        }
    }

    #[test]
    fn what_is_not_ours_is_nobodys() {
        for text in [
            &b""[..],
            b"mh",
            b"mh+00000000000001",
            b"mhFFFFFFFFFFFFFFFF",
            b"xx0000000000000001",
            b"mh00000000000000001",
        ] {
            assert_eq!(from_text_untrusted(text), None, "{text:?}");
        }
    }
}
