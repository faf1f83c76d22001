//! `mediaha._core.Request` and `mediaha._core.Response`, and how they are read.

use mediaha_sip::{self as sip, Encoding, Malformed, Start, Text};
use pyo3::PyClass;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString};

use super::headers::{Headers, fields};
use super::values::{CSeq, NameAddr, Uri, Via};
use super::{malformed, string};

/// What requests and responses have in common.
#[pyclass(frozen, subclass, module = "mediaha._core")]
pub(crate) struct Message {
    start: Start,
    headers: Py<Headers>,
    body: Py<PyBytes>,
    encoding: Encoding,
    via: PyOnceLock<Py<Via>>,
    cseq: PyOnceLock<Py<CSeq>>,
    from: PyOnceLock<Py<NameAddr>>,
    to: PyOnceLock<Py<NameAddr>>,
}

impl Message {
    fn new(start: Start, headers: Py<Headers>, body: Py<PyBytes>, encoding: Encoding) -> Self {
        Self {
            start,
            headers,
            body,
            encoding,
            via: PyOnceLock::new(),
            cseq: PyOnceLock::new(),
            from: PyOnceLock::new(),
            to: PyOnceLock::new(),
        }
    }

    /// The value of a header, read once.
    fn read<'a, T, Class>(
        &self,
        py: Python<'_>,
        kept: &'a PyOnceLock<Py<Class>>,
        name: &'static str,
        read: fn(&Text) -> Result<T, Malformed>,
        class: fn(T) -> Class,
    ) -> PyResult<&'a Py<Class>>
    where
        Class: PyClass + Into<PyClassInitializer<Class>>,
    {
        kept.get_or_try_init(py, || {
            let value = self.required(name).and_then(read).map_err(|why| malformed(py, why))?;
            Py::new(py, class(value))
        })
    }

    fn required(&self, name: &'static str) -> Result<&Text, Malformed> {
        self.headers.get().0.first(name).ok_or_else(|| Malformed(format!("no {name}").into()))
    }

    fn first_via(&self, py: Python<'_>) -> PyResult<&Py<Via>> {
        self.read(py, &self.via, "Via", sip::via_untrusted, Via)
    }

    fn first_from(&self, py: Python<'_>) -> PyResult<&Py<NameAddr>> {
        self.read(py, &self.from, "From", sip::name_addr_untrusted, NameAddr)
    }

    fn first_to(&self, py: Python<'_>) -> PyResult<&Py<NameAddr>> {
        self.read(py, &self.to, "To", sip::name_addr_untrusted, NameAddr)
    }

    fn with(&self, py: Python<'_>, headers: Py<Headers>) -> Self {
        Self::new(self.start.clone(), headers, self.body.clone_ref(py), self.encoding)
    }
}

#[pymethods]
impl Message {
    #[getter]
    fn headers(&self, py: Python<'_>) -> Py<Headers> {
        self.headers.clone_ref(py)
    }

    #[getter]
    fn body(&self, py: Python<'_>) -> Py<PyBytes> {
        self.body.clone_ref(py)
    }

    #[getter]
    fn encoding(&self) -> &'static str {
        match self.encoding {
            Encoding::Utf8 => "utf-8",
            Encoding::Latin1 => "latin-1",
        }
    }

    #[getter]
    fn via(&self, py: Python<'_>) -> PyResult<Py<Via>> {
        Ok(self.first_via(py)?.clone_ref(py))
    }

    #[getter]
    fn cseq(&self, py: Python<'_>) -> PyResult<Py<CSeq>> {
        Ok(self.read(py, &self.cseq, "CSeq", sip::cseq_untrusted, CSeq)?.clone_ref(py))
    }

    #[getter]
    fn from_(&self, py: Python<'_>) -> PyResult<Py<NameAddr>> {
        Ok(self.first_from(py)?.clone_ref(py))
    }

    #[getter]
    fn to(&self, py: Python<'_>) -> PyResult<Py<NameAddr>> {
        Ok(self.first_to(py)?.clone_ref(py))
    }

    #[getter]
    #[pyo3(name = "from_tag")]
    fn tag_of_from<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        Ok(tag(py, self.first_from(py)?))
    }

    #[getter]
    #[pyo3(name = "to_tag")]
    fn tag_of_to<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        Ok(tag(py, self.first_to(py)?))
    }

    #[getter]
    fn call_id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        self.required("Call-ID").map(|value| string(py, value)).map_err(|why| malformed(py, why))
    }

    #[getter]
    fn contact(&self, py: Python<'_>) -> PyResult<Option<NameAddr>> {
        let Some(value) = self.headers.get().0.first("Contact") else { return Ok(None) };
        let first = sip::first_of(value).map(Text::from);
        let contact = first.and_then(|first| sip::name_addr_untrusted(&first)).map(NameAddr);
        contact.map(Some).map_err(|why| malformed(py, why))
    }

    #[getter]
    fn content_type(&self) -> String {
        let value = self.headers.get().0.first("Content-Type");
        value.and_then(|value| value.split(';').next()).unwrap_or("").trim().to_lowercase()
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let body = self.body.as_bytes(py);
        let bytes = sip::write(&self.start, &self.headers.get().0, body, self.encoding)
            .map_err(|sip::LineBreak| PyValueError::new_err("the start line or a header contains a line break"))?;
        Ok(PyBytes::new(py, &bytes))
    }
}

fn tag<'py>(py: Python<'py>, address: &Py<NameAddr>) -> Bound<'py, PyString> {
    PyString::new(py, address.get().0.tag.as_deref().unwrap_or(""))
}

/// A request. `uri` is the Request-URI as written.
#[pyclass(frozen, extends = Message, module = "mediaha._core")]
pub(crate) struct Request {
    uri: PyOnceLock<Py<Uri>>,
}

impl Request {
    fn of(message: Message) -> PyClassInitializer<Self> {
        PyClassInitializer::from(message).add_subclass(Self { uri: PyOnceLock::new() })
    }
}

#[pymethods]
impl Request {
    #[new]
    #[pyo3(signature = (method, uri, headers, body=None, encoding="utf-8"))]
    fn new(
        py: Python<'_>,
        method: &str,
        uri: &str,
        headers: Py<Headers>,
        body: Option<Py<PyBytes>>,
        encoding: &str,
    ) -> PyClassInitializer<Self> {
        let start = Start::Request { method: Text::from(method), uri: Text::from(uri) };
        Self::of(Message::new(start, headers, or_none(py, body), encoding_of(encoding)))
    }

    #[getter]
    fn method<'py>(this: &Bound<'py, Self>) -> Bound<'py, PyString> {
        string(this.py(), line(this).0)
    }

    #[getter]
    fn uri<'py>(this: &Bound<'py, Self>) -> Bound<'py, PyString> {
        string(this.py(), line(this).1)
    }

    #[getter]
    fn request_uri(this: &Bound<'_, Self>) -> PyResult<Py<Uri>> {
        let py = this.py();
        let uri = this.get().uri.get_or_try_init(py, || {
            Py::new(py, sip::uri_untrusted(line(this).1).map(Uri).map_err(|why| malformed(py, why))?)
        })?;
        Ok(uri.clone_ref(py))
    }

    #[getter]
    fn max_forwards(this: &Bound<'_, Self>) -> PyResult<u32> {
        let value = message(this).headers.get().0.first("Max-Forwards");
        Ok(value.map_or(Ok(sip::MAX_FORWARDS), |value| value.parse())?)
    }

    fn arrived_from<'py>(this: &Bound<'py, Self>, host: &str, port: u16) -> PyResult<Bound<'py, Self>> {
        let py = this.py();
        let old = message(this);
        let via = &old.first_via(py)?.get().0;
        let Some(text) = via.received_from(host, port) else { return Ok(this.clone()) };
        let headers = &old.headers.get().0;
        let value = headers.first("Via").map_or("", |value| value).replacen(&*via.text, &text, 1);
        let headers = Py::new(py, Headers(headers.with_first_value("Via", &value)))?;
        let mut arrived = old.with(py, headers);
        arrived.cseq = again(py, &old.cseq);
        arrived.from = again(py, &old.from);
        arrived.to = again(py, &old.to);
        Bound::new(py, Self::of(arrived))
    }

    fn with_headers<'py>(this: &Bound<'py, Self>, headers: Py<Headers>) -> PyResult<Bound<'py, Self>> {
        Bound::new(this.py(), Self::of(message(this).with(this.py(), headers)))
    }

    fn with_body<'py>(
        this: &Bound<'py, Self>,
        body: Py<PyBytes>,
        content_type: &str,
    ) -> PyResult<Bound<'py, Self>> {
        let (py, old) = (this.py(), message(this));
        let headers = old.headers.get().0.with_replaced(&sip::Field::new("Content-Type", content_type));
        let headers = Py::new(py, Headers(headers))?;
        Bound::new(py, Self::of(Message::new(old.start.clone(), headers, body, old.encoding)))
    }

    #[pyo3(signature = (status, reason=None, *, to_tag=None, headers=None, body=None))]
    fn response<'py>(
        this: &Bound<'py, Self>,
        status: u16,
        reason: Option<&str>,
        to_tag: Option<&str>,
        headers: Option<&Bound<'py, PyAny>>,
        body: Option<Py<PyBytes>>,
    ) -> PyResult<Bound<'py, Response>> {
        let (py, request) = (this.py(), message(this));
        let headers = sip::response_headers(&request.headers.get().0, status, to_tag, fields(headers)?)
            .map_err(|why| malformed(py, why))?;
        let headers = Py::new(py, Headers(headers))?;
        let reason = reason.filter(|reason| !reason.is_empty());
        let reason = reason.map_or_else(|| Text::fixed(sip::reason_of(status)), Text::from);
        let start = Start::Response { status, reason };
        Bound::new(py, Response::of(Message::new(start, headers, or_none(py, body), request.encoding)))
    }

    fn __repr__(this: &Bound<'_, Self>) -> String {
        let (method, uri) = line(this);
        format!("<Request {} {}>", &**method, &**uri)
    }
}

/// A response.
#[pyclass(frozen, extends = Message, module = "mediaha._core")]
pub(crate) struct Response;

impl Response {
    fn of(message: Message) -> PyClassInitializer<Self> {
        PyClassInitializer::from(message).add_subclass(Self)
    }
}

#[pymethods]
impl Response {
    #[new]
    #[pyo3(signature = (status, reason, headers, body=None, encoding="utf-8"))]
    fn new(
        py: Python<'_>,
        status: u16,
        reason: &str,
        headers: Py<Headers>,
        body: Option<Py<PyBytes>>,
        encoding: &str,
    ) -> PyClassInitializer<Self> {
        let start = Start::Response { status, reason: Text::from(reason) };
        Self::of(Message::new(start, headers, or_none(py, body), encoding_of(encoding)))
    }

    #[getter]
    fn status(this: &Bound<'_, Self>) -> u16 {
        status_line(this).0
    }

    #[getter]
    fn reason<'py>(this: &Bound<'py, Self>) -> Bound<'py, PyString> {
        PyString::new(this.py(), status_line(this).1)
    }

    #[getter]
    #[pyo3(name = "final")]
    fn final_(this: &Bound<'_, Self>) -> bool {
        status_line(this).0 >= 200
    }

    fn with_headers<'py>(this: &Bound<'py, Self>, headers: Py<Headers>) -> PyResult<Bound<'py, Self>> {
        Bound::new(this.py(), Self::of(this.as_super().get().with(this.py(), headers)))
    }

    fn __repr__(this: &Bound<'_, Self>) -> String {
        let (status, reason) = status_line(this);
        format!("<Response {status} {reason}>")
    }
}

/// Reads one datagram: the message, or the status and reason of the answer to what is none, and the request if it is
/// one that can be answered.
#[pyfunction]
pub(crate) fn read_message<'py>(
    py: Python<'py>,
    data: &[u8],
    head_bytes_max: usize,
    headers_max: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let with_body = |start, headers, body: std::ops::Range<usize>, encoding| {
        let headers = Py::new(py, Headers(headers))?;
        Ok::<_, PyErr>(Message::new(start, headers, PyBytes::new(py, &data[body]).unbind(), encoding))
    };
    match sip::read_untrusted(data, &sip::SizeLimits { head_bytes_max, headers_max }) {
        Ok(read) => {
            let mut message = with_body(read.start, read.headers, read.body, read.encoding)?;
            message.via = filled(py, Via(read.via))?;
            message.cseq = filled(py, CSeq(read.cseq))?;
            message.from = filled(py, NameAddr(read.from))?;
            message.to = filled(py, NameAddr(read.to))?;
            match message.start {
                Start::Request { .. } => Ok(Bound::new(py, Request::of(message))?.into_any()),
                Start::Response { .. } => Ok(Bound::new(py, Response::of(message))?.into_any()),
            }
        }
        Err(refused) => {
            let request = match refused.request {
                Some(read) => {
                    let message = with_body(read.start, read.headers, read.body, read.encoding)?;
                    Some(Bound::new(py, Request::of(message))?)
                }
                None => None,
            };
            Ok((refused.status, refused.reason, request).into_pyobject(py)?.into_any())
        }
    }
}

fn filled<Class: PyClass + Into<PyClassInitializer<Class>>>(
    py: Python<'_>,
    value: Class,
) -> PyResult<PyOnceLock<Py<Class>>> {
    let kept = PyOnceLock::new();
    // Nobody else has it, so that it is empty.
    let _ = kept.set(py, Py::new(py, value)?);
    Ok(kept)
}

fn again<Class>(py: Python<'_>, kept: &PyOnceLock<Py<Class>>) -> PyOnceLock<Py<Class>> {
    let copy = PyOnceLock::new();
    if let Some(value) = kept.get(py) {
        let _ = copy.set(py, value.clone_ref(py));
    }
    copy
}

fn message<'a>(request: &'a Bound<'_, Request>) -> &'a Message {
    request.as_super().get()
}

fn line<'a>(request: &'a Bound<'_, Request>) -> (&'a Text, &'a Text) {
    match &message(request).start {
        Start::Request { method, uri } => (method, uri),
        Start::Response { .. } => unreachable!("a Request is made with a request line"),
    }
}

fn status_line<'a>(response: &'a Bound<'_, Response>) -> (u16, &'a str) {
    match &response.as_super().get().start {
        Start::Response { status, reason } => (*status, reason),
        Start::Request { .. } => unreachable!("a Response is made with a status line"),
    }
}

fn or_none(py: Python<'_>, body: Option<Py<PyBytes>>) -> Py<PyBytes> {
    body.unwrap_or_else(|| PyBytes::new(py, b"").unbind())
}

fn encoding_of(name: &str) -> Encoding {
    if name == "latin-1" { Encoding::Latin1 } else { Encoding::Utf8 }
}
