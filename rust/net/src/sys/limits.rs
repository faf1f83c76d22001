//! How many descriptors this process may have.

use std::io;

use super::checked;

/// The limits on open descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    /// What the kernel enforces now.
    pub soft: u64,
    /// What the process may raise it to by itself.
    pub hard: u64,
}

/// The limits as they are.
///
/// # Errors
/// The kernel's; none is expected.
pub fn open_files() -> io::Result<OpenFiles> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid and exclusively borrowed.
    checked(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    Ok(OpenFiles { soft: limit.rlim_cur, hard: limit.rlim_max })
}

/// Raises the soft limit to the hard one, and a hard one below `wanted` too where the process is allowed to.
///
/// # Errors
/// The kernel's; being refused a higher hard limit is none.
pub fn raise_open_files(wanted: u64) -> io::Result<OpenFiles> {
    let now = open_files()?;
    if now.hard < wanted && apply(wanted, wanted).is_ok() {
        return open_files();
    }
    if now.soft < now.hard {
        apply(now.hard, now.hard)?;
    }
    open_files()
}

fn apply(soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: `limit` is valid for the call.
    checked(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }).map(drop)
}
