//! From a line's text to what it says: one file per kind of message, for kernels from 2.6.32 to
//! 7.x. Pure: a line is parsed by itself, what belongs together is for [`crate::assemble`].
pub mod allocation;
pub(crate) mod container;
pub mod described;
pub mod field;
pub mod hung;
mod limit;
pub mod memory;
pub mod oom;
mod percpu;
pub mod slab;
pub mod trace;
pub mod vmalloc;

use fragwatch_core::model::{notice::PercpuFailed, program_message::ContainerFailure};

use crate::line::{LogLine, Origin};

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// The heading of a page allocator's report.
    Allocation(allocation::Header),
    /// The cpuset and its nodes, where the heading doesn't have them.
    Cpuset {
        /// The last part of the cpuset's path.
        cpuset: String,
        /// The nodes, `0-1`.
        mems_allowed: String,
    },
    /// The kernel left out so many messages of a kind that it limits.
    Suppressed(u64),
    /// vmalloc failed.
    Vmalloc(vmalloc::Vmalloc),
    /// Of a slab cache.
    Slab(slab::Slab),
    /// Of an OOM kill.
    Oom(oom::Oom),
    /// Of the node's memory.
    Memory(memory::Memory),
    /// Of who it was, and of the stack.
    Trace(trace::Trace),
    /// The kernel's release.
    Version(String),
    /// The kernel's release, as people write it beside a log.
    NotedVersion(String),
    /// The per-CPU allocator failed.
    Percpu(PercpuFailed),
    /// A task hangs.
    Hung(hung::Hung),
    /// A fork was refused in this cgroup.
    ForkRefused(String),
    /// The head of what `kubectl describe` prints.
    Described(described::Described),
    /// The status of a systemd unit begins.
    Unit(String),
    /// The tasks of that unit, and how many it may have.
    Tasks(u64, u64),
    /// `kernel.pid_max`.
    PidMax(u64),
    /// A zone of /proc/buddyinfo, read at another time.
    Buddyinfo(memory::ZoneKey, Vec<u64>),
    /// A container didn't start.
    Container(ContainerFailure),
}

/// What a line says; `None` if it says nothing of ours.
///
/// What programs write is no message of the kernel's, even if it quotes one.
pub fn parse(line: &LogLine) -> Option<Message> {
    match &line.origin {
        // Sources that are quoted behind the kernel's name are no messages of it.
        Origin::Kernel if has_directive(&line.text) => None,
        Origin::Kernel => parse_kernel(&line.text),
        Origin::Program { name, .. } => {
            container::parse(&line.text, Some(name)).map(Message::Container)
        }
        Origin::Unknown if is_format(&line.text) => None,
        Origin::Unknown => parse_kernel(&line.text)
            .or_else(|| container::parse(&line.text, None).map(Message::Container))
            .or_else(|| described::parse(&line.text).map(Message::Described))
            .or_else(|| trace::noted_version(&line.text).map(Message::NotedVersion)),
    }
}

/// What a line of the kernel's says.
pub fn parse_kernel(text: &str) -> Option<Message> {
    let text = trace::without_marks(text.trim_end());
    if text.is_empty() {
        return None;
    }
    if let Some(memory) = memory::parse(text) {
        return Some(Message::Memory(memory));
    }
    // Before the heading, which has the same words: `x: vmalloc: allocation failure …`.
    vmalloc::parse(text)
        .map(Message::Vmalloc)
        .or_else(|| allocation::parse(text).map(Message::Allocation))
        .or_else(|| oom::parse(text).map(Message::Oom))
        .or_else(|| slab::parse(text).map(Message::Slab))
        .or_else(|| limit::parse_fork(text).map(Message::ForkRefused))
        .or_else(|| percpu::parse(text).map(Message::Percpu))
        .or_else(|| hung::parse(text).map(Message::Hung))
        .or_else(|| trace::version(text).map(Message::Version))
        .or_else(|| hung::release(text).map(|release| Message::Version(release.to_owned())))
        .or_else(|| trace::parse(text).map(Message::Trace))
        .or_else(|| suppressed(text).map(Message::Suppressed))
        .or_else(|| {
            let (cpuset, mems_allowed) = allocation::parse_cpuset(text)?;
            Some(Message::Cpuset { cpuset, mems_allowed })
        })
        .or_else(|| limit::parse_unit(text).map(Message::Unit))
        .or_else(|| limit::parse_tasks(text).map(|(count, limit)| Message::Tasks(count, limit)))
        .or_else(|| limit::parse_pid_max(text).map(Message::PidMax))
        .or_else(|| {
            limit::parse_buddyinfo(text).map(|(zone, blocks)| Message::Buddyinfo(zone, blocks))
        })
}

/// Whether it is a regular expression or a template.
fn is_pattern(text: &str) -> bool {
    [".*", ".+", "\\d", "\\w", "\\s", "[0-9]", "(?:", "{{"].iter().any(|part| text.contains(part))
}

/// Whether it is what printf and its like make messages of: a quoted program's source, or
/// these are the strings of an executable.
fn is_format(text: &str) -> bool {
    // A regular expression or a template: log monitors' and alerts' rules hold such.
    is_pattern(text) || has_directive(text)
}

/// Whether it has a directive of printf's: `%s`, `%lu`, `%pK`.
fn has_directive(text: &str) -> bool {
    directives(text) > 0
}

/// How many of them it has.
fn directives(text: &str) -> usize {
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric());
    let begins = text.match_indices('%').filter(|(at, _)| {
        let directive = text[at + 1..].trim_start_matches(['l', '#', '+']);
        directive.strip_prefix(['s', 'd', 'u', 'v', 'w', 'q', 'x', 'p']).is_some_and(ends)
    });
    begins.count()
}

/// `warn_alloc_failed: 83 callbacks suppressed` (lib/ratelimit.c), for the functions whose reports
/// we read.
fn suppressed(text: &str) -> Option<u64> {
    let (function, rest) = text.split_once(": ")?;
    let ours = [
        "warn_alloc",
        "warn_alloc_failed",
        "slab_out_of_memory",
        "oom_kill_process",
        "dump_header",
    ];
    let count = rest.strip_suffix(" callbacks suppressed")?;
    ours.contains(&function).then(|| count.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(origin: Origin, text: &str) -> LogLine {
        LogLine {
            source: 0,
            nth: 1,
            received: None,
            first: 1,
            last: 1,
            time: None,
            caller: None,
            origin,
            host: None,
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_program_that_quotes_the_kernel_is_not_the_kernel() {
        let text = "Memory cgroup out of memory: Killed process 7 (a) total-vm:1kB";
        let program = Origin::Program { name: "node-problem-detector".to_owned(), pid: None };
        assert_eq!(parse(&line(program, text)), None);
        assert!(matches!(parse(&line(Origin::Kernel, text)), Some(Message::Oom(_))));
        assert!(matches!(parse(&line(Origin::Unknown, text)), Some(Message::Oom(_))));
    }

    #[test]
    fn what_messages_are_made_of_is_no_message() {
        for text in [
            "%s: page allocation failure: order:%u, mode:%#x(%pGg), nodemask=%*pbl",
            "failed to create shim task: %w",
            "lxc_start: failed to clone: %s",
        ] {
            assert_eq!(parse(&line(Origin::Unknown, text)), None, "{text}");
        }
        let text = "lxc_start: failed to clone at 100%";
        assert!(parse(&line(Origin::Unknown, text)).is_some());
    }

    #[test]
    fn each_kind_is_told_from_the_others() {
        let kind = |text: &str| parse_kernel(text).unwrap_or_else(|| panic!("nothing in: {text}"));
        assert!(matches!(
            kind("a: vmalloc: allocation failure: 1 bytes, mode:0xd2"),
            Message::Vmalloc(_)
        ));
        assert!(matches!(
            kind("a: page allocation failure: order:0, mode:0xd2"),
            Message::Allocation(_)
        ));
        assert!(matches!(kind("<EOI> Mem-Info:"), Message::Memory(memory::Memory::Begin)));
        assert_eq!(kind("warn_alloc_failed: 83 callbacks suppressed"), Message::Suppressed(83));
        assert!(matches!(kind("Node 0, zone DMA 1 2 3"), Message::Buddyinfo(..)));
        assert_eq!(parse_kernel("net_ratelimit: 9 callbacks suppressed"), None);
        assert_eq!(parse_kernel("eth0: renamed from veth1"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*", start in 0usize..12) {
            let starts = ["", "SLUB: ", "  cache: a(", "Node 0 DMA: ", "Node 0 DMA free:", "CPU: ", "oom-kill:",
                "Killed process ", "[<", "vmalloc error: size ", "lowmem_reserve[]:", "mkdir /sys/fs/cgroup/"];
            let _ = parse_kernel(&format!("{}{text}", starts[start]));
            let _ = container::parse(&format!("{} cannot allocate memory {text}", starts[start]), None);
        }
    }
}
