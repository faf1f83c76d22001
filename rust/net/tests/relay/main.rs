//! The relay by itself, with real sockets on loopback.

#[path = "../common/mod.rs"]
mod common;
mod world;

/// Tells each story of both datapaths; of steered ports only where this machine has them.
macro_rules! stories {
    ($($story:ident),* $(,)?) => {
        mod sockets {
            $(#[test] fn $story() { super::$story(mediaha_net::relay::DatapathChoice::Sockets); })*
        }
        mod steered {
            $(#[test] fn $story() {
                if crate::world::steers() {
                    super::$story(mediaha_net::relay::DatapathChoice::Steered);
                }
            })*
        }
        mod kernel {
            $(#[test] fn $story() {
                if crate::world::kernel_forwards() {
                    super::$story(mediaha_net::relay::DatapathChoice::Kernel);
                }
            })*
        }
    };
}

mod blocking;
mod forwarding;
mod kernel;
mod overload;
mod ports;
mod strangers;
