//! `cargo fuzz run rtp`: see [`mediaha_fuzz::check_rtp`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mediaha_fuzz::check_rtp(bytes));
