//! Does: sockets, threads and timers for the relay, the control port and the failover pool.
