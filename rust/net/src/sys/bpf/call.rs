//! The system call itself: what it is told, in the kernel's layout.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use crate::sys::checked;

const MAP_CREATE: libc::c_int = 0;
const MAP_UPDATE_ELEM: libc::c_int = 2;
const PROG_LOAD: libc::c_int = 5;
const OBJ_PIN: libc::c_int = 6;
const OBJ_GET: libc::c_int = 7;
const LINK_CREATE: libc::c_int = 28;

pub(super) const MAP_TYPE_ARRAY: u32 = 2;
pub(super) const MAP_TYPE_SOCKMAP: u32 = 15;
pub(super) const MAP_MMAPABLE: u32 = 1 << 10;

/// The longest name that the kernel shows for a map or program, with its final zero.
const NAME_BYTES: usize = 16;

/// Makes a map of so many entries, each a value of so many bytes behind a number.
pub(super) fn create_map(
    name: &str,
    map_type: u32,
    value_bytes: u32,
    entries: u32,
    flags: u32,
) -> io::Result<OwnedFd> {
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

/// Puts `value` at `number` of a map whose values are numbers of 64 bits.
pub(super) fn update(map: &OwnedFd, number: u32, value: u64) -> io::Result<()> {
    let attributes = Element {
        map: raw(map),
        padding: 0,
        key: ptr::from_ref(&number) as u64,
        value: ptr::from_ref(&value) as u64,
        flags: 0,
    };
    // SAFETY: key and value are of the map's sizes and outlive the call.
    unsafe { bpf(MAP_UPDATE_ELEM, &attributes) }.map(drop)
}

/// Has the kernel check a program of this type, for this place. Its complaints go into `log`, if that has room.
pub(super) fn load(
    (program_type, attach_type): (u32, u32),
    name: &str,
    instructions: &[u64],
    log: &mut [u8],
) -> io::Result<OwnedFd> {
    const LICENCE: &CStr = c"MIT OR Apache-2.0";
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

/// Runs a program there.
pub(super) fn attach(program: &OwnedFd, target: u32, attach_type: u32) -> io::Result<OwnedFd> {
    let attributes = LinkCreate { program: raw(program), target, attach_type, flags: 0 };
    // SAFETY: a link is made, and there are no pointers.
    unsafe { make(LINK_CREATE, &attributes) }
}

/// Makes a file of it.
pub(super) fn pin(object: &OwnedFd, path: &Path) -> io::Result<()> {
    let path = text(path)?;
    let attributes = Object { path: path.as_ptr() as u64, fd: raw(object), flags: 0 };
    // SAFETY: the path ends with a zero and outlives the call.
    unsafe { bpf(OBJ_PIN, &attributes) }.map(drop)
}

/// What was pinned there.
pub(super) fn open_pinned(path: &Path) -> io::Result<OwnedFd> {
    let path = text(path)?;
    let attributes = Object { path: path.as_ptr() as u64, fd: 0, flags: 0 };
    // SAFETY: the path ends with a zero and outlives the call, which makes a descriptor.
    unsafe { make(OBJ_GET, &attributes) }
}

fn text(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
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
    checked(libc::c_int::try_from(returned).unwrap_or(-1))
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
