//! Writing a capture during a trace.
use std::{
    fs::OpenOptions,
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use fragwatch_core::{
    model::entry::{Entry, Header},
    report::escape,
};
use serde::Serialize;

/// Size of the buffer in bytes. [`Recorder::flush`] writes it out in any case.
const BUFFER: usize = 64 << 10;

/// Why a capture file could not be created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The path exists.
    #[error("could not create {0} for the capture: it exists, and is left as it is")]
    Exists(String),
    /// The kernel refused.
    #[error("could not create {0} for the capture: {1}")]
    Refused(String, io::Error),
}

/// Writes a capture. An error is printed once; then nothing more is written, and the trace continues.
pub struct Recorder {
    /// `None` after an error.
    out: Option<Box<dyn Write>>,
    name: String,
}

impl Recorder {
    /// Creates the file, readable for its owner only, because it holds kernel addresses.
    pub fn create(path: &Path, header: &Header) -> Result<Self, CreateError> {
        let name = path.display().to_string();
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        match opened {
            Ok(file) => Ok(Self::new(Box::new(file), name, header)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(CreateError::Exists(name))
            }
            Err(error) => Err(CreateError::Refused(name, error)),
        }
    }

    /// Writes to `out`, which errors call `name`.
    pub fn new(out: Box<dyn Write>, name: String, header: &Header) -> Self {
        let out: Box<dyn Write> = Box::new(BufWriter::with_capacity(BUFFER, out));
        let mut recorder = Self { out: Some(out), name };
        recorder.line(header);
        // So that a trace that is killed early leaves a valid capture.
        recorder.flush();
        recorder
    }

    /// Appends an entry to the buffer.
    pub fn write(&mut self, entry: &Entry) {
        self.line(entry);
    }

    /// Writes the buffer to the file, without waiting for the disk.
    pub fn flush(&mut self) {
        if let Some(out) = &mut self.out {
            let flushed = out.flush();
            self.check(flushed);
        }
    }

    fn line(&mut self, what: &impl Serialize) {
        let Some(out) = &mut self.out else { return };
        let written = to_line(what).and_then(|line| out.write_all(line.as_bytes()));
        self.check(written);
    }

    fn check(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.out = None;
            anstream::eprintln!(
                "fragwatch: could not write the capture {}: {error}; it ends here, and the trace \
                 continues without it",
                self.name
            );
        }
    }
}

/// A header or an entry as a line.
///
/// # Errors
/// If it can't be written as JSON.
pub(crate) fn to_line(what: &impl Serialize) -> io::Result<String> {
    let mut line = escape(&serde_json::to_string(what)?);
    line.push('\n');
    Ok(line)
}
