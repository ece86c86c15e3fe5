//! Compression of segments.
use std::{
    io::{self, Read as _},
    thread,
};

use ruzstd::{
    decoding::StreamingDecoder,
    encoding::{CompressionLevel, compress_to_vec},
};

use super::line::MAX_LINE;

/// A segment is not larger than this when it is unpacked.
pub(crate) const MAX_SEGMENT: usize = 512 << 10;

/// Stack size in bytes of the thread that compresses. `ruzstd` fits into half of it, with little to spare.
const STACK: usize = 512 << 10;

/// Compresses a segment, on a thread whose stack is given back: on one that goes on, its pages would be locked in
/// memory for good.
///
/// # Errors
/// If the thread can't be started.
pub(super) fn compress(segment: &[u8]) -> io::Result<Vec<u8>> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("seal".to_owned()).stack_size(STACK);
        let work = || compress_to_vec(segment, CompressionLevel::Fastest);
        let compressed = thread.spawn_scoped(scope, work)?.join();
        compressed.map_err(|_| io::Error::other("the compression panicked"))
    })
}

/// Unpacks as much as can be unpacked, and says whether that is all of it.
pub(crate) fn decompress(packed: &[u8]) -> (Vec<u8>, io::Result<()>) {
    let mut segment = Vec::new();
    let limit = (MAX_SEGMENT + MAX_LINE) as u64;
    let read = StreamingDecoder::new(packed)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
        .and_then(|decoder| decoder.take(limit).read_to_end(&mut segment));
    (segment, read.map(drop))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed() -> Vec<u8> {
        compress(&segment()).expect("a thread can be started")
    }

    fn segment() -> Vec<u8> {
        (0..2000u64).flat_map(|n| format!("{{\"a\":{}}}\n", n * n * 7919).into_bytes()).collect()
    }

    #[test]
    fn a_segment_survives_compression() {
        let (unpacked, result) = decompress(&packed());
        assert!(result.is_ok());
        assert!(unpacked == segment());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn a_damaged_one_is_an_error_or_other_bytes(at: usize, bit in 0u32..8, cut: bool) {
            let mut packed = packed();
            let at = at % packed.len();
            if cut { packed.truncate(at) } else { packed[at] ^= 1 << bit }
            let (unpacked, _) = decompress(&packed);
            prop_assert!(unpacked.len() <= MAX_SEGMENT + MAX_LINE);
        }
    }
}
