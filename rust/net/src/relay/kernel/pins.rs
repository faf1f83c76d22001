//! What stays when the process dies: a folder for each server, with the lanes and the programs that read them.
//!
//! ```text
//!   /sys/fs/bpf/mediaha/v2_NAME_NAMESPACE_PORTS_ADDRESSES_NUMBER/lanes        the map
//!                                                               /if_3_PID     the program at interface 3
//! ```
//!
//! The folder is locked by the process that uses it, however that ends. A folder that nobody has locked is a left-over: the next
//! server of this name takes it over; another one's is removed when its lease is over, or when it is in the way of ours.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use mediaha_time::{Duration, Time};

use super::lanes::{LEASE_AT, Lanes};
use crate::sys::bpf::{Link, Pinned, Program, SharedMap};
use crate::sys::netlink::interface_exists;
use crate::sys::{FolderLock, is_bpf, monotonic, mount_bpf, network_namespace};

/// Where such a file system usually is, and where it is mounted if it is not there.
const USUAL: &str = "/sys/fs/bpf";
const OWN: &str = "/run/mediaha/bpf";
/// Changes with the layout of the lanes.
const VERSION: u32 = 2;
/// How many servers may have the same name, addresses and ports.
const NAMESAKES_MAX: u32 = 64;
/// Letters of a name, and of all addresses: with the rest they fit a file's name of 255.
const NAME_MAX: usize = 48;
const ADDRESSES_MAX: usize = 140;
/// How long it is slept between two looks at a lock.
const NAP: Duration = Duration::from_millis(1);
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
    /// Takes the folder of a server of this name, and removes what dead servers have left long ago, or at ports that are ours now.
    /// With `patience` the server's former life is about to end, and is waited for.
    ///
    /// # Errors
    /// No folder can be had.
    pub(super) fn take(
        name: &str,
        addresses: &[IpAddr],
        ports: &RangeInclusive<u16>,
        patience: Duration,
    ) -> io::Result<Self> {
        let base = base()?;
        let place = Place { namespace: network_namespace()?, ports: ports.clone(), addresses: addresses.to_vec() };
        let stem = place.stem(name);
        sweep(&base, Some(&stem), &place, monotonic());
        let give_up_at = monotonic() + patience;
        let mut number = 0;
        while number < NAMESAKES_MAX {
            let folder = base.join(format!("{stem}_{number}"));
            match fs::create_dir(&folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            match FolderLock::take(&folder) {
                Ok(Some(lock)) => return Ok(Self { folder, _lock: lock, attached: Vec::new(), ours: true }),
                // Another server that starts at this moment has swept it.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(None) | Err(_) => {}
            }
            if monotonic() < give_up_at {
                thread::sleep(NAP);
            } else {
                number += 1;
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

    /// Has the program run at these interfaces, beside where it already does. What is gone of those is forgotten.
    ///
    /// # Errors
    /// The kernel's, and at which interface.
    pub(super) fn attach(&mut self, program: &Program, interfaces: &[u32]) -> Result<(), (u32, io::Error)> {
        let folder = &self.folder;
        self.attached.retain(|number| {
            let stays = interfaces.contains(number) || interface_exists(*number);
            if !stays {
                let _ = fs::remove_file(pin(folder, *number));
            }
            stays
        });
        for &number in interfaces {
            let attach = || -> io::Result<()> {
                // An interface that was deleted may have been made again with the same number.
                let link: Link = match program.attach_to_interface(number) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
                    attached => attached?,
                };
                let path = pin(folder, number);
                let _ = fs::remove_file(&path);
                link.pin(&path)
            };
            attach().map_err(|error| (number, error))?;
            if !self.attached.contains(&number) {
                self.attached.push(number);
            }
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

/// Removes what dead servers have left at these ports: nobody is going to take it over.
pub(in crate::relay) fn clear_the_way(addresses: &[IpAddr], ports: &RangeInclusive<u16>) {
    let Ok(namespace) = network_namespace() else { return };
    let place = Place { namespace, ports: ports.clone(), addresses: addresses.to_vec() };
    for base in [Path::new(USUAL).join("mediaha"), OWN.into()] {
        sweep(&base, None, &place, monotonic());
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

/// Where a server forwards.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    namespace: u64,
    ports: RangeInclusive<u16>,
    addresses: Vec<IpAddr>,
}

impl Place {
    /// How the folders of a server of this name begin. There must be no dots in it.
    fn stem(&self, name: &str) -> String {
        let letter = |it: char| if it.is_ascii_alphanumeric() { it } else { '-' };
        let name: String = name.chars().map(letter).take(NAME_MAX).collect();
        let number = |address: &IpAddr| match address {
            IpAddr::V4(address) => format!("4{:x}", u32::from(*address)),
            IpAddr::V6(address) => format!("6{:x}", u128::from(*address)),
        };
        let mut addresses = self.addresses.iter().map(number).collect::<Vec<_>>().join("-");
        addresses.truncate(ADDRESSES_MAX);
        let (first, last) = (self.ports.start(), self.ports.end());
        format!("v{VERSION}_{name}_{}_{first}-{last}_{addresses}", self.namespace)
    }

    /// What a folder's name says, of whatever version. Addresses beyond those that fit are not known.
    fn of(folder: &str) -> Option<Self> {
        let [_, _, namespace, ports, addresses, ..] = folder.split('_').collect::<Vec<_>>()[..] else {
            return None;
        };
        let (first, last) = ports.split_once('-')?;
        let address = |text: &str| match text.split_at_checked(1)? {
            ("4", digits) => u32::from_str_radix(digits, 16).ok().map(|it| Ipv4Addr::from(it).into()),
            ("6", digits) => u128::from_str_radix(digits, 16).ok().map(|it| Ipv6Addr::from(it).into()),
            _ => None,
        };
        Some(Self {
            namespace: namespace.parse().ok()?,
            ports: first.parse().ok()?..=last.parse().ok()?,
            addresses: addresses.split('-').filter_map(address).collect(),
        })
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.namespace == other.namespace
            && self.ports.start() <= other.ports.end()
            && other.ports.start() <= self.ports.end()
            && self.addresses.iter().any(|address| other.addresses.contains(address))
    }
}

/// Removes the folders of servers that are dead, if their lease is over, or if they are in the way of ours, which begins with
/// `stem`.
fn sweep(base: &Path, stem: Option<&str>, place: &Place, now: Time) {
    for folder in files(base) {
        let Ok(map) = SharedMap::pinned(&folder.join("lanes"), PAGE) else { continue };
        let Ok(Some(_lock)) = FolderLock::take(&folder) else { continue };
        let over = map.memory::<AtomicU64>().is_ok_and(|words| {
            words.as_slice()[LEASE_AT.unsigned_abs() as usize / 8].load(Relaxed) <= now.as_nanos()
        });
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let taken_over = stem.is_some_and(|stem| name.starts_with(stem));
        let in_the_way = !taken_over && Place::of(&name).is_some_and(|other| other.overlaps(place));
        if over || in_the_way {
            remove(&folder);
        }
    }
}

/// The file that keeps this process's program at an interface.
fn pin(folder: &Path, interface: u32) -> PathBuf {
    folder.join(format!("if_{interface}_{}", std::process::id()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folders_name_says_where_its_server_forwards() {
        let addresses = vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        let place = Place { namespace: 4_026_531_840, ports: 30_000..=39_999, addresses };
        let stem = place.stem("media.1_b");
        assert_eq!(stem, "v2_media-1-b_4026531840_30000-39999_4c0000201-620010db8000000000000000000000001");
        assert_eq!(Place::of(&format!("{stem}_0")), Some(place));
        assert_eq!(Place::of("maps.debug"), None);
    }

    #[test]
    fn servers_are_in_each_others_way_at_the_same_ports_of_the_same_address() {
        let at = |address: &str, ports| Place { namespace: 1, ports, addresses: vec![address.parse().unwrap()] };
        let ours = at("192.0.2.1", 100..=199);
        assert!(ours.overlaps(&at("192.0.2.1", 199..=300)));
        assert!(!ours.overlaps(&at("192.0.2.1", 200..=300)));
        assert!(!ours.overlaps(&at("192.0.2.2", 100..=199)));
        assert!(!ours.overlaps(&Place { namespace: 2, ..at("192.0.2.1", 100..=199) }));
    }
}
