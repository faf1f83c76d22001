//! A seeded world that lies to the failover pool: loss, delay, crashes, hangs, partitions. Never ships.
#![forbid(unsafe_code)]
