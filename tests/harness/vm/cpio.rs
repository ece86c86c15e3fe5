//! Writes the archive format (newc) that the kernel unpacks as its first file system.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;

const DIRECTORY: u32 = 0o040_755;
const EXECUTABLE: u32 = 0o100_755;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// An archive that is being written.
pub(super) struct Archive<W> {
    to: W,
    entries: u32,
    directories: BTreeSet<String>,
}

impl<W: Write> Archive<W> {
    /// An empty archive.
    pub(super) fn new(to: W) -> Self {
        Self { to, entries: 0, directories: BTreeSet::new() }
    }

    /// Adds a directory and its parents; paths are absolute, as in the guest.
    pub(super) fn directory(&mut self, path: &str) -> io::Result<()> {
        let path = path.trim_matches('/');
        if path.is_empty() || !self.directories.insert(path.to_owned()) {
            return Ok(());
        }
        self.parent(path)?;
        self.entry(path, DIRECTORY, (0, 0), &[])
    }

    /// Adds a file and its directories. Every file may be executed, which does no harm here.
    pub(super) fn file(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        self.parent(path)?;
        self.entry(path.trim_matches('/'), EXECUTABLE, (0, 0), content)
    }

    /// Adds a character device.
    pub(super) fn device(&mut self, path: &str, major: u32, minor: u32) -> io::Result<()> {
        self.parent(path)?;
        self.entry(path.trim_matches('/'), CHARACTER_DEVICE, (major, minor), &[])
    }

    /// Ends the archive.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.entry("TRAILER!!!", 0, (0, 0), &[])?;
        self.to.flush()
    }

    fn parent(&mut self, path: &str) -> io::Result<()> {
        match Path::new(path).parent().and_then(Path::to_str) {
            Some(parent) => self.directory(parent),
            None => Ok(()),
        }
    }

    fn entry(
        &mut self,
        name: &str,
        mode: u32,
        device: (u32, u32),
        content: &[u8],
    ) -> io::Result<()> {
        self.entries += 1;
        let length = u32::try_from(content.len())
            .map_err(|_| io::Error::other(format!("{name} is too large for an initramfs")))?;
        let name_length = name.len() as u32 + 1;
        write!(self.to, "070701{:08x}{mode:08x}", self.entries)?;
        // Owner, group, links, time; size; the device it is on; the device it is.
        for field in [0, 0, 1, 0, length, 0, 0, device.0, device.1, name_length, 0] {
            write!(self.to, "{field:08x}")?;
        }
        self.to.write_all(name.as_bytes())?;
        // The header has 110 bytes; name and content each end on a multiple of four.
        self.to.write_all(&[0; 4][..=padding(110 + name.len() + 1)])?;
        self.to.write_all(content)?;
        self.to.write_all(&[0; 4][..padding(content.len())])
    }
}

fn padding(length: usize) -> usize {
    length.wrapping_neg() % 4
}

#[cfg(test)]
mod tests {
    use super::Archive;

    #[test]
    fn entries_are_aligned_and_parents_come_first() {
        let mut bytes = Vec::new();
        let mut archive = Archive::new(&mut bytes);
        archive.file("/a/b/c", b"12345").expect("a vector takes it");
        archive.file("/a/b/d", b"").expect("a vector takes it");
        archive.finish().expect("a vector takes it");
        assert_eq!(bytes.len() % 4, 0);
        let text = String::from_utf8_lossy(&bytes);
        let places: Vec<usize> = ["a\0", "a/b\0", "a/b/c\0", "a/b/d\0", "TRAILER!!!\0"]
            .iter()
            .map(|name| text.find(name).expect("it is in there"))
            .collect();
        assert!(places.is_sorted());
        assert_eq!(text.matches("070701").count(), 5);
    }
}
