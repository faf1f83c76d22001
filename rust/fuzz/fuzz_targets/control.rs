//! `cargo fuzz run control`: see [`mediaha_fuzz::check_control`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mediaha_fuzz::check_control(bytes));
