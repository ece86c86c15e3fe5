//! What comes through a pipe: an archive, or a log, which may be one that goes on and on.
use std::io::{self, Read};

use super::{SAMPLE, Tree, archive};
use crate::read::{budget::Budget, input, watch::Watch};

/// A stream, as its first bytes show it.
pub enum Stream {
    /// The logs in an archive.
    Archive(Tree),
    /// A log, or what can't be read as one.
    Log(Box<dyn Read + Send>),
}

impl Stream {
    /// Looks at the first bytes of a stream. It waits only for those that show whether it is an
    /// archive: a line of text comes through at once. `name` is what it is called in reports.
    pub fn open(name: &str, mut source: impl Read + Send + 'static) -> io::Result<Self> {
        let mut head = Vec::new();
        while head.len() < SAMPLE && may_be_archive(&head) {
            let mut more = vec![0; SAMPLE - head.len()];
            match source.read(&mut more) {
                Ok(0) => break,
                Ok(n) => head.extend_from_slice(&more[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let is_archive = archive::is_tar(&unpacked(&head));
        let whole = io::Cursor::new(head).chain(source);
        if !is_archive {
            return Ok(Self::Log(Box::new(whole)));
        }
        Ok(Self::Archive(Tree::of_archive(name, Box::new(whole), Budget::limited())))
    }
}

/// Whether more bytes can show an archive: there are none yet, they are compressed, or they are the
/// part of a header that has a name and what fills it up.
fn may_be_archive(head: &[u8]) -> bool {
    let in_header = || {
        let text = head.iter().position(|byte| *byte == 0);
        head.len() < archive::HEADER && text.is_some_and(|end| !head[..end].contains(&b'\n'))
    };
    head.is_empty() || input::is_compressed(head) || in_header()
}

/// The first bytes of what these bytes unpack to, as far as they do.
fn unpacked(head: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let source = Box::new(io::Cursor::new(head.to_vec()));
    if let Ok(rest) = input::open(source, &Watch::new(&Budget::unlimited()), 0) {
        // What is missing at the end is in the rest of the stream.
        let _ = rest.take(archive::HEADER as u64).read_to_end(&mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Yields what it is given, a piece at a time.
    struct Pieces(Vec<Vec<u8>>);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let mut piece = self.0.remove(0);
            let length = piece.len().min(buffer.len());
            buffer[..length].copy_from_slice(&piece[..length]);
            if length < piece.len() {
                self.0.insert(0, piece.split_off(length));
            }
            Ok(length)
        }
    }

    fn tar() -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(4);
        tar.append_data(&mut header, "var/log/messages", &b"a\nb\n"[..]).expect("memory");
        tar.into_inner().expect("memory")
    }

    #[test]
    fn a_line_is_not_waited_for() {
        for line in ["kernel: a\n", "a"] {
            let pieces = Pieces(vec![line.into(), b"more".to_vec()]);
            let Stream::Log(mut log) = Stream::open("-", pieces).expect("it can be read") else {
                panic!("no log")
            };
            let mut first = [0; 64];
            // What was read while it was opened comes alone.
            assert_eq!(log.read(&mut first).expect("it can be read"), line.len());
        }
    }

    #[test]
    fn an_archive_is_seen_in_any_pieces() {
        let tar = tar();
        let pieces: Vec<Vec<u8>> = tar.chunks(100).map(<[u8]>::to_vec).collect();
        let stream = Stream::open("-", Pieces(pieces)).expect("it can be read");
        let Stream::Archive(mut tree) = stream else { panic!("no archive") };
        tree.next_log();
        assert_eq!(tree.skimmed().files, 1);
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut packed, &tar).expect("memory");
        let packed = packed.finish().expect("memory");
        let stream = Stream::open("-", io::Cursor::new(packed)).expect("it can be read");
        assert!(matches!(stream, Stream::Archive(_)));
    }
}
