//! Detects that stdout was closed.
use std::{
    io::{self, IsTerminal as _},
    os::fd::{AsFd as _, OwnedFd},
};

use tokio::io::{Interest, unix::AsyncFd};

use crate::live::async_fd;

/// A duplicate of stdout that is polled for errors; `None` for a terminal or a file, which have no
/// reader that could go away.
pub(crate) struct StdoutMonitor(Option<AsyncFd<OwnedFd>>);

impl StdoutMonitor {
    /// Monitors nothing: for a command that goes on without stdout.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    pub(crate) fn new() -> Self {
        let stdout = io::stdout();
        if stdout.is_terminal() {
            return Self(None);
        }
        let pipe = stdout.as_fd().try_clone_to_owned().ok();
        Self(pipe.and_then(|fd| async_fd::watch(fd, Interest::ERROR).ok()))
    }

    /// Resolves when the reader of stdout has closed it; never if that can't be detected.
    pub(crate) async fn closed(&self) {
        if let Some(pipe) = &self.0
            && pipe.ready(Interest::ERROR).await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}
