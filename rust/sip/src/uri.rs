//! SIP URIs (section 19.1): read and written. `tel:` and unknown schemes are kept as text.

use std::fmt;
use std::net::Ipv6Addr;

use crate::Malformed;
use crate::fields::digits;
use crate::text::Text;

/// Of `sip:`, when none is written.
pub const DEFAULT_PORT: u16 = 5060;
/// Of `sips:`, when none is written.
pub const DEFAULT_PORT_TLS: u16 = 5061;

/// One URI. Schemes other than sip and sips have an empty `host`, and `user` holds the rest of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri {
    /// In lower case.
    pub scheme: Text,
    /// With its escapes and password.
    pub user: Option<Text>,
    /// In lower case, without brackets.
    pub host: Text,
    /// As written, if it is.
    pub port: Option<u16>,
    /// Names in lower case, values as written; None for a parameter without a value (`;lr`).
    pub parameters: Vec<(Text, Option<Text>)>,
    /// The text after the question mark.
    pub headers: Text,
}

impl Uri {
    /// The value of parameter `name` (lower case): empty when it has none.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let (_, value) = self.parameters.iter().find(|(key, _)| **key == *name)?;
        Some(value.as_deref().unwrap_or(""))
    }

    /// The user without escapes and password: whom it names. Empty when it names none.
    #[must_use]
    pub fn username(&self) -> String {
        let user = self.user.as_deref().unwrap_or("");
        unescaped(user.split(':').next().unwrap_or(""))
    }

    /// The port to send to, before any DNS.
    #[must_use]
    pub fn usual_port(&self) -> u16 {
        self.port.unwrap_or(if *self.scheme == *"sips" { DEFAULT_PORT_TLS } else { DEFAULT_PORT })
    }

    /// What it asks for, as Via writes it: `TLS` for sips, else its transport parameter.
    ///
    /// `sips` never means less than TLS, whatever its parameter says (section 26.2.2).
    #[must_use]
    pub fn transport(&self) -> Option<String> {
        if *self.scheme == *"sips" {
            return Some("TLS".to_owned());
        }
        self.parameter("transport").filter(|asked| !asked.is_empty()).map(str::to_uppercase)
    }

    /// Without what is not allowed in a Request-URI: the headers and `method` (section 19.1.1, table 1).
    #[must_use]
    pub fn bare(&self) -> Self {
        let mut uri = self.clone();
        uri.parameters.retain(|(name, _)| **name != *"method");
        uri.headers = Text::fixed("");
        uri
    }
}

/// Parameters that make two URIs differ when only one of them has it (section 19.1.4).
const SIGNIFICANT: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

/// Whether two URIs name the same resource by the rules of section 19.1.4.
#[must_use]
pub fn equivalent(one: &Uri, other: &Uri) -> bool {
    let place = |uri: &Uri| (uri.scheme.clone(), uri.host.clone(), uri.port);
    let user = |uri: &Uri| uri.user.as_deref().map(unescaped);
    let headers = |uri: &Uri| {
        let mut headers: Vec<String> = uri.headers.split('&').map(str::to_owned).collect();
        headers.sort_unstable();
        headers
    };
    place(one) == place(other)
        && user(one) == user(other)
        && headers(one) == headers(other)
        && agrees(one, other)
        && agrees(other, one)
}

/// Whether each parameter of `one` is the same in `other`, or may be missing there. Of two with one name the last counts.
fn agrees(one: &Uri, other: &Uri) -> bool {
    one.parameters.iter().all(|(name, _)| match (last(one, name), last(other, name)) {
        (mine, Some(theirs)) => mine.is_some_and(|mine| mine.to_lowercase() == theirs.to_lowercase()),
        (_, None) => !SIGNIFICANT.contains(&&**name),
    })
}

fn last<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    let (_, value) = uri.parameters.iter().rfind(|(key, _)| **key == *name)?;
    Some(value.as_deref().unwrap_or(""))
}

/// With a letter for each `%41`.
fn unescaped(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut plain = pieces.next().unwrap_or("").to_owned();
    for piece in pieces {
        let code = piece.get(..2).filter(|code| code.bytes().all(|digit| digit.is_ascii_hexdigit()));
        if let Some(letter) = code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            plain.push(char::from(letter));
            plain.push_str(&piece[2..]);
        } else {
            plain.push('%');
            plain.push_str(piece);
        }
    }
    plain
}

impl fmt::Display for Uri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:", &*self.scheme)?;
        let user = self.user.as_deref().unwrap_or("");
        if self.host.is_empty() {
            formatter.write_str(user)?;
            return self.write_parameters(formatter);
        }
        if self.user.is_some() {
            write!(formatter, "{user}@")?;
        }
        if self.host.contains(':') {
            write!(formatter, "[{}]", &*self.host)?;
        } else {
            formatter.write_str(&self.host)?;
        }
        if let Some(port) = self.port {
            write!(formatter, ":{port}")?;
        }
        self.write_parameters(formatter)?;
        if self.headers.is_empty() { Ok(()) } else { write!(formatter, "?{}", &*self.headers) }
    }
}

impl Uri {
    fn write_parameters(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.parameters {
            write!(formatter, ";{}", &**name)?;
            if let Some(value) = value {
                write!(formatter, "={}", &**value)?;
            }
        }
        Ok(())
    }
}

/// Reads an addr-spec without angle brackets.
///
/// # Errors
///
/// It is no URI, or no SIP URI in spite of its scheme.
pub fn uri_untrusted(text: &Text) -> Result<Uri, Malformed> {
    let (scheme, rest) = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme)).ok_or(NO_SCHEME)?;
    // Wider than the grammar on purpose: phones send raw UTF-8 and '#'. What could break out of a header is not.
    if rest.bytes().any(|byte| byte <= b' ' || matches!(byte, 0x7f | b'<' | b'>' | b'"')) {
        return Err(Malformed::because("URI contains a space, a quote or an angle bracket"));
    }
    let scheme = text.part(scheme).lowered();
    if matches!(&*scheme, "sip" | "sips") {
        return sip(scheme, text, rest);
    }
    let telephone = *scheme == *"tel";
    let (subscriber, parameters) = rest.split_once(';').map_or((rest, None), |(user, rest)| (user, Some(rest)));
    if subscriber.is_empty() {
        return Err(Malformed::because("URI is empty after its scheme"));
    }
    Ok(Uri {
        scheme,
        user: Some(text.part(if telephone { subscriber } else { rest })),
        host: Text::fixed(""),
        port: None,
        parameters: parameters
            .filter(|_| telephone)
            .map_or(Ok(Vec::new()), |rest| parameters_untrusted(text, rest))?,
        headers: Text::fixed(""),
    })
}

const NO_SCHEME: Malformed = Malformed::because("URI has no scheme");

fn is_scheme(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte))
}

fn sip(scheme: Text, text: &Text, rest: &str) -> Result<Uri, Malformed> {
    // The user part may hold ';' and '?', so the at-sign is looked for first; nothing after it may hold another.
    let (user, after) = rest.split_once('@').map_or((None, rest), |(user, after)| (Some(user), after));
    if user == Some("") || (user.is_some() && after.contains('@')) {
        return Err(Malformed::because("URI has an empty user or a second at-sign"));
    }
    let (place, headers) = after.split_once('?').unwrap_or((after, ""));
    let (place, parameters) = place.split_once(';').map_or((place, None), |(place, rest)| (place, Some(rest)));
    let (host, port) = host_port_untrusted(&text.part(place))?;
    Ok(Uri {
        scheme,
        user: user.map(|user| text.part(user)),
        host,
        port,
        parameters: parameters.map_or(Ok(Vec::new()), |rest| parameters_untrusted(text, rest))?,
        headers: text.part(headers),
    })
}

fn parameters_untrusted(text: &Text, parameters: &str) -> Result<Vec<(Text, Option<Text>)>, Malformed> {
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').map_or((part, None), |(name, value)| (name, Some(value)));
        if name.is_empty() {
            return Err(Malformed::because("URI has a parameter without a name"));
        }
        Ok((text.part(name).lowered(), value.map(|value| text.part(value))))
    };
    parameters.split(';').map(pair).collect()
}

/// Reads `host[:port]` of a URI or Via: the host without brackets, in lower case.
pub(crate) fn host_port_untrusted(text: &Text) -> Result<(Text, Option<u16>), Malformed> {
    if let Some(inside) = text.strip_prefix('[') {
        let (host, rest) = inside
            .split_once(']')
            .filter(|(host, _)| host.parse::<Ipv6Addr>().is_ok())
            .ok_or(Malformed::because("not an IPv6 address between the brackets"))?;
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(port_untrusted(port)?),
            None if rest.is_empty() => None,
            None => return Err(Malformed::because("text after the IPv6 address")),
        };
        return Ok((text.part(host).lowered(), port));
    }
    let (host, port) = text.split_once(':').map_or((&**text, None), |(host, port)| (host, Some(port)));
    if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
        return Err(Malformed::because("host is empty or has a character that no host name has"));
    }
    Ok((text.part(host).lowered(), port.map(port_untrusted).transpose()?))
}

/// A port number in decimal digits.
pub(crate) fn port_untrusted(text: &str) -> Result<u16, Malformed> {
    digits(text, 5)
        .and_then(|port| u16::try_from(port).ok())
        .ok_or(Malformed::because("port is not a number up to 65535"))
}
