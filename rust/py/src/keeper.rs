//! `mediaha._core.Keeper` and `Line`: what outlives a media-server process, and who goes on with it.

use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::sync::{Mutex, PoisonError};

use mediaha_net::estate::{self, News};
use pyo3::prelude::*;

use crate::errors::Raised;

/// A thread that holds what media-server processes leave behind.
#[pyclass(frozen, module = "mediaha._core")]
pub(crate) struct Keeper {
    keeper: Mutex<Option<estate::Keeper>>,
    fileno: RawFd,
}

/// What became of a server whose process has ended, or of a spare.
#[pyclass(frozen, get_all, module = "mediaha._core")]
pub(crate) struct Succession {
    what: &'static str,
    server: Option<String>,
    line: Option<u64>,
    why: Option<&'static str>,
}

/// A media-server process's end of a line to a keeper.
#[pyclass(frozen, module = "mediaha._core")]
pub(crate) struct Line {
    line: Mutex<Option<estate::Line>>,
    fileno: RawFd,
}

#[pymethods]
impl Keeper {
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        let keeper = estate::Keeper::start()
            .map_err(|error| Raised::Start.with(py, format!("the keeper cannot start: {error}")))?;
        let fileno = keeper.as_raw_fd();
        Ok(Self { keeper: Mutex::new(Some(keeper)), fileno })
    }

    fn fileno(&self) -> RawFd {
        self.fileno
    }

    #[pyo3(signature = (server=None, words=""))]
    fn line(&self, py: Python<'_>, server: Option<&str>, words: &str) -> PyResult<(u64, RawFd)> {
        self.with(py, |keeper| keeper.line(server.map(|server| (server, words.as_bytes()))))?
            .map(|(line, end)| (line, end.into_raw_fd()))
            .map_err(|error| Raised::Start.with(py, format!("no line to the keeper: {error}")))
    }

    fn hand_over(&self, py: Python<'_>, server: &str) -> PyResult<()> {
        self.with(py, |keeper| keeper.hand_over(server))
    }

    fn forget(&self, py: Python<'_>, server: &str) -> PyResult<()> {
        self.with(py, |keeper| keeper.forget(server))
    }

    fn news(&self, py: Python<'_>) -> PyResult<Vec<Succession>> {
        self.with(py, |keeper| keeper.news().into_iter().map(Into::into).collect())
    }

    fn close(&self, py: Python<'_>) {
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(keeper));
    }
}

impl Keeper {
    fn with<T>(&self, py: Python<'_>, act: impl FnOnce(&estate::Keeper) -> T) -> PyResult<T> {
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        keeper.as_ref().map(act).ok_or_else(|| Raised::Closed.with(py, "the keeper has been closed"))
    }
}

impl From<News> for Succession {
    fn from(news: News) -> Self {
        let none = Self { what: "", server: None, line: None, why: None };
        match news {
            News::Ready { line } => Self { what: "ready", line: Some(line), ..none },
            News::Given { server, line } => Self { what: "given", server: Some(server), line: Some(line), ..none },
            News::Bereft { server } => Self { what: "bereft", server: Some(server), ..none },
            News::Lost { server, why } => Self { what: "lost", server: Some(server), why: Some(why), ..none },
        }
    }
}

#[pymethods]
impl Line {
    #[new]
    fn new(py: Python<'_>, fd: RawFd) -> PyResult<Self> {
        let line = estate::Line::inherited(fd)
            .map_err(|error| Raised::BadArgument.with(py, format!("{fd} is no line: {error}")))?;
        Ok(Self { line: Mutex::new(Some(line)), fileno: fd })
    }

    fn fileno(&self) -> RawFd {
        self.fileno
    }

    fn ready(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |line| line.ready())
    }

    fn assignment(&self, py: Python<'_>) -> PyResult<String> {
        let words = self.with(py, |line| line.assignment().map(<[u8]>::to_vec))?;
        String::from_utf8(words).map_err(|_| Raised::Start.with(py, "the keeper's words are no text"))
    }
}

impl Line {
    /// The line itself, for the media server that it is given to.
    pub(crate) fn take(&self, py: Python<'_>) -> PyResult<estate::Line> {
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner).take();
        line.ok_or_else(|| Raised::Closed.with(py, "the line is a media server's already"))
    }

    fn with<T: Send>(
        &self,
        py: Python<'_>,
        act: impl FnOnce(&mut estate::Line) -> std::io::Result<T> + Send,
    ) -> PyResult<T> {
        let done = py.detach(|| {
            let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            line.as_mut().map(act)
        });
        let done = done.ok_or_else(|| Raised::Closed.with(py, "the line is a media server's already"))?;
        done.map_err(|error| Raised::Start.with(py, format!("the keeper is gone: {error}")))
    }
}
