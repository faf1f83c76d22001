//! `cargo fuzz run ng`: see [`mediaha_fuzz::check_ng`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mediaha_fuzz::check_ng(bytes));
