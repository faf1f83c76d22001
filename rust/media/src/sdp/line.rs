//! The fields of the single lines that concern a relay. Texts come without their line ending.

use std::net::IpAddr;

use super::{FORMATS_MAX, SdpError};

/// `m=<kind> <port>[/<count>] <protocol> <formats>` (RFC 8866 section 5.14), after the `m=`.
pub(super) struct MediaLine<'a> {
    pub(super) kind: &'a [u8],
    pub(super) port: u16,
    pub(super) protocol: &'a [u8],
    pub(super) formats: Vec<Vec<u8>>,
}

pub(super) fn media_untrusted(text: &[u8]) -> Result<MediaLine<'_>, SdpError> {
    let mut words = words(text);
    let (Some(kind), Some(port), Some(protocol)) = (words.next(), words.next(), words.next()) else {
        return Err(SdpError::BadMedia);
    };
    let port = port.split(|byte| *byte == b'/').next().and_then(number).ok_or(SdpError::BadMedia)?;
    let formats: Vec<_> = words.map(<[u8]>::to_vec).take(FORMATS_MAX + 1).collect();
    if formats.len() > FORMATS_MAX {
        return Err(SdpError::TooLarge);
    }
    Ok(MediaLine { kind, port, protocol, formats })
}

/// The address in `c=IN IP4 192.0.2.1` (RFC 8866 section 5.7), after the `c=`. `None` for what a relay cannot
/// send to: host names, multicast, other networks than the Internet.
pub(super) fn connection_untrusted(text: &[u8]) -> Option<IpAddr> {
    let mut words = words(text);
    let (network, family, address) = (words.next()?, words.next()?, words.next()?);
    address_untrusted(network, family, address)
}

/// `a=rtcp:<port> [IN IP4 <address>]` (RFC 3605), after the colon.
pub(super) fn rtcp_untrusted(text: &[u8]) -> Option<(Option<IpAddr>, u16)> {
    let mut words = words(text);
    let port = number(words.next()?)?;
    let address = match (words.next(), words.next(), words.next()) {
        (Some(network), Some(family), Some(address)) => address_untrusted(network, family, address),
        _ => None,
    };
    Some((address, port))
}

/// What stands after the `o=` (RFC 8866 section 5.2) without its last two words, the family and the address. `None`
/// when it has not the six words that it needs; a user's name with spaces in it, which is not allowed, makes more.
pub(super) fn origin_without_address(text: &[u8]) -> Option<&[u8]> {
    let spaces: Vec<usize> = (0..text.len()).filter(|index| text[*index] == b' ').collect();
    let last_but_one = spaces.len().checked_sub(2)?;
    (spaces.len() >= 5).then(|| &text[..spaces[last_but_one]])
}

/// `IP4 192.0.2.1`.
pub(super) fn family_and_address(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("IP4 {address}"),
        IpAddr::V6(address) => format!("IP6 {address}"),
    }
}

fn address_untrusted(network: &[u8], family: &[u8], address: &[u8]) -> Option<IpAddr> {
    let parsed: IpAddr = std::str::from_utf8(address).ok()?.parse().ok()?;
    let family_fits = match parsed {
        IpAddr::V4(_) => family == b"IP4",
        IpAddr::V6(_) => family == b"IP6",
    };
    (network == b"IN" && family_fits && !parsed.is_multicast()).then_some(parsed)
}

fn number(word: &[u8]) -> Option<u16> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b' ').filter(|word| !word.is_empty())
}
