//! `cargo fuzz run sip`: see [`mediaha_fuzz::check_sip`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mediaha_fuzz::check_sip(bytes));
