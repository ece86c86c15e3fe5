//! How much is left of what the kernel counts and limits.
use super::{counters, kept_file::KeptFile};

/// The files with counts and limits. They are opened before capabilities are given up: the number of network
/// namespaces is root's to read.
pub(super) struct LimitReader {
    loadavg: KeptFile,
    pid_max: KeptFile,
    threads_max: KeptFile,
    /// Objects of the slab cache of `struct net` (mm/slub.c). Those that lie ready on CPUs count as used.
    net_namespaces: KeptFile,
    max_net_namespaces: KeptFile,
    buffer: Vec<u8>,
}

impl LimitReader {
    pub(super) fn open() -> Self {
        Self {
            loadavg: KeptFile::open("/proc/loadavg"),
            pid_max: KeptFile::open("/proc/sys/kernel/pid_max"),
            threads_max: KeptFile::open("/proc/sys/kernel/threads-max"),
            net_namespaces: KeptFile::open("/sys/kernel/slab/net_namespace/objects"),
            max_net_namespaces: KeptFile::open("/proc/sys/user/max_net_namespaces"),
            buffer: Vec::new(),
        }
    }

    /// How many more threads there can be: `kernel.pid_max`, or `kernel.threads-max` if that is less.
    pub(super) fn pids_left(&mut self) -> Option<u64> {
        let pid_max = self.pid_max.read(&mut self.buffer).and_then(counters::first)?;
        let threads_max = self.threads_max.read(&mut self.buffer).and_then(counters::first)?;
        let threads = self.loadavg.read(&mut self.buffer).and_then(counters::threads)?;
        Some(pid_max.min(threads_max).saturating_sub(threads))
    }

    /// How many more network namespaces one user can make, if all that there are are that user's.
    pub(super) fn net_namespaces_left(&mut self) -> Option<u64> {
        let max = self.max_net_namespaces.read(&mut self.buffer).and_then(counters::first)?;
        let count = self.net_namespaces.read(&mut self.buffer).and_then(counters::first)?;
        Some(max.saturating_sub(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_threads_on_this_machine() {
        assert!(LimitReader::open().pids_left().is_some_and(|left| left > 0));
    }
}
