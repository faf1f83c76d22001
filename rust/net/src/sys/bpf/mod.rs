//! Small programs that the kernel runs for us (`bpf(2)`), and memory that they share with us.
//!
//! Everything here ends with its descriptors: when no process has one any more, program, maps and link are gone; unless they are
//! pinned (see [`Pinned`]), and then they stay until the file is removed.

mod call;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::AtomicU8;

use super::shared::{Atomic, Shared};

/// Bytes of the verifier's complaint that are kept.
const COMPLAINT_BYTES: usize = 256 * 1024;
/// The end of it says what is wrong.
const COMPLAINT_END_BYTES: usize = 2 * 1024;

/// Memory that a program and this process share: one value of an array.
#[derive(Debug)]
pub struct SharedMap {
    fd: OwnedFd,
    length: usize,
}

impl SharedMap {
    /// `length` zeroes.
    ///
    /// # Errors
    /// The kernel's: not permitted, older than Linux 5.5, or no memory.
    pub fn new(name: &str, length: u32) -> io::Result<Self> {
        let fd = call::create_map(name, call::MAP_TYPE_ARRAY, length, 1, call::MAP_MMAPABLE)?;
        Ok(Self { fd, length: length as usize })
    }

    /// The memory as this process sees it, for as long as it likes.
    ///
    /// # Errors
    /// The kernel's, when there is no room in the address space.
    pub fn memory<T: Atomic>(&self) -> io::Result<Shared<T>> {
        Shared::map(&self.fd, self.length)
    }

    /// The memory of `length` bytes that was pinned here.
    ///
    /// # Errors
    /// The kernel's: there is none, or it is shorter.
    pub fn pinned(path: &Path, length: u32) -> io::Result<Self> {
        let map = Self { fd: call::open_pinned(path)?, length: length as usize };
        // What is beyond the end of the map cannot be mapped.
        map.memory::<AtomicU8>()?;
        Ok(map)
    }
}

impl Pinned for SharedMap {
    fn fd(&self) -> &OwnedFd {
        &self.fd
    }
}

/// What may be kept beyond the life of the process, as a file in a file system of type `bpf`.
pub trait Pinned {
    /// The descriptor.
    fn fd(&self) -> &OwnedFd;

    /// Makes the file. When it is removed, it is as if it had never been.
    ///
    /// # Errors
    /// The kernel's: there is such a file, or the folder is not in such a file system.
    fn pin(&self, path: &Path) -> io::Result<()> {
        call::pin(self.fd(), path)
    }
}

/// A map that another process has made with [`SharedMap::new`].
impl SharedMap {
    /// `length` is what it was made with.
    #[must_use]
    pub fn inherited(fd: OwnedFd, length: u32) -> Self {
        Self { fd, length: length as usize }
    }
}

impl AsFd for SharedMap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for SharedMap {
    fn as_raw_fd(&self) -> libc::c_int {
        self.fd.as_raw_fd()
    }
}

/// Numbered sockets that a program can give datagrams to.
#[derive(Debug)]
pub struct SocketMap(OwnedFd);

impl SocketMap {
    /// Room for `count` sockets.
    ///
    /// # Errors
    /// The kernel's: not permitted, or no memory.
    pub fn new(name: &str, count: u32) -> io::Result<Self> {
        call::create_map(name, call::MAP_TYPE_SOCKMAP, 8, count, 0).map(Self)
    }

    /// Puts a bound UDP socket at `number`. It is taken out when it is closed.
    ///
    /// # Errors
    /// The kernel's: there is no such number, or sockets of this kind cannot be in a map (before Linux 5.7).
    pub fn put(&self, number: u32, socket: &impl AsFd) -> io::Result<()> {
        let value = u64::from(socket.as_fd().as_raw_fd().unsigned_abs());
        call::update(&self.0, number, value)
    }
}

impl AsRawFd for SocketMap {
    fn as_raw_fd(&self) -> libc::c_int {
        self.0.as_raw_fd()
    }
}

/// When a program is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// For each datagram, when its socket is looked for (Linux 5.9).
    Lookup,
    /// At each `bind(2)` of an IPv4 socket (Linux 4.17).
    BindIpv4,
    /// At each `bind(2)` of an IPv6 socket.
    BindIpv6,
    /// For each packet that comes in at an interface, before anybody else but the listeners of packet sockets (Linux 6.6).
    Ingress,
}

impl Occasion {
    /// As the kernel numbers types of programs and where they are attached.
    const fn numbers(self) -> (u32, u32) {
        match self {
            Self::Lookup => (30, 36),
            Self::BindIpv4 => (18, 8),
            Self::BindIpv6 => (18, 9),
            Self::Ingress => (3, 46),
        }
    }
}

/// A loaded program.
#[derive(Debug)]
pub struct Program {
    fd: OwnedFd,
    occasion: Occasion,
}

impl Program {
    /// Has the kernel check and translate `instructions`, eight bytes each in its byte order.
    ///
    /// # Errors
    /// `PermissionDenied`: this takes `CAP_BPF` and `CAP_NET_ADMIN`. `InvalidInput`: the kernel is too old for such programs.
    /// `InvalidData`: it refuses this one, and the error says with which words.
    pub fn load(occasion: Occasion, name: &str, instructions: &[u64]) -> io::Result<Self> {
        match call::load(occasion.numbers(), name, instructions, &mut []) {
            // EACCES is the verifier's, EPERM means the caller.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EACCES | libc::EINVAL)) => {
                Err(complaint(occasion, name, instructions))
            }
            loaded => loaded.map(|fd| Self { fd, occasion }),
        }
    }

    /// Runs it until the link is dropped: a program for lookups in the network namespace that `place` is an open file of, one
    /// for binds in the control group whose folder it is, and all below.
    ///
    /// # Errors
    /// The kernel's: not permitted, or too many programs are attached there.
    pub fn attach(&self, place: &impl AsFd) -> io::Result<Link> {
        self.attach_at(place.as_fd().as_raw_fd().unsigned_abs())
    }

    /// Runs a program for ingress at the interface of this number of our network namespace, after those that are there, until the
    /// link is dropped and not pinned.
    ///
    /// # Errors
    /// The kernel's: not permitted, no such interface, or older than Linux 6.6.
    pub fn attach_to_interface(&self, interface: u32) -> io::Result<Link> {
        self.attach_at(interface)
    }

    fn attach_at(&self, target: u32) -> io::Result<Link> {
        let (_, attach_type) = self.occasion.numbers();
        call::attach(&self.fd, target, attach_type).map(Link)
    }
}

/// A program at work, until the last copy of the descriptor is closed.
#[derive(Debug)]
pub struct Link(OwnedFd);

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A link that another process has made with [`Program::attach`].
impl From<OwnedFd> for Link {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl Pinned for Link {
    fn fd(&self) -> &OwnedFd {
        &self.0
    }
}

/// Why the verifier refuses a program, in its own words.
fn complaint(occasion: Occasion, name: &str, instructions: &[u64]) -> io::Error {
    let mut log = vec![0; COMPLAINT_BYTES];
    let Err(error) = call::load(occasion.numbers(), name, instructions, &mut log) else {
        return io::Error::other("the kernel refused a program, and then did not");
    };
    let text = log.split(|&byte| byte == 0).next().unwrap_or_default();
    // A kernel that does not know such programs has no words for it.
    if text.is_empty() {
        return error;
    }
    let end = &text[text.len().saturating_sub(COMPLAINT_END_BYTES)..];
    io::Error::new(io::ErrorKind::InvalidData, String::from_utf8_lossy(end).into_owned())
}
