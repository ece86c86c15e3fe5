//! The one ordered channel to the host: `<monotonic ms> <stream> <text>` lines on a serial port.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use nix::sys::termios::{SetArg, cfmakeraw, tcdrain, tcgetattr, tcsetattr};
use nix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// The sending end. It can be cloned, and it never blocks: a thread of its own does the writing,
/// so that a slow serial line can't slow fragwatch down.
#[derive(Clone)]
pub(crate) struct Channel {
    queue: Sender<Option<String>>,
}

/// The thread that writes; joined before the machine powers off.
pub(crate) struct Writer {
    thread: JoinHandle<()>,
}

impl Channel {
    /// Opens the serial port and starts its writer.
    pub(crate) fn open(path: &str) -> Result<(Self, Writer)> {
        let port = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .with_context(|| format!("can't open the channel to the host, {path}"))?;
        let mut settings = tcgetattr(&port).with_context(|| format!("{path} is no terminal"))?;
        cfmakeraw(&mut settings);
        tcsetattr(&port, SetArg::TCSANOW, &settings)
            .with_context(|| format!("can't make {path} raw"))?;
        let (queue, lines) = mpsc::channel();
        let thread = thread::spawn(move || write_all(port, &lines));
        Ok((Self { queue }, Writer { thread }))
    }

    /// Queues one line. The time stamp is that of this call.
    pub(crate) fn send(&self, stream: &str, text: &str) {
        let text = text.trim_end().replace(['\n', '\r'], " ");
        // The writer ends only after `close`; what comes later has no reader.
        let _ = self.queue.send(Some(format!("{} {stream} {text}\n", now_ms())));
    }

    /// Sends a line about what the node itself does.
    pub(crate) fn node(&self, text: impl AsRef<str>) {
        self.send("node", text.as_ref());
    }

    /// Queues an object as JSON.
    pub(crate) fn send_json(&self, stream: &str, object: &impl Serialize) {
        match serde_json::to_string(object) {
            Ok(text) => self.send(stream, &text),
            Err(error) => self.send("error", &format!("can't send {stream} as JSON: {error}")),
        }
    }

    /// Sends the last line and waits until all of them are out.
    pub(crate) fn close(&self, writer: Writer) -> Result<()> {
        self.send("end", "");
        let _ = self.queue.send(None);
        writer.thread.join().map_err(|_| anyhow!("the writer of the channel panicked"))
    }
}

/// Milliseconds since boot.
pub(crate) fn now_ms() -> i64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(0, |now| now.tv_sec() * 1000 + now.tv_nsec() / 1_000_000)
}

/// Milliseconds since 1970.
pub(crate) fn realtime_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs().cast_signed() * 1000 + i64::from(now.subsec_millis())
}

fn write_all(mut port: File, lines: &Receiver<Option<String>>) {
    while let Ok(Some(line)) = lines.recv() {
        if let Err(error) = port.write_all(line.as_bytes()) {
            eprintln!("guest: can't write to the host: {error}");
            return;
        }
    }
    let _ = tcdrain(&port);
}
