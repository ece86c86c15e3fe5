//! Counters of /proc/vmstat (mm/vmstat.c), /proc/pressure/memory (kernel/sched/psi.c) and other files.
use fragwatch_core::model::sample::{MemoryPressure, VmCounters};

/// The number that a file begins with.
pub(super) fn first(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// All threads, from the fourth field of /proc/loadavg: those that can run, `/`, all.
pub(super) fn threads(loadavg: &str) -> Option<u64> {
    loadavg.split(' ').nth(3)?.split_once('/')?.1.parse().ok()
}

/// The counters of /proc/vmstat.
pub(super) fn vmstat(text: &str) -> VmCounters {
    let mut counters = VmCounters::default();
    for line in text.lines() {
        let Some((name, value)) = line.split_once(' ') else { continue };
        // Only for those that are wanted, of some two hundred: this is read once a second.
        let value = || value.parse::<u64>().ok();
        let counter = match name {
            "compact_stall" => &mut counters.compact_stall,
            "compact_fail" => &mut counters.compact_fail,
            "compact_success" => &mut counters.compact_success,
            "compact_daemon_wake" => &mut counters.compact_daemon_wake,
            "pgscan_direct" => &mut counters.pgscan_direct,
            "pgsteal_direct" => &mut counters.pgsteal_direct,
            "pgsteal_kswapd" => &mut counters.pgsteal_kswapd,
            "oom_kill" => &mut counters.oom_kill,
            "nr_free_pages_blocks" => {
                counters.free_pages_blocks = value();
                continue;
            }
            "nr_active_anon" | "nr_inactive_anon" => counters.lru_pages.get_or_insert_default(),
            "nr_active_file" | "nr_inactive_file" => {
                let file = counters.file_pages.get_or_insert_default();
                *file = file.saturating_add(value().unwrap_or(0));
                counters.lru_pages.get_or_insert_default()
            }
            // One for each zone; before 4.10 it had no zone.
            _ if name.starts_with("allocstall") => &mut counters.allocstall,
            _ => continue,
        };
        *counter = counter.saturating_add(value().unwrap_or(0));
    }
    counters
}

/// How long tasks waited, from /proc/pressure/memory.
pub(super) fn pressure(text: &str) -> Option<MemoryPressure> {
    let total = |kind: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(kind))?;
        line.split(' ').find_map(|field| field.strip_prefix("total=")?.parse().ok())
    };
    Some(MemoryPressure { some_us: total("some ")?, full_us: total("full ").unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vmstat_is_read() {
        let text = "nr_free_pages 12\nallocstall_dma 1\nallocstall_normal 20\ncompact_stall 3\n\
                    oom_kill x\npgsteal_direct 7\nnr_free_pages_blocks 512\nodd\n\
                    nr_inactive_anon 1\nnr_active_anon 2\nnr_inactive_file 4\nnr_active_file 8\n";
        let expected = VmCounters {
            allocstall: 21,
            compact_stall: 3,
            pgsteal_direct: 7,
            free_pages_blocks: Some(512),
            lru_pages: Some(15),
            file_pages: Some(12),
            ..VmCounters::default()
        };
        assert_eq!(vmstat(text), expected);
    }

    #[test]
    fn threads_are_counted() {
        assert_eq!(threads("0.20 0.18 0.12 1/80 11206\n"), Some(80));
        assert_eq!(threads("0.20 0.18"), None);
        assert_eq!(first("1024 N0=1024\n"), Some(1024));
        assert_eq!(first("\n"), None);
    }

    #[test]
    fn pressure_is_read() {
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=12345\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=678\n";
        assert_eq!(pressure(text), Some(MemoryPressure { some_us: 12345, full_us: 678 }));
        assert_eq!(pressure(""), None);
    }
}
