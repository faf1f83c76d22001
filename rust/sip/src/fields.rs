//! Header field values (section 25): Via, From/To/Contact/Route, `CSeq`, lists and parameters.
//!
//! Each reader goes through the text once, so hostile text costs no more than its length.

use std::fmt;

use crate::names::is_token;
use crate::text::Text;
use crate::uri::{DEFAULT_PORT, host_port_untrusted, port_untrusted};
use crate::{Malformed, VERSION};

const MAGIC_COOKIE: &str = "z9hG4bK";
const CSEQ_MAX: u64 = (1 << 31) - 1;

/// The sequence number and the method of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CSeq {
    /// Below 2**31 (section 8.1.1.5).
    pub number: u32,
    /// A token.
    pub method: Text,
}

impl fmt::Display for CSeq {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.number, &*self.method)
    }
}

/// Reads `314159 INVITE`.
///
/// # Errors
///
/// It is something else.
pub fn cseq_untrusted(value: &Text) -> Result<CSeq, Malformed> {
    let mut parts = value.split_whitespace();
    let (Some(number), Some(method), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Malformed::because("CSeq is not a number and a method"));
    };
    let number = digits(number, 11)
        .filter(|number| *number <= CSEQ_MAX)
        .and_then(|number| u32::try_from(number).ok())
        .ok_or(Malformed::because("CSeq number is not below 2**31"))?;
    if !is_token(method) {
        return Err(Malformed::because("CSeq method is not a token"));
    }
    Ok(CSeq { number, method: value.part(method) })
}

/// The topmost Via: who sent the message and where its responses go (section 20.42, RFC 3581).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    /// The value as written.
    pub text: Text,
    /// Upper case: `UDP`.
    pub transport: Text,
    /// In lower case, without brackets.
    pub host: Text,
    /// As written, if it is.
    pub port: Option<u16>,
    /// What names the transaction.
    pub branch: Option<Text>,
    /// Where it really came from, as somebody before us saw it.
    pub received: Option<Text>,
    /// The port in `rport=`; 0 when it is there without a value, as a request asks.
    pub rport: Option<u16>,
}

impl Via {
    /// Host and port as one comparable text; a missing port means 5060.
    #[must_use]
    pub fn sent_by(&self) -> String {
        format!("{}:{}", &*self.host, self.port.unwrap_or(DEFAULT_PORT))
    }

    /// Whether the branch was made by the rules of RFC 3261, and so names a transaction by itself.
    #[must_use]
    pub fn unique(&self) -> bool {
        self.branch.as_ref().is_some_and(|branch| branch.starts_with(MAGIC_COOKIE) && **branch != *MAGIC_COOKIE)
    }

    /// The text that goes into responses: `received` and `rport` filled in (RFC 3581 section 4). None: as it is.
    #[must_use]
    pub fn received_from(&self, host: &str, port: u16) -> Option<String> {
        if self.rport.is_none() && *self.host == *host {
            return None;
        }
        // Whatever the sender wrote there itself is not believed, so that nobody steers our responses.
        let parts = split(&self.text, b';').unwrap_or_default();
        let (first, parameters) = parts.split_first()?;
        let kept = parameters.iter().filter(|part| !matches!(&*name(part), "received" | "rport"));
        let mut text = kept.fold((*first).to_owned(), |text, part| text + ";" + part);
        text = text + ";received=" + host;
        if self.rport.is_some() {
            text = text + ";rport=" + &port.to_string();
        }
        Some(text)
    }
}

/// Reads the first Via of a field that may hold several, separated by commas.
///
/// # Errors
///
/// It is no Via of SIP/2.0.
pub fn via_untrusted(value: &Text) -> Result<Via, Malformed> {
    let text = value.part(first_of(value)?);
    if text.contains('<') {
        return Err(Malformed::because("Via contains an angle bracket"));
    }
    let parts = split(&text, b';')?;
    let sent = parts[0];
    let (transport, place) = protocol(sent)?;
    let spaceless;
    let place = place.trim();
    let place = if place.contains(' ') {
        spaceless = Text::from(place.replace(' ', ""));
        spaceless
    } else {
        text.part(place)
    };
    let (host, port) = host_port_untrusted(&place)?;
    let mut via = Via {
        transport: if transport == "UDP" {
            Text::fixed("UDP")
        } else {
            Text::from(transport.to_ascii_uppercase())
        },
        text: text.clone(),
        host,
        port,
        branch: None,
        received: None,
        rport: None,
    };
    for parameter in &parts[1..] {
        let (key, setting) = parameter.split_once('=').unwrap_or((parameter, ""));
        let setting = setting.trim();
        match key.trim() {
            "" => return Err(Malformed::because("Via has a parameter without a name")),
            key if key.eq_ignore_ascii_case("branch") => via.branch = Some(text.part(setting)),
            key if key.eq_ignore_ascii_case("received") => via.received = Some(text.part(setting)),
            key if key.eq_ignore_ascii_case("rport") => {
                via.rport = Some(if setting.is_empty() { 0 } else { port_untrusted(setting)? });
            }
            _ => {}
        }
    }
    Ok(via)
}

/// The transport and the place of `SIP/2.0/UDP host`; spaces may be around the slashes (25.1).
fn protocol(sent: &str) -> Result<(&str, &str), Malformed> {
    let (protocol, place) = sent.trim().split_once(' ').unwrap_or((sent.trim(), ""));
    let (version, transport, place) = match protocol.rsplit_once('/') {
        Some((version, transport)) if version.eq_ignore_ascii_case(VERSION) && !transport.is_empty() => {
            (version.to_owned(), transport, place)
        }
        _ => spaced_protocol(sent)?,
    };
    // Of another version, too: whoever speaks it is told so, and its Via says where.
    let of_sip = version.split_once('/').is_some_and(|(name, _)| name.eq_ignore_ascii_case("SIP"));
    if !of_sip || !is_token(transport) {
        return Err(NO_SIP);
    }
    Ok((transport, place))
}

const NO_SIP: Malformed = Malformed::because("Via is not SIP over a transport");

fn spaced_protocol(sent: &str) -> Result<(String, &str, &str), Malformed> {
    let mut pieces = sent.split('/').map(str::trim);
    let (Some(name), Some(version), Some(rest), None) =
        (pieces.next(), pieces.next(), pieces.next(), pieces.next())
    else {
        return Err(NO_SIP);
    };
    let (transport, place) = rest.split_once(' ').unwrap_or((rest, ""));
    Ok((format!("{name}/{version}"), transport, place))
}

/// A From, To, Contact, Route or similar value: `"Display" <uri>;parameters`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr {
    /// As written, quotes included; empty when there is none.
    pub display: Text,
    /// The text of the URI without angle brackets; it is not taken apart.
    pub uri: Text,
    /// The header's own parameters as written, each with its semicolon in front.
    pub parameters: Text,
    /// The parameter of this name.
    pub tag: Option<Text>,
}

impl NameAddr {
    /// A parameter of the header by its lower-case name: empty when it has no value.
    ///
    /// # Errors
    ///
    /// A quote or bracket among the parameters is not closed.
    pub fn parameter(&self, name: &str) -> Result<Option<&str>, Malformed> {
        parameter(&self.parameters, name)
    }

    /// Display name and `<uri>`, without parameters: what a dialog keeps of From and To.
    #[must_use]
    pub fn address(&self) -> String {
        if self.display.is_empty() {
            format!("<{}>", &*self.uri)
        } else {
            format!("{} <{}>", &*self.display, &*self.uri)
        }
    }
}

/// Reads one name-addr or addr-spec.
///
/// # Errors
///
/// It is neither.
pub fn name_addr_untrusted(value: &Text) -> Result<NameAddr, Malformed> {
    let quoted = if value.starts_with('"') { quote_end(value, 0)? } else { 0 };
    let Some(bracket) = value[quoted..].find('<').map(|at| at + quoted) else {
        return addr_spec(value, quoted > 0);
    };
    let end = value[bracket..].find('>').map(|at| at + bracket).ok_or(BRACKET)?;
    let uri = value[bracket + 1..end].trim();
    let parameters = value[end + 1..].trim();
    if !uri.contains(':') {
        return Err(Malformed::because("no URI between the angle brackets"));
    }
    if !parameters.is_empty() && !parameters.starts_with(';') {
        return Err(Malformed::because("text after the angle bracket that is no parameter"));
    }
    let display = value[..bracket].trim();
    // Wider than 'token': unquoted letters beyond ASCII are common and harmless.
    if quoted == 0 && display.contains(['"', '<', '>', ':', ';', ',', '@', '\\', '(', ')']) {
        return Err(Malformed::because("display name needs quotes"));
    }
    Ok(NameAddr {
        display: value.part(display),
        uri: value.part(uri),
        parameters: value.part(parameters),
        tag: tag(value, parameters)?,
    })
}

/// Without brackets, what follows a semicolon belongs to the header and not to the URI (section 20.10).
fn addr_spec(value: &Text, quoted: bool) -> Result<NameAddr, Malformed> {
    let (uri, parameters) = value.split_at(value.find(';').unwrap_or(value.len()));
    let uri = uri.trim();
    if quoted || !uri.contains(':') || uri.contains([' ', '>', ',', '?']) {
        return Err(Malformed::because("not a URI"));
    }
    let parameters = parameters.trim_end();
    Ok(NameAddr {
        display: Text::fixed(""),
        uri: value.part(uri),
        parameters: value.part(parameters),
        tag: tag(value, parameters)?,
    })
}

fn tag(value: &Text, parameters: &str) -> Result<Option<Text>, Malformed> {
    let Some(tag) = parameter(parameters, "tag")? else { return Ok(None) };
    if is_token(tag) { Ok(Some(value.part(tag))) } else { Err(Malformed::because("tag is not a token")) }
}

fn parameter<'a>(parameters: &'a str, wanted: &str) -> Result<Option<&'a str>, Malformed> {
    if parameters.is_empty() {
        return Ok(None);
    }
    let found = split(parameters, b';')?.into_iter().find(|part| name(part) == wanted);
    Ok(found.map(|part| part.split_once('=').map_or("", |(_, setting)| setting.trim())))
}

fn name(parameter: &str) -> String {
    parameter.split_once('=').map_or(parameter, |(name, _)| name).trim().to_lowercase()
}

/// The members of a comma-separated list; commas in quotes and angle brackets do not count.
///
/// # Errors
///
/// A quote or bracket is not closed.
pub fn split_commas(value: &str) -> Result<Vec<&str>, Malformed> {
    if !value.contains(',') {
        return Ok(vec![value]);
    }
    Ok(split(value, b',')?.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect())
}

/// The first member of a comma-separated list.
///
/// # Errors
///
/// A quote or bracket is not closed.
pub fn first_of(value: &str) -> Result<&str, Malformed> {
    if value.contains(',') { Ok(split(value, b',')?[0].trim()) } else { Ok(value) }
}

/// A number of at most so many decimal digits.
pub(crate) fn digits(text: &str, most: usize) -> Option<u64> {
    let fits = !text.is_empty() && text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

const BRACKET: Malformed = Malformed::because("an angle bracket is not closed");

/// The position after the quoted string that starts at `start`.
fn quote_end(value: &str, start: usize) -> Result<usize, Malformed> {
    let mut escaped = false;
    for (at, byte) in value.bytes().enumerate().skip(start + 1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Ok(at + 1),
            _ => {}
        }
    }
    Err(Malformed::because("a quote is not closed"))
}

/// Cut at the separator, but not inside quotes or angle brackets. There is always a first part.
fn split(value: &str, separator: u8) -> Result<Vec<&str>, Malformed> {
    let bytes = value.as_bytes();
    let mut parts = Vec::with_capacity(4);
    let (mut start, mut at) = (0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at = quote_end(value, at)?;
                continue;
            }
            b'<' => at += value[at..].find('>').ok_or(BRACKET)?,
            byte if byte == separator => {
                parts.push(&value[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    parts.push(&value[start..]);
    Ok(parts)
}
