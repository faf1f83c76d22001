//! What a media server and the keeper of its estate say to each other.
//!
//! ```text
//!  keeper ── Assigned, Keep…, Complete ──▶ process      whom it is to be, and what that one has left, if anything
//!  process ── Ready ──▶ keeper                          a spare: whoever dies next, I am free
//!  process ── Keep, Drop ──▶ keeper                     what is to outlive it, as that comes and goes
//!  process ── Discard ──▶ keeper ── Complete ──▶ process   what was left is of no use, and is gone
//!  keeper ── HandOver ──▶ process                       stop, so that another one can go on
//!  process ── Farewell ──▶ keeper                       it ends on purpose: nothing is to be kept
//! ```
//!
//! A process that ends without a farewell has left an estate, whichever way it ended.

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// The table of calls, with the lives of streams.
    Memory,
    /// The socket of the control port.
    Control,
    /// The socket of a media port; the address by its number in the configuration.
    Port { address: u8, port: u16 },
    /// A socket that steered packets arrive at.
    Inlet(u16),
    /// The table of steered ports.
    Steered,
    /// Who is believed at which steered port.
    Believed,
    /// A program that steers, by its number.
    Program(u8),
}

/// A message. Those that are about descriptors have as many of them in the parcel as keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Ready,
    /// For whom; in words that only the two ends of the supervisor understand.
    Assigned(Vec<u8>),
    Keep(Vec<Key>),
    Drop(Vec<Key>),
    Complete,
    HandOver,
    Discard,
    Farewell,
}

/// The longest message, in bytes: the words of an assignment.
pub(super) const MESSAGE_MAX: usize = 16 * 1024;
/// How many keys go into one message.
pub(super) const KEYS_MAX: usize = 240;

impl Key {
    fn to_bytes(self) -> [u8; 4] {
        match self {
            Self::Memory => [1, 0, 0, 0],
            Self::Control => [2, 0, 0, 0],
            Self::Port { address, port } => {
                let [low, high] = port.to_le_bytes();
                [3, address, low, high]
            }
            Self::Inlet(number) => {
                let [low, high] = number.to_le_bytes();
                [4, 0, low, high]
            }
            Self::Steered => [5, 0, 0, 0],
            Self::Program(number) => [6, number, 0, 0],
            Self::Believed => [7, 0, 0, 0],
        }
    }

    fn read_untrusted(bytes: [u8; 4]) -> Option<Self> {
        let [kind, small, low, high] = bytes;
        let number = u16::from_le_bytes([low, high]);
        match (kind, small, number) {
            (1, 0, 0) => Some(Self::Memory),
            (2, 0, 0) => Some(Self::Control),
            (3, address, port) => Some(Self::Port { address, port }),
            (4, 0, number) => Some(Self::Inlet(number)),
            (5, 0, 0) => Some(Self::Steered),
            (6, number, 0) => Some(Self::Program(number)),
            (7, 0, 0) => Some(Self::Believed),
            _ => None,
        }
    }
}

impl Message {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let (kind, rest) = match self {
            Self::Ready => (b'r', Vec::new()),
            Self::Assigned(words) => (b'a', words.clone()),
            Self::Keep(keys) => (b'k', flat(keys)),
            Self::Drop(keys) => (b'd', flat(keys)),
            Self::Complete => (b'c', Vec::new()),
            Self::HandOver => (b'h', Vec::new()),
            Self::Discard => (b'x', Vec::new()),
            Self::Farewell => (b'f', Vec::new()),
        };
        [&[kind], rest.as_slice()].concat()
    }

    /// `None`: it is none of these.
    pub(super) fn read_untrusted(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        match (kind, rest) {
            (b'r', []) => Some(Self::Ready),
            (b'a', words) => Some(Self::Assigned(words.to_vec())),
            (b'k', keys) => keys_untrusted(keys).map(Self::Keep),
            (b'd', keys) => keys_untrusted(keys).map(Self::Drop),
            (b'c', []) => Some(Self::Complete),
            (b'h', []) => Some(Self::HandOver),
            (b'x', []) => Some(Self::Discard),
            (b'f', []) => Some(Self::Farewell),
            _ => None,
        }
    }
}

fn flat(keys: &[Key]) -> Vec<u8> {
    keys.iter().flat_map(|key| key.to_bytes()).collect()
}

fn keys_untrusted(bytes: &[u8]) -> Option<Vec<Key>> {
    let (keys, []) = bytes.as_chunks::<4>() else { return None };
    keys.iter().map(|key| Key::read_untrusted(*key)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood_and_nothing_else() {
        let keys = vec![
            Key::Memory,
            Key::Control,
            Key::Port { address: 2, port: 40_001 },
            Key::Inlet(300),
            Key::Steered,
            Key::Believed,
            Key::Program(2),
        ];
        let messages = [
            Message::Ready,
            Message::Assigned(b"media-1".to_vec()),
            Message::Keep(keys.clone()),
            Message::Drop(keys),
            Message::Complete,
            Message::HandOver,
            Message::Discard,
            Message::Farewell,
        ];
        for message in messages {
            assert_eq!(Message::read_untrusted(&message.to_bytes()), Some(message));
        }
        for nonsense in [&b""[..], b"r?", b"k123", b"k\x09\0\0\0", b"?"] {
            assert_eq!(Message::read_untrusted(nonsense), None);
        }
    }
}
