//! The texts of error replies. Clients match on them letter by letter.

/// The server has as many sessions as it may have.
pub const SESSION_LIMIT: &str = "Parallel session limit reached";
/// The server's load average is too high.
pub const LOAD_LIMIT: &str = "Load limit exceeded";
/// The server's CPU is too busy.
pub const CPU_LIMIT: &str = "CPU usage limit exceeded";
/// The server moves too many bytes.
pub const BANDWIDTH_LIMIT: &str = "Bandwidth limit exceeded";
/// No port is left for another stream.
pub const NO_PORTS: &str = "Ran out of ports";
/// The call is not known here (any more).
pub const UNKNOWN_CALL: &str = "Unknown call-id";
/// The same, in answer to `block media` and its like.
pub const UNKNOWN_CALL_ID: &str = "Unknown call-ID";
/// No party of the call has the tag.
pub const UNKNOWN_TAG: &str = "From-tag given, but no such tag exists";
/// No party of the call was given the label.
pub const UNKNOWN_LABEL: &str = "No monologue matching the given label";
/// No party of the call has the address in its SDP.
pub const UNKNOWN_ADDRESS: &str = "Failed to match address to any tag";
/// What is to be the address of a party is none.
pub const BAD_ADDRESS: &str = "Failed to parse network address";
/// The one party sends nothing to the other.
pub const NO_FLOW: &str = "Media flow not found";
/// The `warning` in the otherwise good answer to deleting a call that is not known.
pub const NOTHING_DELETED: &str = "Call-ID not found or tags didn't match";
/// A command that is not known.
pub const UNRECOGNIZED_COMMAND: &str = "Unrecognized command";
/// Nothing follows the cookie.
pub const NO_PAYLOAD: &str = "Invalid data (no payload)";
/// What follows the cookie is neither bencode nor JSON, or no dictionary.
pub const UNKNOWN_FORMAT: &str = "Invalid NG data format";
/// The bencoded dictionary is broken.
pub const BAD_BENCODE: &str = "Could not decode bencode dictionary";
/// The JSON object is broken.
pub const BAD_JSON: &str = "Failed to parse JSON document";
/// The dictionary has no command.
pub const NO_COMMAND: &str = "Dictionary contains no key \"command\"";
/// The request has no call-id.
pub const NO_CALL_ID: &str = "No call-id in message";
/// The request has no from-tag.
pub const NO_FROM_TAG: &str = "No from-tag in message";
/// The answer has no to-tag.
pub const NO_TO_TAG: &str = "No to-tag in message";
/// The offer or answer has no SDP.
pub const NO_SDP: &str = "No SDP body in message";
/// The SDP is not SDP.
pub const SDP_UNPARSABLE: &str = "Failed to parse SDP";
/// The SDP lacks what a stream needs.
pub const SDP_INCOMPLETE: &str = "Incomplete SDP specification";
/// The SDP was understood, and could not be rewritten.
pub const SDP_NOT_REWRITTEN: &str = "Error rewriting SDP";
/// `transport protocol` asks for SRTP where there is none, or the other way round.
pub const KEYS: &str = "SRTP can be neither added nor taken away here";
/// `list` with a limit below zero.
pub const BAD_LIMIT: &str = "invalid limit, must be >= 0";

/// Whether `reason` blames the request rather than the server: asking another server would change nothing.
#[must_use]
pub fn is_callers_fault(reason: &[u8]) -> bool {
    // Not in this list: the calls and tags a server does not know. It may have lost its memory.
    const CALLERS: [&str; 13] = [
        NO_PAYLOAD,
        UNKNOWN_FORMAT,
        BAD_BENCODE,
        BAD_JSON,
        NO_COMMAND,
        NO_CALL_ID,
        NO_FROM_TAG,
        NO_TO_TAG,
        NO_SDP,
        SDP_UNPARSABLE,
        SDP_INCOMPLETE,
        SDP_NOT_REWRITTEN,
        "Failed to rewrite SDP",
    ];
    CALLERS.iter().any(|text| text.as_bytes() == reason)
}

/// Whether `reason` says that the server is full: another one may have room, and nothing is broken.
#[must_use]
pub fn is_limit(reason: &[u8]) -> bool {
    [SESSION_LIMIT, LOAD_LIMIT, CPU_LIMIT, BANDWIDTH_LIMIT, NO_PORTS].iter().any(|text| text.as_bytes() == reason)
}
