//! What `a=rtpmap` says of payload types (RFC 8866 §6.6): the only place where it is read.

use super::attribute::{Attribute, PayloadAttribute};
use super::description::{Description, MediaSection};

/// One payload type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtpmap<'a> {
    /// 0..=127.
    pub payload_type: u8,
    /// Such as `opus/48000/2`.
    pub encoding: &'a [u8],
}

impl Rtpmap<'_> {
    /// The clock rate in Hz; `None` when its author has not said it.
    #[must_use]
    pub fn hertz(&self) -> Option<u32> {
        let rate = self.encoding.split(|byte| *byte == b'/').nth(1)?;
        std::str::from_utf8(rate).ok()?.parse().ok()
    }

    /// Whether it carries telephone events (RFC 4733 §2.4).
    #[must_use]
    pub fn is_event(&self) -> bool {
        let name = self.encoding.split(|byte| *byte == b'/').next();
        name.is_some_and(|name| name.eq_ignore_ascii_case(b"telephone-event"))
    }
}

impl Description {
    /// The payload types that `a=rtpmap` describes in a section, in order; of what is said twice the first. Lines that are no
    /// rtpmap of an RTP payload type are passed over.
    pub fn rtpmaps<'a>(&'a self, section: &'a MediaSection) -> impl Iterator<Item = Rtpmap<'a>> + 'a {
        let mut described = 0_u128;
        self.section_lines(section).filter_map(rtpmap_untrusted).filter(move |it| {
            let bit = 1 << it.payload_type;
            let first = described & bit == 0;
            described |= bit;
            first
        })
    }
}

/// `a=rtpmap:96 opus/48000/2` gives 96 and the rest.
fn rtpmap_untrusted(line: &[u8]) -> Option<Rtpmap<'_>> {
    let Some(Attribute::Payload(PayloadAttribute::Rtpmap, format)) = Attribute::of(line) else { return None };
    let payload_type = payload_type_untrusted(format)?;
    let encoding = line.splitn(2, |byte| *byte == b' ').nth(1)?.trim_ascii();
    (!encoding.is_empty()).then_some(Rtpmap { payload_type, encoding })
}

/// The number of a format, as it is written in one way only: so that formats are the same exactly when their numbers are.
pub(super) fn payload_type_untrusted(format: &[u8]) -> Option<u8> {
    let digits = format.iter().all(u8::is_ascii_digit) && (format.len() == 1 || format.first() != Some(&b'0'));
    let number: u8 = std::str::from_utf8(format).ok().filter(|_| digits)?.parse().ok()?;
    (number < 128).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_rtpmap_says_anything() {
        let said = |line| rtpmap_untrusted(line).map(|it| (it.payload_type, it.hertz(), it.is_event()));
        assert_eq!(said(b"a=rtpmap:96 opus/48000/2"), Some((96, Some(48_000), false)));
        assert_eq!(said(b"a=rtpmap:0  PCMU/8000 "), Some((0, Some(8_000), false)));
        assert_eq!(said(b"a=rtpmap:101 Telephone-Event/8000"), Some((101, Some(8_000), true)));
        assert_eq!(said(b"a=rtpmap:96 opus"), Some((96, None, false)));
        assert_eq!(said(b"a=rtpmap:96 t\xe9l\xe9/8000"), Some((96, Some(8_000), false)));
        for other in [
            &b"a=rtpmap:200 X/8000"[..],
            b"a=rtpmap:128 X/8000",
            b"a=rtpmap:096 X/8000",
            b"a=rtpmap:+96 X/8000",
            b"a=rtpmap: 96 X/8000",
            b"a=rtpmap:96",
            b"a=rtpmap:96 ",
            b"a=rtpmap: X/8000",
            b"a=fmtp:96 x/8000",
            b"\xff",
        ] {
            assert_eq!(rtpmap_untrusted(other), None, "{}", other.escape_ascii());
        }
    }
}
