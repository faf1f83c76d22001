//! What clients ask for and this server does not do. rtpengine's clients expect what is not known to be passed over; whoever runs the
//! server is told of it, each word once.

use std::collections::HashSet;

use mediaha_ng::Options;

/// How many words are told; who sends more tells nothing that a person would read.
const WORDS_MAX: usize = 64;
/// How much of a word.
const WORD_BYTES_MAX: usize = 64;

/// The words that were told, and those that are still to be.
#[derive(Debug, Default)]
pub(super) struct PassedOver {
    told: HashSet<Vec<u8>>,
    fresh: Vec<Vec<u8>>,
}

impl PassedOver {
    /// Takes note of what `options` ask for in vain.
    pub(super) fn note(&mut self, options: &Options) {
        let named = [
            ("media handover", options.media_handover),
            ("asymmetric", options.asymmetric),
            ("ICE other than remove", options.ice.as_ref().is_some_and(|ice| ice != b"remove")),
        ];
        let named = named.into_iter().filter(|(_, asked)| *asked).map(|(word, _)| word.as_bytes());
        let unknown = options.unknown_flags.iter().chain(&options.unknown_keys).map(Vec::as_slice);
        for word in unknown.chain(named).map(|word| &word[..word.len().min(WORD_BYTES_MAX)]) {
            if self.told.len() < WORDS_MAX && !self.told.contains(word) {
                self.told.insert(word.to_vec());
                self.fresh.push(word.to_vec());
            }
        }
    }

    /// The words that were not told yet.
    pub(super) fn take(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.fresh)
    }
}
