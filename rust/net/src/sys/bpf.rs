//! Small programs that the kernel runs for us (`bpf(2)`), and memory that they share with us.
//!
//! Everything here ends with its descriptors: when no process has one any more, program, maps and link are gone; unless they are
//! pinned (see [`Pinned`]), and then they stay until the file is removed.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::AtomicU8;

use super::shared::{Atomic, Shared};

const MAP_CREATE: libc::c_int = 0;
const MAP_UPDATE_ELEM: libc::c_int = 2;
const PROG_LOAD: libc::c_int = 5;
const OBJ_PIN: libc::c_int = 6;
const OBJ_GET: libc::c_int = 7;
const LINK_CREATE: libc::c_int = 28;

const MAP_TYPE_ARRAY: u32 = 2;
const MAP_TYPE_SOCKMAP: u32 = 15;
const MAP_MMAPABLE: u32 = 1 << 10;

/// Bytes of the verifier's complaint that are kept.
const COMPLAINT_BYTES: usize = 256 * 1024;
/// The end of it says what is wrong.
const COMPLAINT_END_BYTES: usize = 2 * 1024;
/// The longest name that the kernel shows for a map or program, with its final zero.
const NAME_BYTES: usize = 16;

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
        let fd = create_map(name, MAP_TYPE_ARRAY, length, 1, MAP_MMAPABLE)?;
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
        let map = Self { fd: open_pinned(path)?, length: length as usize };
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
        let path = text(path)?;
        let attributes = Object { path: path.as_ptr() as u64, fd: raw(self.fd()), flags: 0 };
        // SAFETY: the path ends with a zero and outlives the call.
        unsafe { bpf(OBJ_PIN, &attributes) }.map(drop)
    }
}

fn open_pinned(path: &Path) -> io::Result<OwnedFd> {
    let path = text(path)?;
    let attributes = Object { path: path.as_ptr() as u64, fd: 0, flags: 0 };
    // SAFETY: the path ends with a zero and outlives the call, which makes a descriptor.
    unsafe { make(OBJ_GET, &attributes) }
}

fn text(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
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
        create_map(name, MAP_TYPE_SOCKMAP, 8, count, 0).map(Self)
    }

    /// Puts a bound UDP socket at `number`. It is taken out when it is closed.
    ///
    /// # Errors
    /// The kernel's: there is no such number, or sockets of this kind cannot be in a map (before Linux 5.7).
    pub fn put(&self, number: u32, socket: &impl AsFd) -> io::Result<()> {
        let value = u64::from(socket.as_fd().as_raw_fd().unsigned_abs());
        let attributes = Element {
            map: raw(&self.0),
            padding: 0,
            key: ptr::from_ref(&number) as u64,
            value: ptr::from_ref(&value) as u64,
            flags: 0,
        };
        // SAFETY: key and value are of the map's sizes and outlive the call.
        unsafe { bpf(MAP_UPDATE_ELEM, &attributes) }.map(drop)
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
        match load(occasion, name, instructions, &mut []) {
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
        let attributes = LinkCreate { program: raw(&self.fd), target, attach_type, flags: 0 };
        // SAFETY: a link is made, and there are no pointers.
        unsafe { make(LINK_CREATE, &attributes) }.map(Link)
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

#[repr(C)]
struct MapCreate {
    map_type: u32,
    key_bytes: u32,
    value_bytes: u32,
    entries: u32,
    flags: u32,
    inner_map: u32,
    numa_node: u32,
    name: [u8; NAME_BYTES],
}

#[repr(C)]
struct Element {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct ProgramLoad {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    licence: u64,
    log_level: u32,
    log_bytes: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; NAME_BYTES],
    interface: u32,
    attach_type: u32,
}

#[repr(C)]
struct Object {
    path: u64,
    fd: u32,
    flags: u32,
}

#[repr(C)]
struct LinkCreate {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
}

fn create_map(name: &str, map_type: u32, value_bytes: u32, entries: u32, flags: u32) -> io::Result<OwnedFd> {
    let attributes = MapCreate {
        map_type,
        key_bytes: 4,
        value_bytes,
        entries,
        flags,
        inner_map: 0,
        numa_node: 0,
        name: padded(name),
    };
    // SAFETY: a map is made, and there are no pointers.
    unsafe { make(MAP_CREATE, &attributes) }
}

fn load(occasion: Occasion, name: &str, instructions: &[u64], log: &mut [u8]) -> io::Result<OwnedFd> {
    const LICENCE: &CStr = c"MIT OR Apache-2.0";
    let (program_type, attach_type) = occasion.numbers();
    let attributes = ProgramLoad {
        program_type,
        instruction_count: u32::try_from(instructions.len()).unwrap_or(u32::MAX),
        instructions: instructions.as_ptr() as u64,
        licence: LICENCE.as_ptr() as u64,
        log_level: u32::from(!log.is_empty()),
        log_bytes: u32::try_from(log.len()).unwrap_or(0),
        log: if log.is_empty() { 0 } else { log.as_mut_ptr() as u64 },
        kernel_version: 0,
        flags: 0,
        name: padded(name),
        interface: 0,
        attach_type,
    };
    // SAFETY: a program is made; the pointers and counts describe slices that outlive the call; the log is exclusively borrowed.
    unsafe { make(PROG_LOAD, &attributes) }
}

/// Why the verifier refuses a program, in its own words.
fn complaint(occasion: Occasion, name: &str, instructions: &[u64]) -> io::Error {
    let mut log = vec![0; COMPLAINT_BYTES];
    let Err(error) = load(occasion, name, instructions, &mut log) else {
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

/// # Safety
/// `command` makes a descriptor, and what `attributes` points to is what it expects, for as long as the call takes.
unsafe fn make<T>(command: libc::c_int, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise.
    let fd = unsafe { bpf(command, attributes) }?;
    // SAFETY: the kernel just made this descriptor, and nothing else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// # Safety
/// What `attributes` points to is what `command` expects, for as long as the call takes.
unsafe fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<libc::c_int> {
    // SAFETY: pointer and size describe `attributes`; the rest is the caller's promise.
    let returned = unsafe { libc::syscall(libc::SYS_bpf, command, ptr::from_ref(attributes), size_of::<T>()) };
    super::checked(libc::c_int::try_from(returned).unwrap_or(-1))
}

fn padded(name: &str) -> [u8; NAME_BYTES] {
    let mut padded = [0; NAME_BYTES];
    let length = name.len().min(NAME_BYTES - 1);
    padded[..length].copy_from_slice(&name.as_bytes()[..length]);
    padded
}

fn raw(fd: &OwnedFd) -> u32 {
    fd.as_raw_fd().unsigned_abs()
}
