//! Decides: whether programs that ask for any port may be given one of ours.
//!
//! The kernel gives a program that does not ask for a port by number a free one out of a range of its own, and a steered
//! port looks free to it. Ports that the administrator has reserved are left out.

use std::io;
use std::ops::RangeInclusive;

/// The ports out of which the kernel chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ephemeral {
    range: RangeInclusive<u16>,
    reserved: Vec<RangeInclusive<u16>>,
}

impl Ephemeral {
    /// As this network namespace has it; IPv6 has the same.
    ///
    /// # Errors
    /// `/proc` cannot be read, or says something unheard of.
    pub(super) fn of_this_host() -> io::Result<Self> {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}"));
        let (range, reserved) = (read("ip_local_port_range")?, read("ip_local_reserved_ports")?);
        parse_untrusted(&range, &reserved).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// The first of `ports` that the kernel may give to anybody.
    pub(super) fn first_in(&self, ports: &RangeInclusive<u16>) -> Option<u16> {
        let free = |port: &u16| !self.reserved.iter().any(|range| range.contains(port));
        ports.clone().filter(|port| self.range.contains(port)).find(free)
    }
}

/// Reads `32768 60999` and `8080,9148-9150`.
fn parse_untrusted(range: &str, reserved: &str) -> Option<Ephemeral> {
    let mut ends = range.split_whitespace();
    let range = ends.next()?.parse().ok()?..=ends.next()?.parse().ok()?;
    let reserved = reserved.trim().split(',').filter(|part| !part.is_empty()).map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    Some(Ephemeral { range, reserved: reserved.collect::<Option<_>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_ours_alone_outside_of_the_kernels_range_or_when_reserved() {
        let usual = parse_untrusted("32768\t60999\n", "\n").unwrap();
        assert_eq!(usual.first_in(&(20_000..=29_999)), None);
        assert_eq!(usual.first_in(&(30_000..=39_999)), Some(32_768));
        let reserved = parse_untrusted("32768\t60999", "8080,30000-39998\n").unwrap();
        assert_eq!(reserved.first_in(&(30_000..=39_998)), None);
        assert_eq!(reserved.first_in(&(30_000..=39_999)), Some(39_999));
        assert_eq!(parse_untrusted("many", ""), None);
    }

    #[test]
    fn this_host_says_what_it_does() {
        Ephemeral::of_this_host().unwrap();
    }
}
