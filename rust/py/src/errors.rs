//! One Python exception for each decision that the caller can take.

use std::ffi::CStr;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// An exception of this module.
#[derive(Clone, Copy)]
pub(crate) enum Raised {
    /// Free the port, or choose another one.
    Start,
    /// Try later, or refuse the call.
    QueueFull,
    /// Correct the argument.
    BadArgument,
    /// Too late.
    Closed,
    /// Answer 400.
    Malformed,
}

static TYPES: PyOnceLock<[Py<PyType>; 5]> = PyOnceLock::new();

const DESCRIPTIONS: [(&CStr, &CStr); 5] = [
    (c"mediaha._core.StartError", c"A socket could not be bound or a thread not be started."),
    (c"mediaha._core.QueueFull", c"The thread has not taken what it was sent before; nothing was queued."),
    (c"mediaha._core.BadArgument", c"An argument is not what its description asks for."),
    (c"mediaha._core.Closed", c"close() was called before."),
    (c"mediaha._core.Malformed", c"A URI or header field does not follow RFC 3261's grammar."),
];

impl Raised {
    /// The exception, saying `text`.
    pub(crate) fn with(self, py: Python<'_>, text: impl Into<String>) -> PyErr {
        match types(py) {
            Ok(types) => PyErr::from_type(types[self as usize].bind(py).clone(), text.into()),
            Err(error) => error,
        }
    }
}

/// Puts the exceptions into the module, and their root, which is the root of all of mediaha's.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("MediahaError", root(py)?)?;
    for exception in types(py)? {
        let exception = exception.bind(py);
        module.add(exception.name()?, exception)?;
    }
    Ok(())
}

fn types(py: Python<'_>) -> PyResult<&[Py<PyType>; 5]> {
    TYPES.get_or_try_init(py, || {
        let root = root(py)?;
        let [start, full, bad, closed, malformed] =
            DESCRIPTIONS.map(|(name, doc)| PyErr::new_type(py, name, Some(doc), Some(&root), None));
        Ok([start?, full?, bad?, closed?, malformed?])
    })
}

fn root(py: Python<'_>) -> PyResult<Bound<'_, PyType>> {
    Ok(py.import("mediaha.model.errors")?.getattr("MediahaError")?.cast_into()?)
}
