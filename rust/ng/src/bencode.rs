//! Bencode: `d3:key5:value6:numberi7e4:listl1:a1:bee`.

use std::fmt;
use std::io::Write;

use crate::datagram::BodyFault;
use crate::value::{Dictionary, Value};
use crate::{DEPTH_MAX, VALUES_MAX};

/// Parses the one dictionary that `bytes` starts with. What follows it is passed over, as rtpengine does.
pub(crate) fn dictionary_untrusted(bytes: &[u8]) -> Result<Dictionary, BodyFault> {
    let mut reader = Reader { rest: bytes, values_left: VALUES_MAX };
    match reader.value(DEPTH_MAX)? {
        Value::Dictionary(dictionary) => Ok(dictionary),
        _ => Err(BodyFault::UnknownFormat),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    values_left: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth_left: usize) -> Result<Value, BodyFault> {
        self.values_left = self.values_left.checked_sub(1).ok_or(BodyFault::TooLarge)?;
        let deeper = || depth_left.checked_sub(1).ok_or(BodyFault::TooLarge);
        match self.rest.first() {
            Some(b'd') => self.dictionary(deeper()?),
            Some(b'l') => self.list(deeper()?),
            Some(b'i') => self.integer(),
            Some(b'0'..=b'9') => Ok(Value::Text(self.text()?.to_vec())),
            _ => Err(BodyFault::Malformed),
        }
    }

    fn dictionary(&mut self, depth_left: usize) -> Result<Value, BodyFault> {
        self.rest = &self.rest[1..];
        let mut entries = Vec::new();
        while !self.ended() {
            let key = self.text()?.to_vec();
            entries.push((key, self.value(depth_left)?));
        }
        Ok(Value::Dictionary(entries.into_iter().collect()))
    }

    fn list(&mut self, depth_left: usize) -> Result<Value, BodyFault> {
        self.rest = &self.rest[1..];
        let mut items = Vec::new();
        while !self.ended() {
            items.push(self.value(depth_left)?);
        }
        Ok(Value::List(items))
    }

    fn integer(&mut self) -> Result<Value, BodyFault> {
        self.rest = &self.rest[1..];
        let digits = self.up_to(b'e')?;
        if padded(digits.strip_prefix(b"-").unwrap_or(digits)) {
            return Err(MALFORMED);
        }
        std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse().ok())
            .map(Value::Integer)
            .ok_or(MALFORMED)
    }

    fn text(&mut self) -> Result<&'a [u8], BodyFault> {
        let digits = self.up_to(b':')?;
        if !digits.iter().all(u8::is_ascii_digit) || padded(digits) {
            return Err(MALFORMED);
        }
        let length: usize =
            std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(MALFORMED)?;
        let (text, rest) = self.rest.split_at_checked(length).ok_or(MALFORMED)?;
        self.rest = rest;
        Ok(text)
    }

    /// The bytes before the next `mark`, which is consumed. No number is longer than `NUMBER_BYTES_MAX`.
    fn up_to(&mut self, mark: u8) -> Result<&'a [u8], BodyFault> {
        const NUMBER_BYTES_MAX: usize = 21;
        let length = self.rest.iter().take(NUMBER_BYTES_MAX).position(|byte| *byte == mark).ok_or(MALFORMED)?;
        let taken = &self.rest[..length];
        self.rest = &self.rest[length + 1..];
        Ok(taken)
    }

    /// Whether the list or dictionary ends here; its end is consumed.
    fn ended(&mut self) -> bool {
        let ended = self.rest.first() == Some(&b'e');
        if ended {
            self.rest = &self.rest[1..];
        }
        ended
    }
}

/// Whether a number is written longer than it is; bencode has one way to write each.
fn padded(digits: &[u8]) -> bool {
    digits.len() > 1 && digits.starts_with(b"0")
}

const MALFORMED: BodyFault = BodyFault::Malformed;

/// Appends `dictionary` to `bytes`, keys in the order they were set.
pub(crate) fn write_dictionary(dictionary: &Dictionary, bytes: &mut Vec<u8>) {
    bytes.push(b'd');
    for (key, value) in dictionary.iter() {
        write_text(key, bytes);
        write_value(value, bytes);
    }
    bytes.push(b'e');
}

fn write_value(value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::Text(text) => write_text(text, bytes),
        Value::Integer(number) => write_number(format_args!("i{number}e"), bytes),
        Value::List(items) => {
            bytes.push(b'l');
            for item in items {
                write_value(item, bytes);
            }
            bytes.push(b'e');
        }
        Value::Dictionary(dictionary) => write_dictionary(dictionary, bytes),
    }
}

fn write_text(text: &[u8], bytes: &mut Vec<u8>) {
    write_number(format_args!("{}:", text.len()), bytes);
    bytes.extend_from_slice(text);
}

fn write_number(number: fmt::Arguments<'_>, bytes: &mut Vec<u8>) {
    // Memory takes whatever is written.
    let _ = bytes.write_fmt(number);
}
