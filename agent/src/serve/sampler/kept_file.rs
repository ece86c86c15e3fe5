//! A file under /proc or /sys that is opened once and read again and again, from its beginning.
use std::{fs::File, os::unix::fs::FileExt as _};

/// What the buffer has room for at first, in bytes.
const ROOM: usize = 16 << 10;

/// A longer file is not one of these.
const MAX: usize = 1 << 20;

/// The open file.
pub(super) struct KeptFile {
    path: &'static str,
    /// `None` if this kernel or user has no such file.
    file: Option<File>,
}

impl KeptFile {
    pub(super) fn open(path: &'static str) -> Self {
        let file = File::open(path).inspect_err(|error| {
            log::debug!("could not open {path}: {error}; its facts are missing");
        });
        Self { path, file: file.ok() }
    }

    /// The content as it is now; `None` if it can't be read. `buffer` is what it is read into.
    pub(super) fn read<'a>(&self, buffer: &'a mut Vec<u8>) -> Option<&'a str> {
        let file = self.file.as_ref()?;
        let mut length = 0;
        loop {
            if buffer.len() - length < ROOM / 2 {
                buffer.resize(length + ROOM, 0);
            }
            match file.read_at(&mut buffer[length..], length as u64) {
                Ok(0) => break,
                Ok(read) if length + read < MAX => length += read,
                Ok(_) => return None,
                Err(error) => {
                    log::debug!("could not read {}: {error}", self.path);
                    return None;
                }
            }
        }
        std::str::from_utf8(&buffer[..length]).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_anew_each_time() {
        let file = KeptFile::open("/proc/uptime");
        let mut buffer = Vec::new();
        let mut uptime = || {
            let text = file.read(&mut buffer).expect("every Linux has it");
            text.split(' ').next().and_then(|first| first.parse::<f64>().ok()).expect("a number")
        };
        let before = uptime();
        std::thread::sleep(std::time::Duration::from_millis(30));
        assert!(uptime() > before);
    }

    #[test]
    fn a_file_longer_than_the_buffer_is_read_to_its_end() {
        let expected = std::fs::read_to_string("/proc/kallsyms").expect("every Linux has it");
        let mut buffer = Vec::new();
        let kept = KeptFile::open("/proc/self/maps");
        assert!(kept.read(&mut buffer).is_some_and(|text| text.ends_with('\n')));
        // The control: what is too long is nothing at all, instead of its beginning.
        assert_eq!(
            KeptFile::open("/proc/kallsyms").read(&mut buffer).is_some(),
            expected.len() < MAX
        );
        assert!(KeptFile::open("/proc/no-such-file").read(&mut buffer).is_none());
    }
}
