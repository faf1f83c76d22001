//! Codecs that are taken out of an offer, so that the other party is not shown them.

use mediaha_ng::Codecs;

use super::description::{Description, MediaSection};
use super::payload::static_encoding;
use super::rtpmap::payload_type_untrusted;

impl Description {
    /// Takes out the formats of RTP that `codecs` names. A stream of which nothing would be left keeps all: one that nobody could
    /// answer is no use.
    pub fn strip(&mut self, codecs: &Codecs) {
        if codecs.strip.is_empty() {
            return;
        }
        for index in 0..self.media().len() {
            let section = &self.media()[index];
            if !section.rtp {
                continue;
            }
            let encodings = section.formats.iter().map(|format| self.encoding(section, format));
            let encoded: Vec<_> = section.formats.iter().cloned().zip(encodings).collect();
            let (kept, stripped) = kept(&encoded, codecs);
            if !kept.is_empty() {
                self.keep(index, kept, stripped);
            }
        }
    }

    /// What a payload type means, such as `opus/48000/2`; nothing when nobody has said it.
    fn encoding(&self, section: &MediaSection, format: &[u8]) -> Vec<u8> {
        let number = payload_type_untrusted(format);
        let said = self.rtpmaps(section).find(|it| Some(it.payload_type) == number).map(|it| it.encoding);
        said.or(static_encoding(format).map(str::as_bytes)).unwrap_or_default().to_vec()
    }
}

type Formats = Vec<Vec<u8>>;

/// The formats that stay, and those that do not.
fn kept(encoded: &[(Vec<u8>, Vec<u8>)], codecs: &Codecs) -> (Formats, Formats) {
    let all =
        codecs.strip.iter().any(|name| [&b"all"[..], b"full"].iter().any(|all| name.eq_ignore_ascii_case(all)));
    let is_of = |names: &[Vec<u8>], encoding: &[u8]| names.iter().position(|name| names_codec(name, encoding));
    // In the order of what is to be offered, if nothing else is; as it was otherwise.
    let rank = |encoding: &[u8]| -> Option<usize> {
        if all {
            let excepted = is_of(&codecs.except, encoding).map(|_| codecs.offer.len());
            return is_of(&codecs.offer, encoding).or(excepted);
        }
        (is_of(&codecs.strip, encoding).is_none() || is_of(&codecs.except, encoding).is_some()).then_some(0)
    };
    let (mut kept, mut stripped) = (Vec::new(), Vec::new());
    for (format, encoding) in encoded {
        match rank(encoding) {
            Some(rank) => kept.push((rank, format.clone())),
            None => stripped.push(format.clone()),
        }
    }
    kept.sort_by_key(|(rank, _)| *rank);
    (kept.into_iter().map(|(_, format)| format).collect(), stripped)
}

/// Whether `name`, which may leave out the rate and the channels, is this codec's.
fn names_codec(name: &[u8], encoding: &[u8]) -> bool {
    let mut parts = encoding.split(|byte| *byte == b'/');
    !encoding.is_empty()
        && name
            .split(|byte| *byte == b'/')
            .all(|part| parts.next().is_some_and(|it| it.eq_ignore_ascii_case(part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codec_is_named_with_or_without_its_rate() {
        assert!(names_codec(b"opus", b"opus/48000/2") && names_codec(b"OPUS/48000", b"opus/48000/2"));
        assert!(!names_codec(b"opus/16000", b"opus/48000/2") && !names_codec(b"opus/48000/2/1", b"opus/48000/2"));
        assert!(
            !names_codec(b"G722", b"G7221/16000") && !names_codec(b"", b"") && !names_codec(b"", b"PCMU/8000")
        );
    }
}
