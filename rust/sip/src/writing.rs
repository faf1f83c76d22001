//! Messages become bytes, and requests become the responses to them.

use crate::headers::{Field, Headers};
use crate::text::Text;
use crate::{Encoding, Malformed, Start, VERSION, name_addr_untrusted};

/// A value would break out of its line. Values that were read from the network cannot do that; one that we made must
/// not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineBreak;

/// The message as it goes into a datagram, with the Content-Length of its body.
///
/// # Errors
///
/// Something that we wrote has a line break in it.
pub fn write(start: &Start, headers: &Headers, body: &[u8], encoding: Encoding) -> Result<Vec<u8>, LineBreak> {
    let fields = headers.fields();
    let room: usize = fields.iter().map(|field| field.name().len() + field.value().len() + 4).sum();
    let mut head = String::with_capacity(room + body.len() + 256);
    match start {
        Start::Request { method, uri } => {
            for part in [method, " ", uri, " ", VERSION] {
                push(&mut head, part)?;
            }
        }
        Start::Response { status, reason } => {
            for part in [VERSION, " ", &status.to_string(), " ", reason] {
                push(&mut head, part)?;
            }
        }
    }
    head.push_str("\r\n");
    for field in fields {
        for part in [field.name(), ": ", field.value()] {
            push(&mut head, part)?;
        }
        head.push_str("\r\n");
    }
    head.push_str("Content-Length: ");
    head.push_str(&body.len().to_string());
    head.push_str("\r\n\r\n");
    let mut bytes = match encoding {
        Encoding::Utf8 => head.into_bytes(),
        Encoding::Latin1 => in_latin1(head),
    };
    bytes.extend_from_slice(body);
    Ok(bytes)
}

fn push(head: &mut String, part: &str) -> Result<(), LineBreak> {
    if part.bytes().any(|byte| matches!(byte, b'\r' | b'\n')) {
        return Err(LineBreak);
    }
    head.push_str(part);
    Ok(())
}

/// Byte for byte as it was read, unless something of ours was added that Latin-1 has no letter for.
fn in_latin1(head: String) -> Vec<u8> {
    let bytes: Result<Vec<u8>, _> = head.chars().map(u8::try_from).collect();
    bytes.unwrap_or_else(|_| head.into_bytes())
}

const COPIED: [&str; 6] = ["via", "from", "to", "call-id", "cseq", "timestamp"];

/// The headers of the response to a request: what it must copy (section 8.2.6.2, and Record-Route of section 12.1.1),
/// then `more`. `to_tag` is ours; it is added when the request has none.
///
/// # Errors
///
/// A tag is to be added to a To that cannot be read.
pub fn response_headers(
    request: &Headers,
    status: u16,
    to_tag: Option<&str>,
    more: impl IntoIterator<Item = Field>,
) -> Result<Headers, Malformed> {
    let mut fields: Vec<Field> = Vec::with_capacity(16);
    let routed = (101..300).contains(&status);
    for field in request.fields() {
        let key = &*field.name.key;
        let copied = COPIED.contains(&key) || (routed && key == "record-route");
        if !copied {
            continue;
        }
        let mut field = field.clone();
        if let (Some(tag), "to") = (to_tag, key)
            && name_addr_untrusted(&field.value)?.tag.is_none()
        {
            field.value = Text::from(format!("{};tag={tag}", &*field.value));
        }
        fields.push(field);
    }
    fields.extend(more);
    Ok(fields.into_iter().collect())
}
