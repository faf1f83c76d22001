//! An RTP load generator that checks what it hears: destination, order and content of every packet.
