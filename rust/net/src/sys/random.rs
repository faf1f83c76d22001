//! Chance, from the kernel.

use std::io;

/// `N` random bytes.
///
/// # Errors
/// The kernel's; it only fails where `getrandom(2)` is forbidden.
pub fn random_bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0_u8; N];
    let mut filled = 0;
    while filled < N {
        let rest = &mut bytes[filled..];
        // SAFETY: the pointer and the length describe `rest`, exclusively borrowed.
        match super::checked_count(unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) }) {
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

/// A seed for a generator that is not security.
///
/// # Errors
/// As [`random_bytes`].
pub fn seed() -> io::Result<u64> {
    random_bytes().map(u64::from_ne_bytes)
}
