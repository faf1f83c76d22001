//! Many requests in one datagram, and their replies in one: mediaha's own addition, for who has hundreds to send at once.
//!
//! ```text
//!   COOKIE d7:command6:bundle8:requestsl  <a request with its own cookie> … ee
//!   COOKIE d6:result2:ok7:repliesl        <the reply to it, under that cookie> … ee
//! ```
//!
//! Each text in the lists is what a datagram of its own would carry, so that a request which comes twice, in a bundle or by itself, is
//! carried out once, and one that fails does not harm the others. A server says in its pongs that it takes them, with
//! `adopts`.

use crate::value::{Dictionary, Value};
use crate::{COOKIE_BYTES_MAX, DATAGRAM_BYTES_MAX};

/// How many requests one bundle may carry; the rest is passed over, and asked again by itself.
pub const BUNDLED_MAX: usize = 64;
/// What the lengths around a request take.
const FRAME: usize = 8;
/// What the bundle itself takes.
const ENVELOPE: usize = COOKIE_BYTES_MAX + 64;

/// Requests or replies, put together until they are as long as a bundle is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    datagrams: Vec<Value>,
    bytes: usize,
}

impl Bundle {
    /// Adds a datagram, unless the bundle would be longer than `bytes_max` or has as many as it may; gives it back then.
    ///
    /// # Errors
    /// There is no room.
    pub fn add(&mut self, datagram: Vec<u8>, bytes_max: usize) -> Result<(), Vec<u8>> {
        let bytes = self.bytes + datagram.len() + FRAME;
        if self.datagrams.len() == BUNDLED_MAX || bytes + ENVELOPE > bytes_max.min(DATAGRAM_BYTES_MAX) {
            return Err(datagram);
        }
        self.bytes = bytes;
        self.datagrams.push(Value::Text(datagram));
        Ok(())
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// The bytes to send when it carries requests; one alone needs no bundle.
    #[must_use]
    pub fn into_requests(mut self, cookie: &[u8]) -> Vec<u8> {
        if let [Value::Text(alone)] = self.datagrams.as_mut_slice() {
            return std::mem::take(alone);
        }
        let body = Dictionary::new().with("command", "bundle").with("requests", self.datagrams);
        let mut bytes = [cookie, b" "].concat();
        crate::bencode::write_dictionary(&body, &mut bytes);
        bytes
    }

    /// The body of the answer to a bundle.
    #[must_use]
    pub fn into_replies(self) -> Dictionary {
        Dictionary::new().with("result", "ok").with("replies", self.datagrams)
    }
}

/// The requests in a body, if it is a bundle's.
#[must_use]
pub fn requests(body: &Dictionary) -> Option<impl Iterator<Item = &[u8]>> {
    (body.text("command") == Some(b"bundle")).then(|| texts(body, "requests"))
}

/// The replies in a body, if it is a bundle's.
#[must_use]
pub fn replies(body: &Dictionary) -> Option<impl Iterator<Item = &[u8]>> {
    body.get("replies").map(|_| texts(body, "replies"))
}

fn texts<'a>(body: &'a Dictionary, key: &str) -> impl Iterator<Item = &'a [u8]> {
    let items = body.get(key).and_then(Value::list).unwrap_or_default();
    items.iter().take(BUNDLED_MAX).filter_map(Value::text)
}
