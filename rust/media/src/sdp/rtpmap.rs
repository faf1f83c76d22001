//! What `a=rtpmap` says of payload types (RFC 8866 §6.6): how fast their timestamps run, and which are telephone events.

use super::description::{Description, MediaSection};

/// One payload type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtpmap {
    /// 0..=127.
    pub payload_type: u8,
    /// The clock rate in Hz.
    pub hertz: u32,
    /// It carries telephone events (RFC 4733 §2.4).
    pub event: bool,
}

impl Description {
    /// The payload types that `a=rtpmap` describes in a section, in order. Lines that are no rtpmap of an RTP payload type are
    /// passed over.
    pub fn rtpmaps<'a>(&'a self, section: &'a MediaSection) -> impl Iterator<Item = Rtpmap> + 'a {
        self.section_lines(section).filter_map(rtpmap)
    }
}

/// `a=rtpmap:96 opus/48000/2` gives 96 and 48000.
fn rtpmap(line: &[u8]) -> Option<Rtpmap> {
    let text = std::str::from_utf8(line).ok()?.strip_prefix("a=rtpmap:")?;
    let (payload_type, encoding) = text.split_once(' ')?;
    let mut parts = encoding.trim().split('/');
    let event = parts.next()?.eq_ignore_ascii_case("telephone-event");
    let hertz = parts.next()?.parse().ok()?;
    let payload_type = payload_type.parse().ok().filter(|it| *it < 128)?;
    Some(Rtpmap { payload_type, hertz, event })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_rtpmap_says_anything() {
        let said = |payload_type, hertz, event| Some(Rtpmap { payload_type, hertz, event });
        assert_eq!(rtpmap(b"a=rtpmap:96 opus/48000/2"), said(96, 48_000, false));
        assert_eq!(rtpmap(b"a=rtpmap:0 PCMU/8000"), said(0, 8_000, false));
        assert_eq!(rtpmap(b"a=rtpmap:101 Telephone-Event/8000"), said(101, 8_000, true));
        for other in
            [&b"a=rtpmap:200 X/8000"[..], b"a=rtpmap:96 opus", b"a=rtpmap:96", b"a=fmtp:96 x/8000", b"\xff"]
        {
            assert_eq!(rtpmap(other), None);
        }
    }
}
