//! `cargo fuzz run rtcp`: see [`mediaha_fuzz::check_rtcp`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mediaha_fuzz::check_rtcp(bytes));
