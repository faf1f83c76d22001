//! Text that shares what it was cut from.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// A piece of a message's head, or of a text of ours. Cloning and cutting copy nothing.
#[derive(Clone)]
pub struct Text(Kept);

#[derive(Clone)]
enum Kept {
    Fixed(&'static str),
    Part { whole: Arc<str>, start: u32, end: u32 },
}

impl Text {
    /// Text of the program's own.
    #[must_use]
    pub const fn fixed(text: &'static str) -> Self {
        Self(Kept::Fixed(text))
    }

    /// This range of the text, which must be on letters' borders.
    #[must_use]
    pub(crate) fn cut(&self, range: Range<usize>) -> Self {
        match &self.0 {
            Kept::Fixed(text) => Self(Kept::Fixed(&text[range])),
            Kept::Part { whole, start, .. } => {
                let piece = &self[range.clone()];
                let from = start + position(range.start);
                Self(Kept::Part { whole: Arc::clone(whole), start: from, end: from + position(piece.len()) })
            }
        }
    }

    /// The same letters as `piece`, which must be a part of this very text, or empty.
    #[must_use]
    pub(crate) fn part(&self, piece: &str) -> Self {
        if piece.is_empty() {
            return Self::fixed("");
        }
        let from = piece.as_ptr() as usize - self.as_ptr() as usize;
        self.cut(from..from + piece.len())
    }

    /// In lower case; itself when it is so already.
    #[must_use]
    pub(crate) fn lowered(&self) -> Self {
        if self.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
            self.clone()
        } else {
            Self::from(self.to_lowercase())
        }
    }
}

/// A position in a head, or in a value of ours: four thousand million letters are more than either ever has.
fn position(at: usize) -> u32 {
    u32::try_from(at).expect("no header value is this long")
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        let whole = Arc::from(text);
        Self(Kept::Part { whole, start: 0, end: position(text.len()) })
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            Kept::Fixed(text) => text,
            Kept::Part { whole, start, end } => &whole[*start as usize..*end as usize],
        }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, formatter)
    }
}
