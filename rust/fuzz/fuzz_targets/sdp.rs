//! `cargo fuzz run sdp`: see [`mediaha_fuzz::check_sdp`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mediaha_fuzz::check_sdp(bytes));
