//! Lines for the journal. A thread writes them, so that a journal that is stuck delays no report.
use std::{
    env,
    io::{self, Write as _},
    os::fd::AsFd as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, SyncSender, TrySendError},
    },
    thread,
};

use nix::sys::stat::fstat;

use crate::host::privileges;

/// Lines that wait for a slow journal. More are dropped and counted.
const WAITING: usize = 256;

/// Stack size of the thread in bytes. Used stack pages count as locked memory.
const STACK: usize = 128 << 10;

/// How important a line is, as syslog has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Priority {
    Error = 3,
    Warning = 4,
    Notice = 5,
    Info = 6,
}

/// The way to the thread.
#[derive(Clone)]
pub(super) struct Journal {
    lines: SyncSender<String>,
    dropped: Arc<AtomicU64>,
    /// Whether lines begin with their priority: journald takes it from there.
    with_priority: bool,
}

impl Journal {
    /// Starts the thread, which writes to stdout.
    pub(super) fn start() -> io::Result<Self> {
        let (lines, waiting) = mpsc::sync_channel(WAITING);
        thread::Builder::new().name("journal".to_owned()).stack_size(STACK).spawn(move || {
            if let Err(error) = privileges::drop_all() {
                log::warn!("the journal's thread could not give up its capabilities: {error}");
            }
            write_all(&waiting);
        })?;
        Ok(Self { lines, dropped: Arc::default(), with_priority: is_journal() })
    }

    /// Writes a line, unless too many wait already.
    pub(super) fn line(&self, priority: Priority, text: &str) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped != 0 && self.send(Priority::Warning, &format!("{dropped} lines were dropped")) {
            self.dropped.fetch_sub(dropped, Ordering::Relaxed);
        }
        if !self.send(priority, text) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// False if the line was not taken.
    fn send(&self, priority: Priority, text: &str) -> bool {
        let plain = anstream::adapter::strip_str(text);
        let line = if self.with_priority {
            format!("<{}>{plain}\n", priority as u8)
        } else {
            format!("{plain}\n")
        };
        !matches!(self.lines.try_send(line), Err(TrySendError::Full(_)))
    }
}

/// Whether stdout goes to journald (systemd.exec(5), `JOURNAL_STREAM`: device and inode).
fn is_journal() -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else { return false };
    let stdout = fstat(io::stdout().as_fd());
    stdout.is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// A stdout that is closed or broken takes no line, and changes nothing else.
fn write_all(lines: &Receiver<String>) {
    for line in lines {
        let mut stdout = io::stdout().lock();
        if let Err(error) = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()) {
            log::debug!("could not write to standard output: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A journal whose lines nothing takes.
    fn journal(with_priority: bool, room: usize) -> (Journal, Receiver<String>) {
        let (lines, waiting) = mpsc::sync_channel(room);
        (Journal { lines, dropped: Arc::default(), with_priority }, waiting)
    }

    #[test]
    fn journald_gets_priorities_and_a_terminal_does_not() {
        for (with_priority, expected) in [(true, "<3>FAILED web\n"), (false, "FAILED web\n")] {
            let (journal, lines) = journal(with_priority, 1);
            journal.line(Priority::Error, "\u{1b}[1;31mFAILED\u{1b}[0m web");
            assert_eq!(lines.recv().expect("it was sent"), expected);
        }
    }

    #[test]
    fn a_stuck_journal_loses_lines_and_says_so() {
        let (journal, lines) = journal(false, 2);
        for _ in 0..5 {
            journal.line(Priority::Info, "x");
        }
        let taken: Vec<String> = lines.try_iter().collect();
        assert_eq!(taken, ["x\n", "x\n"]);
        journal.line(Priority::Info, "y");
        let taken: Vec<String> = lines.try_iter().collect();
        assert_eq!(taken, ["3 lines were dropped\n", "y\n"]);
    }
}
