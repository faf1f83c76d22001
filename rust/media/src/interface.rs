//! The addresses that media is relayed on: `127.0.0.1`, `pub/10.0.0.5!203.0.113.5`, `in/2001:db8::1`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

/// The name of an interface that was given none.
pub const DEFAULT_NAME: &str = "default";

/// One local address, the name by which a `direction` asks for it, and the address that SDP shows for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// What `direction` calls it. Several interfaces may share a name, one for each address family.
    pub name: Arc<str>,
    /// What sockets are bound to.
    pub local: IpAddr,
    /// What SDP shows: the same, unless the server is behind a NAT.
    pub advertised: IpAddr,
}

impl Interface {
    /// An interface without a NAT in front of it, named [`DEFAULT_NAME`].
    #[must_use]
    pub fn plain(address: IpAddr) -> Self {
        Self { name: DEFAULT_NAME.into(), local: address, advertised: address }
    }
}

impl FromStr for Interface {
    type Err = InterfaceError;

    /// Reads `[NAME/]ADDRESS[!ADVERTISED]`. IPv6 addresses may stand in brackets.
    fn from_str(text: &str) -> Result<Self, InterfaceError> {
        let (name, addresses) = text.split_once('/').unwrap_or((DEFAULT_NAME, text));
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
            return Err(InterfaceError::Name { text: text.to_owned(), name: name.to_owned() });
        }
        let (local, advertised) = match addresses.split_once('!') {
            Some((local, advertised)) => (address(text, local)?, address(text, advertised)?),
            None => (address(text, addresses)?, address(text, addresses)?),
        };
        if local.is_unspecified() || advertised.is_unspecified() {
            return Err(InterfaceError::Unspecified { text: text.to_owned() });
        }
        if local.is_ipv4() != advertised.is_ipv4() {
            return Err(InterfaceError::FamiliesDiffer { text: text.to_owned(), local, advertised });
        }
        Ok(Self { name: name.into(), local, advertised })
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.name, self.local)?;
        if self.advertised == self.local { Ok(()) } else { write!(formatter, "!{}", self.advertised) }
    }
}

fn address(text: &str, part: &str) -> Result<IpAddr, InterfaceError> {
    let bare = part.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(part);
    bare.parse().map_err(|_| InterfaceError::Address { text: text.to_owned(), part: part.to_owned() })
}

/// What is wrong with the text of an interface. Each says how it should look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InterfaceError {
    /// The part before the slash cannot be a name.
    Name {
        /// All of what was given.
        text: String,
        /// The part in question.
        name: String,
    },
    /// A part is no IP address.
    Address {
        /// All of what was given.
        text: String,
        /// The part in question.
        part: String,
    },
    /// `0.0.0.0` or `::` cannot be written into SDP.
    Unspecified {
        /// All of what was given.
        text: String,
    },
    /// A NAT of this kind translates within one address family.
    FamiliesDiffer {
        /// All of what was given.
        text: String,
        /// What sockets would be bound to.
        local: IpAddr,
        /// What SDP would show.
        advertised: IpAddr,
    },
}

impl fmt::Display for InterfaceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { text, name } => write!(
                formatter,
                "interface \"{text}\": \"{name}\" cannot be a name; write NAME/ADDRESS with letters, digits, \
                 - _ or . in the name, as in pub/10.0.0.5"
            ),
            Self::Address { text, part } => write!(
                formatter,
                "interface \"{text}\": \"{part}\" is not an IP address; write an address without a port, as in \
                 127.0.0.1, pub/10.0.0.5!203.0.113.5 or 2001:db8::1"
            ),
            Self::Unspecified { text } => write!(
                formatter,
                "interface \"{text}\": an address that peers can send to is needed, because it is written into \
                 SDP; write one of this host's addresses instead"
            ),
            Self::FamiliesDiffer { text, local, advertised } => write!(
                formatter,
                "interface \"{text}\": {local} and {advertised} are of different address families; write one \
                 interface for each family"
            ),
        }
    }
}

impl std::error::Error for InterfaceError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_ways_of_writing_an_interface() {
        let plain: Interface = "127.0.0.1".parse().unwrap();
        assert_eq!(plain, Interface::plain([127, 0, 0, 1].into()));
        let natted: Interface = "pub/10.0.0.5!203.0.113.5".parse().unwrap();
        assert_eq!(&*natted.name, "pub");
        assert_eq!(natted.local.to_string(), "10.0.0.5");
        assert_eq!(natted.advertised.to_string(), "203.0.113.5");
        for text in ["2001:db8::1", "[2001:db8::1]", "default/2001:db8::1"] {
            assert_eq!(text.parse::<Interface>().unwrap().local.to_string(), "2001:db8::1");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["pub/10.0.0.5!203.0.113.5", "default/127.0.0.1", "in/2001:db8::1"] {
            assert_eq!(text.parse::<Interface>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_mistake_is_answered_with_the_right_way() {
        let complaint = |text: &str| text.parse::<Interface>().unwrap_err().to_string();
        assert!(complaint("eth0").contains("\"eth0\" is not an IP address"));
        assert!(complaint("127.0.0.1:5060").contains("without a port"));
        assert!(complaint("/127.0.0.1").contains("NAME/ADDRESS"));
        assert!(complaint("0.0.0.0").contains("written into SDP"));
        assert!(complaint("a/10.0.0.1!2001:db8::1").contains("different address families"));
    }
}
