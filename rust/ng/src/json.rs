//! JSON bodies. `serde_json` does the syntax; its values and ours differ in a few kinds, see [`from_json`].

use serde_json::Value as Json;

use crate::datagram::BodyFault;
use crate::value::{Dictionary, Value};
use crate::{DEPTH_MAX, VALUES_MAX};

/// Parses `bytes`, all of them, as one object.
pub(crate) fn dictionary_untrusted(bytes: &[u8]) -> Result<Dictionary, BodyFault> {
    // serde_json refuses more than 128 levels by itself, so this cannot exhaust the stack.
    let parsed: Json = serde_json::from_slice(bytes).map_err(|_| BodyFault::Malformed)?;
    match from_json(parsed, DEPTH_MAX, &mut { VALUES_MAX })? {
        Value::Dictionary(dictionary) => Ok(dictionary),
        _ => Err(BodyFault::UnknownFormat),
    }
}

/// A truth becomes 0 or 1, a fraction the text that spells it, null an empty text: bencode has no more.
fn from_json(json: Json, depth_left: usize, values_left: &mut usize) -> Result<Value, BodyFault> {
    *values_left = values_left.checked_sub(1).ok_or(BodyFault::TooLarge)?;
    let deeper = depth_left.checked_sub(1).ok_or(BodyFault::TooLarge);
    Ok(match json {
        Json::Null => Value::Text(Vec::new()),
        Json::Bool(truth) => Value::Integer(i64::from(truth)),
        Json::Number(number) => number.as_i64().map_or_else(|| Value::from(number.to_string()), Value::Integer),
        Json::String(text) => Value::from(text),
        Json::Array(items) => {
            let depth_left = deeper?;
            let items = items.into_iter().map(|item| from_json(item, depth_left, values_left));
            Value::List(items.collect::<Result<_, _>>()?)
        }
        Json::Object(entries) => {
            let depth_left = deeper?;
            let entries = entries
                .into_iter()
                .map(|(key, value)| Ok((key.into_bytes(), from_json(value, depth_left, values_left)?)));
            Value::Dictionary(entries.collect::<Result<_, _>>()?)
        }
    })
}

/// Appends `dictionary` to `bytes`, keys in the order they were set.
pub(crate) fn write_dictionary(dictionary: &Dictionary, bytes: &mut Vec<u8>) {
    bytes.push(b'{');
    for (index, (key, value)) in dictionary.iter().enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        write_text(key, bytes);
        bytes.push(b':');
        write_value(value, bytes);
    }
    bytes.push(b'}');
}

fn write_value(value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::Text(text) => write_text(text, bytes),
        Value::Integer(number) => bytes.extend_from_slice(number.to_string().as_bytes()),
        Value::List(items) => {
            bytes.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    bytes.push(b',');
                }
                write_value(item, bytes);
            }
            bytes.push(b']');
        }
        Value::Dictionary(dictionary) => write_dictionary(dictionary, bytes),
    }
}

fn write_text(text: &[u8], bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(Json::from(String::from_utf8_lossy(text)).to_string().as_bytes());
}
