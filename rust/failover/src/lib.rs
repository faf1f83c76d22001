//! What the failover pool decides: which media servers are usable, in which order they are asked, where a
//! dead server's calls go.
#![forbid(unsafe_code)]
