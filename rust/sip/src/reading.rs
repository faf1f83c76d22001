//! Bytes of a datagram become a message, or an error that says what to answer. Total: any bytes give one of the two.

use std::borrow::Cow;
use std::ops::Range;

use crate::fields::{CSeq, NameAddr, Via, cseq_untrusted, digits, name_addr_untrusted, via_untrusted};
use crate::headers::{Field, Headers};
use crate::names::{SINGLE, is_token, name_untrusted, reason_of};
use crate::text::Text;
use crate::uri::uri_untrusted;
use crate::{Encoding, Malformed, Start, VERSION};

const FORWARDS_MAX: u64 = 255;
const NO_END: &str = "No empty line after the headers";

/// What is read at all; a larger request is answered with 513 (section 21.5.7).
#[derive(Debug, Clone, Copy)]
pub struct SizeLimits {
    /// Of the start line and all header lines.
    pub head_bytes_max: usize,
    /// Header lines.
    pub headers_max: usize,
}

/// A message that has what every message must have.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Its first line.
    pub start: Start,
    /// Without Content-Length.
    pub headers: Headers,
    /// Where its body is in the datagram.
    pub body: Range<usize>,
    /// How its head is to be written again.
    pub encoding: Encoding,
    /// The topmost Via.
    pub via: Via,
    /// The From value.
    pub from: NameAddr,
    /// The To value.
    pub to: NameAddr,
    /// The `CSeq` value.
    pub cseq: CSeq,
}

/// The bytes are no SIP message that can be taken.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Of the answer.
    pub status: u16,
    /// Of the answer.
    pub reason: Cow<'static, str>,
    /// There when the bytes are a request that can be answered; else drop them.
    pub request: Option<Box<Answerable>>,
}

/// A request with a fault, as far as its answer needs it.
#[derive(Debug, Clone)]
pub struct Answerable {
    /// Its first line.
    pub start: Start,
    /// Those that could be read.
    pub headers: Headers,
    /// Where its body is in the datagram.
    pub body: Range<usize>,
    /// How its head is to be written again.
    pub encoding: Encoding,
}

type Fault = (u16, Cow<'static, str>);

fn fault(status: u16) -> Fault {
    (status, Cow::Borrowed(reason_of(status)))
}

fn bad(reason: &'static str) -> Fault {
    (400, Cow::Borrowed(reason))
}

impl From<Malformed> for Fault {
    fn from(Malformed(why): Malformed) -> Self {
        (400, why)
    }
}

/// Reads one datagram.
///
/// Bytes after Content-Length are dropped, a body shorter than it is an error, and without it the body is the rest of
/// the datagram (section 18.3). Folded lines are joined with one space (section 7.3.1).
///
/// # Errors
///
/// The first fault that was found.
pub fn read_untrusted(data: &[u8], limits: &SizeLimits) -> Result<Reading, Refused> {
    // Section 7.5: empty lines before the start line are ignored.
    let begin = data.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(data.len());
    let mut faults: Vec<Fault> = Vec::new();
    let window = &data[begin..data.len().min(begin + limits.head_bytes_max)];
    let end = find(window, b"\r\n\r\n").unwrap_or_else(|| {
        let large = data.len() - begin >= limits.head_bytes_max;
        faults.push(if large { fault(513) } else { bad(NO_END) });
        rfind(window, b"\r\n").unwrap_or(0)
    });
    let (head, encoding) = decoded(&window[..end]);
    if has_stray_breaks(&head) {
        // It could end a line in a peer that reads more loosely than we do; nothing of it is sent back.
        return Err(dropped(bad("Line break or NUL inside a line")));
    }
    let first_line = &head[..head.find("\r\n").unwrap_or(head.len())];
    let start = if first_line.starts_with("SIP/") {
        status_line(&head, first_line)
    } else {
        request_line(&head, first_line, &mut faults)
    };
    let start = start.map_err(dropped)?;
    let rest = head.cut((first_line.len() + 2).min(head.len())..head.len());
    let (headers, length) = fields(&rest, limits.headers_max, &mut faults);
    let rest_at = (begin + end + 4).min(data.len());
    let body = body(rest_at..data.len(), length.as_deref(), &mut faults);
    match essentials(&start, &headers, &mut faults) {
        Some((via, from, to, cseq)) if faults.is_empty() => {
            Ok(Reading { start, headers, body, encoding, via, from, to, cseq })
        }
        _ => {
            let answerable = matches!(&start, Start::Request { method, .. } if **method != *"ACK");
            let answerable = answerable && via_of(&headers).is_ok();
            let (status, reason) = faults.swap_remove(0);
            let request = answerable.then(|| Box::new(Answerable { start, headers, body, encoding }));
            Err(Refused { status, reason, request })
        }
    }
}

fn dropped((status, reason): Fault) -> Refused {
    Refused { status, reason, request: None }
}

fn decoded(head: &[u8]) -> (Text, Encoding) {
    // Headers are UTF-8 (section 7). What is not, old phones' Latin-1 names mostly, is kept byte for byte by
    // reading it as Latin-1, which has a letter for every byte.
    match std::str::from_utf8(head) {
        Ok(text) => (Text::from(text), Encoding::Utf8),
        Err(_) => (Text::from(head.iter().map(|byte| char::from(*byte)).collect::<String>()), Encoding::Latin1),
    }
}

fn has_stray_breaks(head: &str) -> bool {
    let bytes = head.as_bytes();
    bytes.iter().enumerate().any(|(at, byte)| match byte {
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        b'\n' => at == 0 || bytes[at - 1] != b'\r',
        byte => *byte == 0,
    })
}

fn status_line(head: &Text, line: &str) -> Result<Start, Fault> {
    let (version, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, &rest[rest.len()..]));
    if version != VERSION {
        return Err(fault(505));
    }
    let status =
        digits(code, 3).and_then(|code| u16::try_from(code).ok()).filter(|code| (100..=699).contains(code));
    match status {
        Some(status) if code.len() == 3 => Ok(Start::Response { status, reason: head.part(reason) }),
        _ => Err(bad("Status code is not between 100 and 699")),
    }
}

fn request_line(head: &Text, line: &str, faults: &mut Vec<Fault>) -> Result<Start, Fault> {
    let end = &line[line.len()..];
    let (method, rest) = line.split_once(' ').unwrap_or((line, end));
    let (uri, version) = rest.split_once(' ').unwrap_or((rest, end));
    if !is_token(method) {
        return Err(bad("Method is not a token"));
    }
    if !version.eq_ignore_ascii_case(VERSION) {
        let other =
            version.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case("SIP/")) && !version.contains(' ');
        faults.push(if other { fault(505) } else { bad("Request line is not method, URI and SIP/2.0") });
    }
    Ok(Start::Request { method: head.part(method), uri: head.part(uri) })
}

/// Cuts the header lines. Returns the value of Content-Length beside them.
fn fields(text: &Text, headers_max: usize, faults: &mut Vec<Fault>) -> (Headers, Option<Text>) {
    let unfolded;
    let text = if text.contains("\r\n ") || text.contains("\r\n\t") {
        unfolded = Text::from(joined(text));
        &unfolded
    } else {
        text
    };
    let faults_before = faults.len();
    let mut found: Vec<Field> = Vec::with_capacity(16);
    let mut length: Option<Text> = None;
    if text.is_empty() {
        return (Headers::default(), None);
    }
    for (number, line) in text.split("\r\n").enumerate() {
        if number == headers_max {
            faults.insert(faults_before, fault(513));
            break;
        }
        let (written, value) = line.split_once(':').unwrap_or(("", ""));
        let name = name_untrusted(written.trim_end_matches([' ', '\t']), text);
        let Some(name) = name else {
            faults.push(bad("Header line is not a name and a value"));
            continue;
        };
        let value = text.part(value.trim_matches([' ', '\t']));
        let is_length = *name.key == *"content-length";
        let again = if is_length { length.is_some() } else { found.iter().any(|field| field.is(&name.key)) };
        if again && SINGLE.contains(&&*name.key) {
            faults.push((400, Cow::Owned(format!("More than one {}", &*name.written))));
        } else if is_length {
            length = Some(value);
        } else {
            found.push(Field { name, value });
        }
    }
    (found.into_iter().collect(), length)
}

fn joined(text: &str) -> String {
    let mut lines = text.split("\r\n");
    let mut joined = lines.next().unwrap_or("").trim_start().to_owned();
    for line in lines {
        if line.starts_with([' ', '\t']) {
            joined.push(' ');
            joined.push_str(line.trim());
        } else {
            joined.push_str("\r\n");
            joined.push_str(line);
        }
    }
    joined
}

fn body(rest: Range<usize>, length: Option<&str>, faults: &mut Vec<Fault>) -> Range<usize> {
    let Some(length) = length else { return rest };
    let Some(stated) = digits(length, 9).and_then(|stated| usize::try_from(stated).ok()) else {
        faults.push(bad("Content-Length is not a number"));
        return rest.start..rest.start;
    };
    if stated > rest.len() {
        faults.push(bad("Body is shorter than Content-Length"));
    }
    rest.start..rest.end.min(rest.start + stated)
}

/// Reads what every message must have (section 8.1.1), so that nobody later finds it unreadable.
fn essentials(
    start: &Start,
    headers: &Headers,
    faults: &mut Vec<Fault>,
) -> Option<(Via, NameAddr, NameAddr, CSeq)> {
    let read = || -> Result<_, Malformed> {
        let via = via_of(headers)?;
        let from = name_addr_untrusted(required(headers, "from", "no From")?)?;
        let to = name_addr_untrusted(required(headers, "to", "no To")?)?;
        let cseq = cseq_untrusted(required(headers, "cseq", "no CSeq")?)?;
        if required(headers, "call-id", "no Call-ID")?.is_empty() {
            return Err(Malformed::because("Call-ID is empty"));
        }
        Ok((via, from, to, cseq))
    };
    let read = match read() {
        Ok(read) => read,
        Err(why) => {
            faults.push(why.into());
            return None;
        }
    };
    if let Start::Request { method, uri } = start {
        if read.3.method != *method {
            faults.push(bad("CSeq has another method than the request line"));
        }
        if let Err(why) = uri_untrusted(uri) {
            faults.push(why.into());
        }
        let forwards = headers.under("max-forwards");
        if forwards.is_some_and(|value| digits(value, 9).is_none_or(|hops| hops > FORWARDS_MAX)) {
            faults.push(bad("Max-Forwards is not a number up to 255"));
        }
    }
    Some(read)
}

fn via_of(headers: &Headers) -> Result<Via, Malformed> {
    via_untrusted(required(headers, "via", "no Via")?)
}

fn required<'a>(headers: &'a Headers, key: &str, missing: &'static str) -> Result<&'a Text, Malformed> {
    headers.under(key).ok_or(Malformed::because(missing))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn rfind(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).rposition(|window| window == wanted)
}
