//! How fast the timestamps of each payload type run (RFC 8866 §6.6).

use super::description::{Description, MediaSection};

impl Description {
    /// The payload types that `a=rtpmap` describes in a section, with their clock rates in Hz, in order. Lines that
    /// are no rtpmap of an RTP payload type are passed over.
    pub fn clock_rates<'a>(&'a self, section: &'a MediaSection) -> impl Iterator<Item = (u8, u32)> + 'a {
        self.section_lines(section).filter_map(clock_rate)
    }
}

/// `a=rtpmap:96 opus/48000/2` gives 96 and 48000.
fn clock_rate(line: &[u8]) -> Option<(u8, u32)> {
    let text = std::str::from_utf8(line).ok()?.strip_prefix("a=rtpmap:")?;
    let (payload_type, encoding) = text.split_once(' ')?;
    let hertz = encoding.trim().split('/').nth(1)?;
    Some((payload_type.parse().ok().filter(|it| *it < 128)?, hertz.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_rtpmap_says_a_rate() {
        assert_eq!(clock_rate(b"a=rtpmap:96 opus/48000/2"), Some((96, 48_000)));
        assert_eq!(clock_rate(b"a=rtpmap:0 PCMU/8000"), Some((0, 8_000)));
        for other in
            [&b"a=rtpmap:200 X/8000"[..], b"a=rtpmap:96 opus", b"a=rtpmap:96", b"a=fmtp:96 x/8000", b"\xff"]
        {
            assert_eq!(clock_rate(other), None);
        }
    }
}
