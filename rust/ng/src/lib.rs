//! The `ng` protocol that media servers are controlled with: rtpengine's, over UDP, in bencode or JSON.
//!
//! A datagram is a cookie, a space and a dictionary. This crate turns bytes into typed requests and replies
//! and back; it opens no socket and reads no clock.
#![forbid(unsafe_code)]
