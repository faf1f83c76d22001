//! Which interfaces could carry a side of a stream: an order, not a winner, as the first may have no port left.

use std::net::IpAddr;

use mediaha_ng::AddressFamily;

use crate::interface::Interface;

/// The interfaces to try, best first; never empty unless `interfaces` is.
///
/// `name` is what `direction` asked for. A name that does not exist is passed over, as rtpengine does: a call with
/// the wrong interface may work, a refused one does not. Without a name the first interface's is meant, so that a
/// private interface is used on request only.
pub(super) fn candidates<'a>(
    interfaces: &'a [Interface],
    name: Option<&[u8]>,
    family: Option<AddressFamily>,
) -> Vec<&'a Interface> {
    let called = |name: &[u8]| -> Vec<&'a Interface> {
        interfaces.iter().filter(|interface| interface.name.as_bytes() == name).collect()
    };
    let mut named = name.map(called).unwrap_or_default();
    if named.is_empty() {
        named = interfaces.first().map(|first| called(first.name.as_bytes())).unwrap_or_default();
    }
    let of_family: Vec<_> =
        named.iter().copied().filter(|it| family.is_none_or(|f| f == family_of(it.local))).collect();
    if of_family.is_empty() { named } else { of_family }
}

/// The family of an address.
pub(super) const fn family_of(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::V4,
        IpAddr::V6(_) => AddressFamily::V6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interfaces() -> Vec<Interface> {
        ["pub/203.0.113.1", "pub/2001:db8::1", "priv/10.0.0.1", "pub/203.0.113.2"]
            .map(|text| text.parse().unwrap())
            .to_vec()
    }

    fn chosen(name: Option<&[u8]>, family: Option<AddressFamily>) -> Vec<String> {
        let interfaces = interfaces();
        candidates(&interfaces, name, family).iter().map(|interface| interface.local.to_string()).collect()
    }

    #[test]
    fn the_first_name_is_meant_when_none_is_given() {
        assert_eq!(chosen(None, Some(AddressFamily::V4)), ["203.0.113.1", "203.0.113.2"]);
        assert_eq!(chosen(None, None), ["203.0.113.1", "2001:db8::1", "203.0.113.2"]);
    }

    #[test]
    fn direction_and_family_choose() {
        assert_eq!(chosen(Some(b"priv"), Some(AddressFamily::V4)), ["10.0.0.1"]);
        assert_eq!(chosen(Some(b"pub"), Some(AddressFamily::V6)), ["2001:db8::1"]);
    }

    #[test]
    fn what_does_not_exist_is_passed_over() {
        assert_eq!(chosen(Some(b"moon"), Some(AddressFamily::V6)), ["2001:db8::1"]);
        assert_eq!(chosen(Some(b"priv"), Some(AddressFamily::V6)), ["10.0.0.1"]);
    }
}
