//! `mediaha._core`: converts between Python and the Rust crates, and does nothing else.
use pyo3::prelude::*;

#[pymodule]
mod _core {}
