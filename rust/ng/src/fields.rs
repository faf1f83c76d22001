//! How keys and words are found: clients write `received from`, `received-from` and `received_from` alike.

use crate::value::{Dictionary, Value};

/// The value of `key` (given with spaces, as the protocol's documents do), however its words are joined.
pub(crate) fn value<'a>(dictionary: &'a Dictionary, key: &str) -> Option<&'a Value> {
    dictionary
        .get(key)
        .or_else(|| dictionary.iter().find(|(name, _)| same_word(name, key)).map(|(_, value)| value))
}

/// The text of `key`, unless it is empty: an empty tag is no tag.
pub(crate) fn text<'a>(dictionary: &'a Dictionary, key: &str) -> Option<&'a [u8]> {
    value(dictionary, key).and_then(Value::text).filter(|text| !text.is_empty())
}

/// The texts in the list of `key`. A text in place of the list is taken for words with spaces between them.
pub(crate) fn words<'a>(dictionary: &'a Dictionary, key: &str) -> impl Iterator<Item = &'a [u8]> {
    let found = value(dictionary, key);
    let listed = found.and_then(Value::list).unwrap_or_default().iter().filter_map(Value::text);
    let spaced = found.and_then(Value::text).unwrap_or_default().split(|byte| *byte == b' ');
    listed.chain(spaced).filter(|word| !word.is_empty())
}

/// Sets `key` to the list, unless that is empty.
pub(crate) fn set_list(dictionary: &mut Dictionary, key: &str, items: Vec<Value>) {
    if !items.is_empty() {
        dictionary.set(key, items);
    }
}

/// Whether two words are the same but for case and for what joins their parts.
pub(crate) fn same_word(one: &[u8], other: &str) -> bool {
    one.len() == other.len() && one.iter().zip(other.bytes()).all(|(a, b)| normal_byte(*a) == normal_byte(b))
}

/// The word in small letters, its parts joined by spaces.
pub(crate) fn normal(word: &[u8]) -> Vec<u8> {
    word.iter().map(|byte| normal_byte(*byte)).collect()
}

fn normal_byte(byte: u8) -> u8 {
    match byte {
        b'-' | b'_' => b' ',
        other => other.to_ascii_lowercase(),
    }
}
