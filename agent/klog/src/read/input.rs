//! From whatever holds a log to plain bytes: unpacked, and in UTF-8.
use std::{
    io::{self, BufRead, BufReader, Read},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};
use encoding_rs_io::DecodeReaderBytesBuilder;
use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};

/// How many times over an input may be compressed.
const MAX_DEPTH: u32 = 2;

/// What bytes come from.
pub(crate) type Source = Box<dyn Read + Send>;

/// What an input's first bytes show it to be.
#[derive(Clone, Copy)]
enum Form {
    Gzip,
    Zstd,
    Utf8,
    Utf16(&'static Encoding),
    Unreadable(&'static str, &'static str),
}

const FORMS: &[(&[u8], Form)] = &[
    (b"\x1f\x8b", Form::Gzip),
    (b"\x28\xb5\x2f\xfd", Form::Zstd),
    (b"\xef\xbb\xbf", Form::Utf8),
    (b"\xff\xfe", Form::Utf16(UTF_16LE)),
    (b"\xfe\xff", Form::Utf16(UTF_16BE)),
    (
        b"\xfd7zXZ\0",
        Form::Unreadable(
            "a log compressed with xz",
            "unpack it: xz -dc FILE | fragwatch explain -",
        ),
    ),
    (
        b"BZh",
        Form::Unreadable(
            "a log compressed with bzip2",
            "unpack it: bzip2 -dc FILE | fragwatch explain -",
        ),
    ),
    (
        b"\x04\x22\x4d\x18",
        Form::Unreadable(
            "a log compressed with lz4",
            "unpack it: lz4 -dc FILE | fragwatch explain -",
        ),
    ),
    (b"PK\x03\x04", Form::Unreadable("a zip archive", "unpack it first")),
    (
        b"LPKSHHRH",
        Form::Unreadable(
            "a journal file",
            "let journalctl print it: journalctl --file FILE -o json | fragwatch explain -",
        ),
    ),
];

/// Looks at the first bytes and unpacks; `depth` layers have been taken off. `lost` shows later
/// whether compressed data ended too early, or was damaged.
pub(crate) fn open(
    mut source: Source,
    lost: &Arc<AtomicBool>,
    depth: u32,
) -> Result<Source, ReadError> {
    let mut head = Vec::new();
    // As long as there is something to decide; a stream of text isn't waited for.
    while FORMS.iter().any(|(magic, _)| magic.len() > head.len() && magic.starts_with(&head)) {
        let mut more = [0; 8];
        let room = more.len() - head.len();
        match source.read(&mut more[..room]) {
            Ok(0) => break,
            Ok(n) => head.extend_from_slice(&more[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ReadError::Io(error)),
        }
    }
    let form = FORMS.iter().find(|(magic, _)| head.starts_with(magic));
    let Some(&(magic, form)) = form else {
        return Ok(Box::new(io::Cursor::new(head).chain(source)));
    };
    let skip = if matches!(form, Form::Utf8 | Form::Utf16(_)) { magic.len() } else { 0 };
    let rest = io::Cursor::new(head.split_off(skip)).chain(source);
    match form {
        Form::Utf8 => Ok(Box::new(rest)),
        Form::Utf16(encoding) => {
            let mut reader = DecodeReaderBytesBuilder::new();
            Ok(Box::new(reader.encoding(Some(encoding)).bom_override(false).build(rest)))
        }
        Form::Unreadable(what, advice) => Err(ReadError::Form { what, advice }),
        Form::Gzip | Form::Zstd if depth == MAX_DEPTH => Err(ReadError::Form {
            what: "a log compressed several times over",
            advice: "unpack it first",
        }),
        Form::Gzip | Form::Zstd => {
            let failed = Arc::new(AtomicBool::new(false));
            let input = BufReader::new(Watched { input: rest, failed: Arc::clone(&failed) });
            let inner: Source = if matches!(form, Form::Gzip) {
                Box::new(MultiGzDecoder::new(input))
            } else {
                Box::new(Zstd { input, decoder: FrameDecoder::new(), in_frame: false })
            };
            open(Box::new(Unpacked { inner, failed, lost: Arc::clone(lost) }), lost, depth + 1)
        }
    }
}

/// Remembers that the input itself could not be read.
struct Watched<R> {
    input: R,
    failed: Arc<AtomicBool>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.input.read(buffer);
        if let Err(error) = &result {
            self.failed.store(error.kind() != io::ErrorKind::Interrupted, Ordering::Relaxed);
        }
        result
    }
}

/// Ends where the compressed data is cut or damaged, and remembers that it did.
struct Unpacked {
    inner: Source,
    failed: Arc<AtomicBool>,
    lost: Arc<AtomicBool>,
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buffer) {
            Err(error)
                if error.kind() != io::ErrorKind::Interrupted
                    && !self.failed.load(Ordering::Relaxed) =>
            {
                self.lost.store(true, Ordering::Relaxed);
                Ok(0)
            }
            other => other,
        }
    }
}

/// All frames of a zstd stream, one after another.
struct Zstd<R> {
    input: R,
    decoder: FrameDecoder,
    in_frame: bool,
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.in_frame {
                if self.input.fill_buf()?.is_empty() {
                    return Ok(0);
                }
                match self.decoder.init(&mut self.input) {
                    Ok(()) => self.in_frame = true,
                    Err(FrameDecoderError::ReadFrameHeaderError(
                        ReadFrameHeaderError::SkipFrame { length, .. },
                    )) => {
                        let mut skipped = self.input.by_ref().take(length.into());
                        io::copy(&mut skipped, &mut io::sink())?;
                        continue;
                    }
                    Err(error) => return Err(io::Error::other(error)),
                }
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.input, one).map_err(io::Error::other)?;
            }
            if self.decoder.can_collect() > 0 {
                return self.decoder.read(buffer);
            }
            self.in_frame = false;
        }
    }
}

/// Why a log can't be read any further.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system's answer.
    #[error("could not read the log: {0}")]
    Io(io::Error),
    /// A form that fragwatch does not read.
    #[error("{what} can't be read as it is; {advice}")]
    Form {
        /// What it is.
        what: &'static str,
        /// What to do.
        advice: &'static str,
    },
}
