//! Call traces, and the lines above them that say who and on which kernel (lib/dump_stack.c,
//! arch/*/kernel/traps.c, dumpstack.c).
//!
//! ```text
//! Pid: 168, comm: xenwatch Not tainted 2.6.32-358.el6.x86_64 #1
//! CPU: 1 PID: 18377 Comm: exe Not tainted 3.10.0-514.el7.x86_64 #1
//! CPU: 1 UID: 0 PID: 7693 Comm: kworker/u33:5 Tainted: G  W  6.11.11 #1
//! Call Trace:
//!  [<ffffffff81685fac>] dump_stack+0x19/0x1b                  up to 4.9
//!  ? veth_dev_init+0x72/0xd0 [veth]                           a guess of the unwinder
//! [<c0638684>] (dump_stack) from [<c00aae1c>] (warn_alloc_failed+0x104/0x144)      arm
//! ```
use crate::parse::field;

/// What was said of who it was and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trace {
    /// Who, and on which kernel.
    Task {
        /// Process id.
        pid: Option<u32>,
        /// The task's name, from outside.
        comm: String,
        /// The kernel's release; `None` also if the line may be cut within it.
        kernel: Option<String>,
    },
    /// A trace begins.
    Begin,
    /// A function on the stack.
    Frame(FrameLine),
    /// The kernel complains of something else; what follows belongs to that.
    OtherReport,
}

/// A function on the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameLine {
    /// The function.
    pub function: String,
    /// Its module; `None` for the kernel itself.
    pub module: Option<String>,
    /// The address, 0 if it isn't printed.
    pub address: u64,
    /// The unwinder only guessed it (`?`).
    pub guessed: bool,
}

/// Parses such a line.
pub(super) fn parse(text: &str) -> Option<Trace> {
    let text = text.trim();
    if text.starts_with("CPU: ") || text.starts_with("Pid: ") {
        return task(text);
    }
    if text.eq_ignore_ascii_case("Call Trace:") || text == "Backtrace:" {
        return Some(Trace::Begin);
    }
    let other = [
        "BUG: ",
        "WARNING: ",
        "------------[ cut here",
        "Oops",
        "general protection fault",
        "INFO: task ",
    ];
    if other.iter().any(|begin| text.starts_with(begin)) {
        return Some(Trace::OtherReport);
    }
    frame(text).map(Trace::Frame)
}

fn task(text: &str) -> Option<Trace> {
    let pid = field::number(text, "PID: ").or_else(|| field::number(text, "Pid: "));
    let rest = field::after(text, "Comm: ").or_else(|| field::after(text, "comm: "))?;
    // The name may hold anything, but the kernel's words come last. A line that is cut has none.
    let words = [" Not tainted", " Tainted:", " Kdump: "];
    let end = words.iter().filter_map(|word| rest.rfind(word)).min().unwrap_or(rest.len());
    // What ends the line may be cut.
    let kernel = rest[end..].split_once(" #").and_then(|(rest, _)| {
        rest.split_ascii_whitespace()
            .map(|word| word.trim_matches(['(', ')']))
            .find(|w| is_release(w))
    });
    Some(Trace::Task {
        pid: pid.and_then(|pid| u32::try_from(pid).ok()),
        comm: rest[..end].trim_end().to_owned(),
        kernel: kernel.map(str::to_owned),
    })
}

/// Whether it looks like a kernel's release: `3.10.0-514.el7.x86_64`, `6.8.0+`, `4.4.114+`.
pub fn is_release(word: &str) -> bool {
    let Some((major, rest)) = field::leading_number(word) else { return false };
    let minor = rest.strip_prefix('.').and_then(field::leading_number);
    (2..100).contains(&major) && minor.is_some()
}

/// The release in `Linux version 5.10.0-37-amd64 (…) …`.
pub(super) fn version(text: &str) -> Option<String> {
    let release = text.trim().strip_prefix("Linux version ")?.split_ascii_whitespace().next()?;
    is_release(release).then(|| release.to_owned())
}

/// The release that people write beside a log: `uname -a`, `Kernel Version: 5.4.0-150-generic`.
pub(super) fn noted_version(text: &str) -> Option<String> {
    const KEYS: &[&str] = &[
        "kernel",
        "kernel version",
        "kernel release",
        "linux kernel",
        "kernel-version",
        "uname -r",
    ];
    let clean = |word: &str| word.trim_matches(['`', '*', '"', '\'', ',', ' ']).to_owned();
    // `Linux node-1 5.4.0-150-generic #167-Ubuntu SMP …`.
    let of_uname = || {
        let (_, rest) = text.split_once("Linux ")?;
        let mut words = rest.split_ascii_whitespace();
        let (_host, release, build) = (words.next()?, words.next()?, words.next()?);
        build.starts_with('#').then(|| clean(release))
    };
    let of_key = || {
        let (key, value) = text.split_once(':')?;
        let key = key.trim_matches([' ', '*', '-', '`', '|', '\t']).to_ascii_lowercase();
        let release = value.split_ascii_whitespace().find(|word| *word != "Linux")?;
        KEYS.contains(&key.as_str()).then(|| clean(release))
    };
    of_uname().or_else(of_key).filter(|release| is_release(release))
}

/// The marks that stand in a trace, alone or before a function or another message.
const MARKS: [&str; 8] =
    ["<TASK>", "</TASK>", "<IRQ>", "</IRQ>", "<EOI>", "<NMI>", "</NMI>", "<#DF>"];

/// A line without the marks that it begins with.
pub(crate) fn without_marks(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        match MARKS.iter().find_map(|mark| text.strip_prefix(mark)) {
            Some(rest) => text = rest,
            None => return text,
        }
    }
}

fn frame(text: &str) -> Option<FrameLine> {
    let mut rest = text;
    let mut address = 0;
    // `[<addr>]`, `([<addr>]`, and `[addr] [addr]` of powerpc, of which the second is the code's.
    while let Some(bracket) = rest.trim_start_matches('(').strip_prefix('[') {
        let (hex, after) = bracket.split_once(']')?;
        let hex = hex.trim_start_matches('<').trim_end_matches('>');
        address = u64::from_str_radix(hex, 16).ok()?;
        rest = after.trim_start();
    }
    // arm: `(callee) from [<addr>] (caller+0x1/0x2)`, later `callee from caller+0x1/0x2`.
    if let Some((_, caller)) = rest.split_once(" from ") {
        return frame(caller.trim().trim_end_matches(')')).map(|frame| FrameLine {
            function: frame.function.trim_start_matches('(').to_owned(),
            ..frame
        });
    }
    let rest = rest.trim_start_matches('(');
    let (guessed, rest) = match rest.strip_prefix("? ") {
        Some(rest) => (true, rest.trim_start()),
        None => (false, rest),
    };
    let (function, offsets) = rest.split_once("+0x")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$');
    if function.is_empty() || !function.chars().all(plain) {
        return None;
    }
    let (place, behind) = offsets.split_once(' ').unwrap_or((offsets, ""));
    let (offset, size) = place.trim_end_matches(')').split_once("/0x")?;
    let hex = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    if !hex(offset) || !hex(size) {
        return None;
    }
    // `[veth]`, or `[veth 1f2e…]` with the module's build id, which may be wrapped away.
    let module = behind.strip_prefix('[').map(|module| module.split([']', ' ']).next());
    let module = module.flatten().filter(|module| !module.is_empty()).map(str::to_owned);
    Some(FrameLine { function: function.to_owned(), module, address, guessed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn who(text: &str, who: &str, id: u32, release: Option<&str>) {
        let Some(Trace::Task { pid, comm, kernel }) = parse(text) else {
            panic!("not a task: {text}")
        };
        assert_eq!((comm.as_str(), pid, kernel.as_deref()), (who, Some(id), release), "{text}");
    }

    #[test]
    fn tasks_of_all_ages() {
        who(
            "Pid: 51, comm: ifconfig Not tainted 2.6.31+x-g90702f9-dirty #2",
            "ifconfig",
            51,
            Some("2.6.31+x-g90702f9-dirty"),
        );
        who(
            "Pid: 1, comm: a Tainted: GF          ---------------    2.6.32-358.23.2.el5.x86_64 #1",
            "a",
            1,
            Some("2.6.32-358.23.2.el5.x86_64"),
        );
        who("Pid: 7, comm: b Not tainted (2.6.18-92.el5 #1)", "b", 7, Some("2.6.18-92.el5"));
        who(
            "CPU: 14 PID: 12788 Comm: runc:[2:INIT] Tainted: G        W  OE  ------------ T 3.10.0-514.16.1.el7.x86_64 #1",
            "runc:[2:INIT]",
            12788,
            Some("3.10.0-514.16.1.el7.x86_64"),
        );
        who(
            "CPU: 17 PID: 5532 Comm: a.out Kdump: loaded Not tainted 5.10.0-60.x86_64 #1",
            "a.out",
            5532,
            Some("5.10.0-60.x86_64"),
        );
        who("CPU: 1 UID: 0 PID: 7693 Comm: kworker/u33:5 Not tainted", "kworker/u33:5", 7693, None);
        who("CPU: 11 PID: 7 Comm: crun Not tainted 5.14.0-50", "crun", 7, None);
        who("CPU: 0 PID: 1 Comm: a b: 1.2 Not tainted 6.8.0+ #1", "a b: 1.2", 1, Some("6.8.0+"));
    }

    #[track_caller]
    fn stands(text: &str, name: &str, owner: Option<&str>, guess: bool) {
        let Some(Trace::Frame(frame)) = parse(text) else { panic!("not a frame: {text}") };
        assert_eq!(
            (frame.function.as_str(), frame.module.as_deref(), frame.guessed),
            (name, owner, guess),
            "{text}"
        );
    }

    #[test]
    fn frames_of_all_kinds() {
        stands(" [<ffffffff81685fac>] dump_stack+0x19/0x1b", "dump_stack", None, false);
        stands(
            " [<ffffffffa03719e1>] ? init_net+0x101/0x250 [nf_conntrack]",
            "init_net",
            Some("nf_conntrack"),
            true,
        );
        stands(" ? veth_dev_init+0x72/0xd0 [veth]", "veth_dev_init", Some("veth"), true);
        stands("fw_load+0x126/0x340 [mhi", "fw_load", Some("mhi"), false);
        stands("fw_load+0x126/0x340 [mhi a96cb91d]", "fw_load", Some("mhi"), false);
        stands(
            "[<c0638684>] (dump_stack) from [<c00aae1c>] (warn_alloc_failed+0x104/0x144)",
            "warn_alloc_failed",
            None,
            false,
        );
        stands(" dump_stack_lvl from warn_alloc+0xc0/0x138", "warn_alloc", None, false);
        stands(
            "[c000000003a7b2a0] [c0000000009e0a54] dump_stack+0xb0/0xf0 (unreliable)",
            "dump_stack",
            None,
            false,
        );
        stands("([<0000000000113f2e>] show_stack+0x56/0x80)", "show_stack", None, false);
    }

    #[test]
    fn what_is_no_frame() {
        for text in [
            "RIP: 0010:console_unlock+0xf1b/0x10b0",
            "RAX: 0000",
            "a sentence + 0x1",
            "",
            "x+0x",
            "[<zz>] a+0x1/0x2",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("BUG: unable to handle kernel paging request"), Some(Trace::OtherReport));
        assert_eq!(without_marks("<EOI> Mem-Info:"), "Mem-Info:");
        assert_eq!(
            version("Linux version 6.1.0-37-amd64 (x@y) #1"),
            Some("6.1.0-37-amd64".to_owned())
        );
        let noted = |text: &str| noted_version(text);
        for text in [
            "uname: `Linux node-1 4.3.3-coreos-r2 #2 SMP Fri Jan 22 2016 x86_64`",
            " Kernel Version: 4.3.3-coreos-r2",
            "- **Kernel**: 4.3.3-coreos-r2",
            "Kernel:  Linux 4.3.3-coreos-r2",
        ] {
            assert_eq!(noted(text).as_deref(), Some("4.3.3-coreos-r2"), "{text}");
        }
        assert_eq!(noted("Kernel: the newest"), None);
        assert_eq!(noted("Server Version: 19.03.13"), None);
    }
}
