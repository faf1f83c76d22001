//! What a media server decides: where each packet goes, which source is believed, how SDP is rewritten.
//!
//! No I/O and no clock here: `mediaha-net` owns the sockets and asks this crate.
#![forbid(unsafe_code)]
