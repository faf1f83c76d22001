//! What a body is made of: texts, integers, lists and dictionaries, as bencode has them.

use std::fmt;

/// One value. Texts are bytes: SIP identifiers and SDP come in whatever encoding the other side speaks.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// A byte string.
    Text(Vec<u8>),
    /// An integer.
    Integer(i64),
    /// Values in order.
    List(Vec<Value>),
    /// Values by key.
    Dictionary(Dictionary),
}

impl Value {
    /// The bytes, if this is a text.
    #[must_use]
    pub fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if this is an integer or a text that spells one: clients write some numbers as texts.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Text(text) => std::str::from_utf8(text).ok()?.parse().ok(),
            _ => None,
        }
    }

    /// The items, if this is a list.
    #[must_use]
    pub fn list(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The dictionary, if this is one.
    #[must_use]
    pub fn dictionary(&self) -> Option<&Dictionary> {
        match self {
            Self::Dictionary(dictionary) => Some(dictionary),
            _ => None,
        }
    }
}

/// Values by key, in the order they were written. Of a key that occurs twice the first counts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Dictionary(Vec<(Vec<u8>, Value)>);

impl Dictionary {
    /// An empty dictionary.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The value of `key`, if there is one.
    #[must_use]
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<&Value> {
        let key = key.as_ref();
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The bytes of `key`, if it is there and a text.
    #[must_use]
    pub fn text(&self, key: impl AsRef<[u8]>) -> Option<&[u8]> {
        self.get(key).and_then(Value::text)
    }

    /// The number of `key`, if it is there and spells one.
    #[must_use]
    pub fn integer(&self, key: impl AsRef<[u8]>) -> Option<i64> {
        self.get(key).and_then(Value::integer)
    }

    /// Sets `key`: replaces its value where it stands, or adds it at the end.
    pub fn set(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Value>) {
        let (key, value) = (key.into(), value.into());
        match self.0.iter_mut().find(|(name, _)| *name == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
    }

    /// [`set`](Self::set), for building: `Dictionary::new().with("result", "ok")`.
    #[must_use]
    pub fn with(mut self, key: impl Into<Vec<u8>>, value: impl Into<Value>) -> Self {
        self.set(key, value);
        self
    }

    /// Keys and values in the order they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Value)> {
        self.0.iter().map(|(key, value)| (key.as_slice(), value))
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Entries as they come, without looking for a key that is there twice.
impl FromIterator<(Vec<u8>, Value)> for Dictionary {
    fn from_iter<I: IntoIterator<Item = (Vec<u8>, Value)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.as_bytes().to_vec())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into_bytes())
    }
}

impl From<&[u8]> for Value {
    fn from(text: &[u8]) -> Self {
        Self::Text(text.to_vec())
    }
}

impl From<Vec<u8>> for Value {
    fn from(text: Vec<u8>) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Integer(i64::from(number))
    }
}

/// Counters saturate at the largest integer the protocol has.
impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::List(items)
    }
}

impl From<Dictionary> for Value {
    fn from(dictionary: Dictionary) -> Self {
        Self::Dictionary(dictionary)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "\"{}\"", text.escape_ascii()),
            Self::Integer(number) => number.fmt(f),
            Self::List(items) => items.fmt(f),
            Self::Dictionary(dictionary) => dictionary.fmt(f),
        }
    }
}

impl fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(key, value)| (key.escape_ascii().to_string(), value))).finish()
    }
}
