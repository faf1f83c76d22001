//! What stays when the process dies: a folder for each server, with the lanes and the programs that read them.
//!
//! ```text
//!   /sys/fs/bpf/mediaha/v1_NAME_NAMESPACE_PORTS_ADDRESSES_NUMBER/lanes        the map
//!                                                               /if_3_PID     the program at interface 3
//! ```
//!
//! The folder is locked by the process that uses it, however that ends. A folder that nobody has locked is a left-over: the next
//! server of this name takes it over; another one's is removed when its lease is over.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use mediaha_time::Time;

use super::lanes::{LEASE_AT, Lanes};
use crate::sys::bpf::{Link, Pinned, Program, SharedMap};
use crate::sys::{FolderLock, is_bpf, monotonic, mount_bpf, network_namespace};

/// Where such a file system usually is, and where it is mounted if it is not there.
const USUAL: &str = "/sys/fs/bpf";
const OWN: &str = "/run/mediaha/bpf";
/// Changes with the layout of the lanes.
const VERSION: u32 = 1;
/// How many servers may have the same name, addresses and ports.
const NAMESAKES_MAX: u32 = 64;
/// Bytes that are looked at of other servers' lanes.
const PAGE: u32 = 4096;

/// A server's folder.
#[derive(Debug)]
pub(super) struct Pins {
    folder: PathBuf,
    _lock: FolderLock,
    /// The interfaces that have our program.
    attached: Vec<u32>,
    /// What is there goes when this does.
    ours: bool,
}

impl Drop for Pins {
    fn drop(&mut self) {
        if self.ours {
            remove(&self.folder);
        }
    }
}

impl Pins {
    /// Takes the folder of a server of this name, and removes what dead servers have left long ago.
    ///
    /// # Errors
    /// No folder can be had.
    pub(super) fn take(name: &str, addresses: &[IpAddr], ports: &RangeInclusive<u16>) -> io::Result<Self> {
        let base = base()?;
        sweep(&base, monotonic());
        let (first, last) = (ports.start(), ports.end());
        let mut hasher = DefaultHasher::new();
        addresses.hash(&mut hasher);
        // No dots: they are not allowed here.
        let name: String =
            name.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '-' }).take(64).collect();
        let stem = format!("v{VERSION}_{name}_{}_{first}-{last}_{:016x}", network_namespace()?, hasher.finish());
        for number in 0..NAMESAKES_MAX {
            let folder = base.join(format!("{stem}_{number}"));
            match fs::create_dir(&folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            if let Some(lock) = FolderLock::take(&folder)? {
                return Ok(Self { folder, _lock: lock, attached: Vec::new(), ours: true });
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    /// The lanes that were left here, or new ones. True if they were left.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn lanes(
        &mut self,
        addresses: &[IpAddr],
        ports: &RangeInclusive<u16>,
    ) -> io::Result<(SharedMap, bool)> {
        let path = self.folder.join("lanes");
        let length = Lanes::bytes(addresses, ports);
        if let Ok(map) = SharedMap::pinned(&path, length) {
            // Until we have taken it over, it stays for whoever can.
            self.ours = false;
            return Ok((map, true));
        }
        let map = SharedMap::new("mediaha_lanes", length)?;
        let _ = fs::remove_file(&path);
        map.pin(&path)?;
        Ok((map, false))
    }

    /// Has the program run at these interfaces, beside where it already does.
    ///
    /// # Errors
    /// The kernel's, and at which interface.
    pub(super) fn attach(&mut self, program: &Program, interfaces: &[u32]) -> Result<(), (u32, io::Error)> {
        for &number in interfaces.iter().filter(|number| !self.attached.contains(number)).collect::<Vec<_>>() {
            let attach = || -> io::Result<()> {
                let link: Link = program.attach_to_interface(number)?;
                let path = self.folder.join(format!("if_{number}_{}", std::process::id()));
                let _ = fs::remove_file(&path);
                link.pin(&path)
            };
            attach().map_err(|error| (number, error))?;
            self.attached.push(number);
        }
        Ok(())
    }

    /// Whether what is there goes when this does.
    pub(super) fn go_with_us(&self) -> bool {
        self.ours
    }

    /// Leaves everything where it is.
    pub(super) fn leave(&mut self) {
        self.ours = false;
    }

    /// Takes the programs away that another process has left here.
    pub(super) fn succeed(&mut self) {
        self.ours = true;
        let ours = format!("_{}", std::process::id());
        for path in files(&self.folder) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with("if_") && !name.ends_with(&ours) {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// A folder of ours in a file system of the right type.
fn base() -> io::Result<PathBuf> {
    let usual = Path::new(USUAL);
    if is_bpf(usual) {
        let base = usual.join("mediaha");
        fs::create_dir_all(&base)?;
        return Ok(base);
    }
    let own = Path::new(OWN);
    fs::create_dir_all(own)?;
    if !is_bpf(own) {
        mount_bpf(own)?;
    }
    Ok(own.to_owned())
}

/// Removes the folders of servers that are dead, and whose lease is over.
fn sweep(base: &Path, now: Time) {
    for folder in files(base) {
        let Ok(map) = SharedMap::pinned(&folder.join("lanes"), PAGE) else { continue };
        let Ok(Some(_lock)) = FolderLock::take(&folder) else { continue };
        let over = map.memory::<AtomicU64>().is_ok_and(|words| {
            words.as_slice()[LEASE_AT.unsigned_abs() as usize / 8].load(Relaxed) <= now.as_nanos()
        });
        if over {
            remove(&folder);
        }
    }
}

fn remove(folder: &Path) {
    for path in files(folder) {
        let _ = fs::remove_file(path);
    }
    let _ = fs::remove_dir(folder);
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect()
}
