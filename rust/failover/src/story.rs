//! The story of a walk: which servers were asked, in which order, what each answered and when.

use mediaha_time::Time;

/// Which request an attempt made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// An offer.
    Offer,
    /// An answer.
    Answer,
    /// A deletion.
    Delete,
}

/// What became of one request to one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It gave a usable answer.
    Answered,
    /// It answered with this error text.
    Error(String),
    /// It said nothing in time.
    NoAnswer,
    /// It was found dead while it was being asked; why.
    Died(String),
    /// Another server was quicker; whatever this one made of the request is deleted.
    Overtaken,
    /// The call was deleted meanwhile.
    Withdrawn,
}

/// One request to one server. Retransmissions of it are not attempts of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The server's name.
    pub server: String,
    /// Which request.
    pub asked: Asked,
    /// When it was first sent.
    pub asked_at: Time,
    /// When the answer came, if one came.
    pub answered_at: Option<Time>,
    /// What became of it.
    pub outcome: Outcome,
}

impl Asked {
    /// One lower-case word, as logs and Python know it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Answer => "answer",
            Self::Delete => "delete",
        }
    }
}

impl Outcome {
    /// The words that logs and Python know it by; of an error, the server's own text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Answered => "answered",
            Self::Error(text) => text,
            Self::NoAnswer => "no answer",
            Self::Died(_) => "unreachable",
            Self::Overtaken => "overtaken",
            Self::Withdrawn => "withdrawn",
        }
    }
}
