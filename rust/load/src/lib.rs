//! An RTP load generator that checks what it hears: sender, order and content of every packet.
//!
//! [`payload`], [`listener`], [`gaps`], [`histogram`], [`timeline`] and [`pace`] decide and know neither clock nor
//! socket.
pub mod gaps;
pub mod histogram;
pub mod listener;
pub mod pace;
pub mod payload;
pub mod timeline;
