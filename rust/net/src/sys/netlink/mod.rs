//! Questions to the kernel about its network, and its answers (`netlink(7)`): how they are asked and heard.

mod routes;
mod rules;

pub use routes::{Hop, Interface, Route, Traffic, interface_exists, interfaces_with};
pub use rules::{PORTS_DECIDE_WAYS, ipsec_in_use, packet_filter_in_use, ports_decide_ways};

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use super::{checked, checked_count, socklen};

const ERROR: u16 = 2;
const DONE: u16 = 3;
const REQUEST: u16 = 1;
const DUMP: u16 = 0x300;
/// Groups of notices: links, next hops, and routes, rules and addresses of both families.
const NOTICES: u32 = 0x1 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x4_0000 | 0x8000_0000;

const HEADER_BYTES: usize = 16;
const ANSWER_BYTES: usize = 8192;

/// A question to the kernel, and its answers.
#[derive(Debug)]
pub struct Netlink(OwnedFd);

impl Netlink {
    /// Asks.
    ///
    /// # Errors
    /// The kernel's: no descriptor is left, or such sockets are forbidden.
    pub fn new() -> io::Result<Self> {
        Self::bound(libc::NETLINK_ROUTE, 0)
    }

    /// Hears of whatever changes routes, addresses and interfaces.
    ///
    /// # Errors
    /// As above.
    pub fn listening() -> io::Result<Self> {
        Self::bound(libc::NETLINK_ROUTE, NOTICES)
    }

    fn bound(protocol: libc::c_int, groups: u32) -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: there are no pointers.
        let fd = checked(unsafe { libc::socket(libc::AF_NETLINK, kind, protocol) })?;
        // SAFETY: the kernel just made this descriptor, and nothing else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: a structure of numbers may be all zeroes.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = u16::try_from(libc::AF_NETLINK).unwrap_or(0);
        address.nl_groups = groups;
        // SAFETY: pointer and length describe `address`, which outlives the call.
        let done =
            unsafe { libc::bind(fd.as_raw_fd(), ptr::from_ref(&address).cast(), socklen::<libc::sockaddr_nl>()) };
        checked(done)?;
        Ok(Self(fd))
    }

    /// Whether anything was heard since this was last asked.
    #[must_use]
    pub fn heard(&self) -> bool {
        let mut buffer = [0; ANSWER_BYTES];
        let mut heard = false;
        loop {
            match self.receive(&mut buffer) {
                Ok(_) => heard = true,
                // Some notices were too many for the queue.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => heard = true,
                Err(_) => return heard,
            }
        }
    }

    /// Whether any of the answers to a question that has many is like that.
    fn any(&self, question: u16, body: &[u8], is_it: impl Fn(u16, &[u8]) -> bool) -> io::Result<bool> {
        self.put(question, REQUEST | DUMP, body)?;
        let mut buffer = [0; ANSWER_BYTES];
        // All are read, as what is left would be taken for the answer to the next question.
        let mut found = false;
        loop {
            let length = self.receive(&mut buffer)?;
            let mut rest = &buffer[..length];
            while let Some((kind, body, behind)) = message(rest) {
                match kind {
                    DONE => return Ok(found),
                    ERROR => return Err(refusal(body)),
                    _ => found |= is_it(kind, body),
                }
                rest = behind;
            }
        }
    }

    /// The body of the answer. The kernel has it ready when it has taken the question.
    fn ask(&self, kind: u16, body: &[u8]) -> io::Result<Vec<u8>> {
        self.ask_with(kind, REQUEST, body).map(|(_, answer)| answer)
    }

    /// The same, with flags; gives the answer's type, too.
    fn ask_with(&self, kind: u16, flags: u16, body: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        self.put(kind, flags, body)?;
        let mut buffer = [0; ANSWER_BYTES];
        let length = self.receive(&mut buffer)?;
        let answer = &buffer[..length];
        let kind = answer.get(4..6).map_or(0, |kind| u16::from_ne_bytes([kind[0], kind[1]]));
        let body = answer.get(HEADER_BYTES..).unwrap_or_default();
        if kind == ERROR {
            return Err(refusal(body));
        }
        Ok((kind, body.to_vec()))
    }

    fn put(&self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(HEADER_BYTES + body.len()).unwrap_or(0);
        let mut question = Vec::with_capacity(HEADER_BYTES + body.len());
        question.extend(length.to_ne_bytes());
        question.extend(kind.to_ne_bytes());
        question.extend(flags.to_ne_bytes());
        question.extend([0; 8]);
        question.extend(body);
        // SAFETY: pointer and length describe `question`, which outlives the call.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), question.as_ptr().cast(), question.len(), 0) };
        checked_count(sent).map(drop)
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        // SAFETY: pointer and length describe `buffer`, which is exclusively borrowed.
        let length = unsafe { libc::recv(self.0.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        checked_count(length)
    }
}

/// The type and the body of the first message, and what is behind it.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (&[l0, l1, l2, l3, k0, k1], _) = bytes.split_first_chunk()?;
    let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).ok()?;
    let body = bytes.get(HEADER_BYTES..length)?;
    let behind = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((u16::from_ne_bytes([k0, k1]), body, behind))
}

/// What the kernel has against a question.
fn refusal(body: &[u8]) -> io::Error {
    let code = body.first_chunk().map_or(-libc::EIO, |code| i32::from_ne_bytes(*code));
    io::Error::from_raw_os_error(-code)
}

fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(4 + value.len()).unwrap_or(0);
    body.extend(length.to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// What an attribute says.
fn value(attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut rest = attributes;
    while let Some((&[l0, l1, k0, k1], _)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = rest.get(4..length)?;
        if u16::from_ne_bytes([k0, k1]) == wanted {
            return Some(value);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

fn number_in(attributes: &[u8], wanted: u16) -> Option<u32> {
    value(attributes, wanted)?.first_chunk().map(|value| u32::from_ne_bytes(*value))
}
