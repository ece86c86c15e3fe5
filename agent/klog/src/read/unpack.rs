//! Takes compression off, in constant memory.
use std::{
    io::{self, BufRead, BufReader, Read},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};

use crate::read::{source::Source, watch::Watch};

/// KiB that xz may take: `xz -9` needs 65 MiB to unpack.
const XZ_MEMORY_KIB: u32 = 256 * 1024;

/// Formats of compressed data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
    Xz,
    Bzip2,
}

/// What comes out. It ends where the data is cut or damaged, which `watch` then knows.
pub(super) fn unpack(
    source: impl Read + Send + 'static,
    compression: Compression,
    watch: &Watch,
) -> Source {
    let failed = Arc::new(AtomicBool::new(false));
    let input = BufReader::new(Watched { input: source, failed: Arc::clone(&failed) });
    let inner: Source = match compression {
        Compression::Gzip => Box::new(MultiGzDecoder::new(input)),
        Compression::Zstd => {
            Box::new(Zstd { input, decoder: FrameDecoder::new(), in_frame: false })
        }
        Compression::Xz => Box::new(XzReader::new_mem_limit(input, true, XZ_MEMORY_KIB)),
        Compression::Bzip2 => Box::new(MultiBzDecoder::new(input)),
    };
    let unpacked = Unpacked { inner, failed, lost: Arc::clone(&watch.lost), over: false };
    Box::new(watch.budget.limit(unpacked))
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
    /// It was damaged.
    over: bool,
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A decoder that has failed must not be asked again: that of bzip2 panics then.
        if self.over {
            return Ok(0);
        }
        match self.inner.read(buffer) {
            Err(error)
                if error.kind() != io::ErrorKind::Interrupted
                    && !self.failed.load(Ordering::Relaxed) =>
            {
                self.lost.store(true, Ordering::Relaxed);
                self.over = true;
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
