//! Which codecs of an offer the other party is not shown: `codec: {strip, offer, except}`, or `codec-strip-G722` among the flags.

use crate::fields;
use crate::value::{Dictionary, Value};

/// Names such as `G722`, `opus/48000/2`, or `all`; bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codecs {
    /// `strip`: these are taken out.
    pub strip: Vec<Vec<u8>>,
    /// `offer`: of all that is taken out, these stay, in this order.
    pub offer: Vec<Vec<u8>>,
    /// `except`: these stay.
    pub except: Vec<Vec<u8>>,
}

/// How many names of a kind are read; the rest is passed over.
const NAMES_MAX: usize = 64;

impl Codecs {
    pub(crate) fn from_dictionary(dictionary: &Dictionary) -> Self {
        let mut codecs = Self::default();
        if let Some(listed) = fields::value(dictionary, "codec").and_then(Value::dictionary) {
            for (kind, names) in codecs.kinds() {
                names.extend(fields::words(listed, kind).take(NAMES_MAX).map(<[u8]>::to_vec));
            }
        }
        codecs
    }

    /// Takes a flag such as `codec-strip-G722`; false if it is none of these.
    pub(crate) fn flag(&mut self, word: &[u8]) -> bool {
        let Some((prefix, rest)) = word.split_at_checked("codec-".len()) else { return false };
        if !fields::same_word(prefix, "codec ") {
            return false;
        }
        for (kind, names) in self.kinds() {
            let Some((start, name)) = rest.split_at_checked(kind.len() + 1) else { continue };
            if fields::same_word(start, &format!("{kind} ")) && !name.is_empty() && names.len() < NAMES_MAX {
                names.push(name.to_vec());
                return true;
            }
        }
        false
    }

    pub(crate) fn write_to(&self, dictionary: &mut Dictionary) {
        let mut listed = Dictionary::new();
        for (kind, names) in [("strip", &self.strip), ("offer", &self.offer), ("except", &self.except)] {
            fields::set_list(&mut listed, kind, names.iter().cloned().map(Value::Text).collect());
        }
        if !listed.is_empty() {
            dictionary.set("codec", listed);
        }
    }

    fn kinds(&mut self) -> [(&'static str, &mut Vec<Vec<u8>>); 3] {
        [("strip", &mut self.strip), ("offer", &mut self.offer), ("except", &mut self.except)]
    }
}
