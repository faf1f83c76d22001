//! `mediaha._core`: converts between Python and the Rust crates, and does nothing else.
//!
//! Its face is `python/mediaha/_core.pyi`, where everything is described. No thread of Rust's ever calls Python: what it
//! has to say waits in a queue with an eventfd. What may block is done with the interpreter released.
mod arguments;
mod errors;
mod events;
mod keeper;
mod load;
mod media;
mod pool;
mod sip;

use pyo3::prelude::*;

#[pymodule]
mod _core {
    use super::{Bound, PyModule, PyResult};

    #[pymodule_export]
    use super::events::{Anchored, Attempt, Deleted, Moved, Refused, ServerState, ServerView, Stranded};
    #[pymodule_export]
    use super::keeper::{Keeper, Line, Succession};
    #[pymodule_export]
    use super::load::{Arrivals, Gap, Load, adopt_calls, set_up_calls};
    #[pymodule_export]
    use super::media::{MediaServer, Record, share_heap};
    #[pymodule_export]
    use super::pool::Pool;
    #[pymodule_export]
    use super::sip::{
        CSeq, Headers, Message, NameAddr, Request, Response, Uri, Via, cseq_untrusted, equivalent, is_token,
        name_addr_untrusted, read_message, reason_of, split_commas, uri_untrusted, via_untrusted,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::errors::add_to(module)
    }
}
