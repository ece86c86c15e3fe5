//! The kernel's own log.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

use anyhow::{Context, Result};
use nix::libc;

/// The kernel log, which can be read as often as one likes.
pub(crate) struct KernelLog {
    file: File,
}

impl KernelLog {
    /// Opens it. That takes an order-2 block on 5.10, without which the OOM killer runs: so it is
    /// done while there is memory.
    pub(crate) fn open() -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/kmsg")
            .context("can't open /dev/kmsg")?;
        Ok(Self { file })
    }

    /// All of it so far, one `[seconds] text` line a message.
    pub(crate) fn lines(&self) -> Result<Vec<String>> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0)).context("can't go to the beginning of /dev/kmsg")?;
        let mut lines = Vec::new();
        let mut record = [0; 8192];
        loop {
            match file.read(&mut record) {
                Ok(length) => lines.extend(line(&String::from_utf8_lossy(&record[..length]))),
                // Older records were overwritten meanwhile: the next read goes on behind them.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
                Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => return Ok(lines),
                Err(error) => return Err(error).context("can't read /dev/kmsg"),
            }
        }
    }
}

/// `6,339,5140900,-;text` → `[    5.140900] text`
fn line(record: &str) -> Option<String> {
    let (head, text) = record.split_once(';')?;
    let micros: u64 = head.split(',').nth(2)?.parse().ok()?;
    let text = text.lines().next()?;
    Some(format!("[{:5}.{:06}] {text}", micros / 1_000_000, micros % 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn record_is_formatted_as_dmesg_does() {
        let record = "4,512,61004512,-;runc:[1:CHILD]: page allocation failure: order:6\n KEY=v\n";
        assert_eq!(
            line(record).as_deref(),
            Some("[   61.004512] runc:[1:CHILD]: page allocation failure: order:6")
        );
        assert_eq!(line("no record"), None);
    }
}
