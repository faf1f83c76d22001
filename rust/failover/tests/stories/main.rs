//! Stories of the pool: what happens to calls when media servers fail. Virtual time; nothing is random.

mod adopting;
mod families;
mod fencing;
mod gray;
mod moving;
mod server;
mod setup;
mod watching;
mod world;
