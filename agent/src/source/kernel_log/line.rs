//! One message line of a log, whatever transport brought it.
use std::time::Duration;

use jiff::{Timestamp, civil};

/// One message line of a log, its transport's prefix taken off.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// Number of the first physical line that it was made of, from 1.
    pub first: u64,
    /// Number of the last one; larger than `first` if wrapped lines were joined. Lines that one
    /// physical line held (`#012`, a JSON string with newlines) share a number.
    pub last: u64,
    /// When it was logged, as far as the log says.
    pub time: Option<LogTime>,
    /// Who printed it, with `CONFIG_PRINTK_CALLER`.
    pub caller: Option<Caller>,
    /// Whose message it is.
    pub origin: Origin,
    /// The host that logged it.
    pub host: Option<String>,
    /// The message: lossy UTF-8, control characters still in it.
    pub text: String,
}

/// When a line was logged; at least one field is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LogTime {
    /// Time since boot, as the kernel counts it.
    pub boot: Option<Duration>,
    /// Time of day.
    pub wall: Option<Wall>,
}

/// Time of day, as exactly as the log has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wall {
    /// An instant.
    Timestamp(Timestamp),
    /// Date and time in a time zone that the log does not name.
    Civil(civil::DateTime),
    /// As `Civil`, but the log has no year (classic syslog, klog).
    Yearless {
        /// From 1.
        month: i8,
        /// From 1.
        day: i8,
        /// Time of day.
        time: civil::Time,
    },
}

/// printk's caller id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// `[T123]`: the thread.
    Thread(u32),
    /// `[C2]`: the CPU, outside of a thread's context.
    Cpu(u32),
}

/// Whose message a line is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The log says, or its form shows, that the kernel printed it.
    Kernel,
    /// A program's.
    Program {
        /// The name that it logs under: `kubelet`, `dockerd`.
        name: String,
        /// Its process.
        pid: Option<u32>,
    },
    /// The log does not say.
    Unknown,
}
