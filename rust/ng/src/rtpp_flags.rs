//! `rtpp-flags`: the options in one line of text, as a proxy's configuration has them. Newer Kamailio (`rtpengine_offer` with a branch
//! as its second argument) passes that line on unread.
//!
//! ```text
//!   replace-origin replace-session-connection trust-address ICE=remove direction=pub direction=priv
//! ```
//!
//! A word with a value is a key, one without is a flag; some keys hold lists.

use crate::fields;
use crate::value::{Dictionary, Value};

/// Keys that hold lists, which are also written `key-value`.
const LISTS: [&str; 4] = ["replace", "direction", "rtcp-mux", "received-from"];

/// The body with the words of its `rtpp-flags` where they would be if the proxy had read them; `None` if it has no such line.
/// What the body says itself stays.
pub(crate) fn spread(body: &Dictionary) -> Option<Dictionary> {
    fields::value(body, "rtpp flags")?;
    let (mut spread, mut flags) = (body.clone(), Vec::new());
    let mut lists: [Vec<Value>; LISTS.len()] = Default::default();
    for word in fields::words(body, "rtpp flags").take(WORDS_MAX) {
        let (key, value) = match word.iter().position(|byte| *byte == b'=') {
            Some(place) => (&word[..place], Some(&word[place + 1..])),
            None => (word, None),
        };
        if let Some((list, item)) = list_and_item(key, value) {
            lists[list].push(Value::from(item));
        } else if let Some(value) = value {
            if fields::value(body, &String::from_utf8_lossy(key)).is_none() {
                spread.set(key, value);
            }
        } else {
            flags.push(Value::from(key));
        }
    }
    let lists = LISTS.into_iter().zip(lists).chain([("flags", flags)]);
    for (key, items) in lists {
        let own = fields::words(body, key).map(Value::from).collect::<Vec<_>>();
        fields::set_list(&mut spread, key, [own, items].concat());
    }
    Some(spread)
}

/// `replace=origin` and `replace-origin` are an item of a list.
fn list_and_item<'a>(key: &'a [u8], value: Option<&'a [u8]>) -> Option<(usize, &'a [u8])> {
    LISTS.into_iter().enumerate().find_map(|(index, list)| match value {
        Some(value) => (key == list.as_bytes()).then_some((index, value)),
        None => Some((index, key.strip_prefix(list.as_bytes())?.strip_prefix(b"-")?)),
    })
}

/// How many words are read; the rest is passed over.
const WORDS_MAX: usize = 128;
