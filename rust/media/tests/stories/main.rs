//! Stories of a media server, told through its two doors: datagrams on the control port, packets on the media
//! ports.
//!
//! The sockets are a table, the clock is a number; everything between is what runs in a real server.

mod adoptions;
mod always;
mod blocking;
mod branches;
mod circles;
mod clock;
mod limits;
mod media;
mod offers;
mod reports;
mod strangers;
mod successor;
mod world;
