//! From whatever holds a log to plain bytes: unpacked, and in UTF-8.
use std::io::{self, Read};

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};
use encoding_rs_io::DecodeReaderBytesBuilder;

use crate::read::{
    source::Source,
    unpack::{self, Compression},
    watch::Watch,
};

/// How many times over an input may be compressed.
const MAX_DEPTH: u32 = 2;

/// What an input's first bytes show it to be.
#[derive(Clone, Copy)]
enum Form {
    Compressed(Compression),
    Utf8,
    Utf16(&'static Encoding),
    Unreadable(&'static str, &'static str),
    Journal,
}

const FORMS: &[(&[u8], Form)] = &[
    (b"\x1f\x8b", Form::Compressed(Compression::Gzip)),
    (b"\x28\xb5\x2f\xfd", Form::Compressed(Compression::Zstd)),
    (b"\xfd7zXZ\0", Form::Compressed(Compression::Xz)),
    (b"BZh", Form::Compressed(Compression::Bzip2)),
    (b"\xef\xbb\xbf", Form::Utf8),
    (b"\xff\xfe", Form::Utf16(UTF_16LE)),
    (b"\xfe\xff", Form::Utf16(UTF_16BE)),
    (
        b"\x04\x22\x4d\x18",
        Form::Unreadable(
            "a log compressed with lz4",
            "unpack it: lz4 -dc FILE | fragwatch explain -",
        ),
    ),
    (b"PK\x03\x04", Form::Unreadable("a zip archive", "unpack it first")),
    (b"LPKSHHRH", Form::Journal),
];

/// Whether an input that begins so is compressed, or may turn out to be.
pub(crate) fn is_compressed(head: &[u8]) -> bool {
    FORMS.iter().any(|(magic, form)| {
        matches!(form, Form::Compressed(_)) && (head.starts_with(magic) || magic.starts_with(head))
    })
}

/// Looks at the first bytes and unpacks; `depth` layers have been taken off.
pub(crate) fn open(mut source: Source, watch: &Watch, depth: u32) -> Result<Source, ReadError> {
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
        Form::Journal => Err(ReadError::Journal),
        Form::Compressed(_) if depth == MAX_DEPTH => Err(ReadError::Form {
            what: "a log compressed several times over",
            advice: "unpack it first",
        }),
        Form::Compressed(compression) => {
            open(unpack::unpack(rest, compression, watch), watch, depth + 1)
        }
    }
}

/// Why a log can't be read any further.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system's answer.
    #[error("could not read the log: {0}")]
    Io(io::Error),
    /// journald's own format.
    #[error(
        "a journal file can't be read as it is; let journalctl print it: \
         journalctl --file FILE -o json | fragwatch explain -"
    )]
    Journal,
    /// A form that fragwatch does not read.
    #[error("{what} can't be read as it is; {advice}")]
    Form {
        /// What it is.
        what: &'static str,
        /// What to do.
        advice: &'static str,
    },
}
