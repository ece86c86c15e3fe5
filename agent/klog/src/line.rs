//! One message line of a log, whatever transport brought it.
use fragwatch_core::model::log_time::LogTime;

/// One message line of a log, its transport's prefix taken off.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// Number of the first physical line that it was made of, from 1.
    pub first: u64,
    /// Number of the last one; larger than `first` if wrapped lines were joined. Lines that one
    /// physical line held (`#012`, a JSON string with newlines) share a number.
    pub last: u64,
    /// Of which of the sources that lie line by line in each other in the log; 0 if that isn't known.
    /// The lower 16 bits are the source in a source.
    pub source: u32,
    /// Counts the messages of its source, with a jump where lines were left out: how far two are from each
    /// other whatever other sources log in between.
    pub nth: u64,
    /// When it was logged, as far as the log says.
    pub time: Option<LogTime>,
    /// When it was received, as what stands before the line says: of another clock, perhaps.
    pub received: Option<LogTime>,
    /// Who printed it, with `CONFIG_PRINTK_CALLER`.
    pub caller: Option<Caller>,
    /// Whose message it is.
    pub origin: Origin,
    /// The host that logged it.
    pub host: Option<String>,
    /// The message: lossy UTF-8, control characters still in it.
    pub text: String,
}

/// printk's caller id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
