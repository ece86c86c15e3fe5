//! Which files of a tree are logs: by name, and by content.
use std::path::Path;

use crate::transport;

/// Words of which logs have one in their name, or in that of a directory that they are in.
const NAMES: &[&str] = &[
    "log",
    "logs",
    "syslog",
    "messages",
    "dmesg",
    "kmsg",
    "journal",
    "journalctl",
    "kern",
    "console",
    "kubelet",
    "containerd",
    "dockerd",
    "crio",
    "events",
];
/// Ends of the names of archives.
const ARCHIVES: &[&str] = &["tar", "tgz", "txz", "tbz", "tbz2", "tzst"];
/// Of each so many bytes, at most one byte in ten is one that no text has.
const ODD: usize = 10;
/// Lines at which is looked.
const LINES: usize = 200;

/// Whether this is a log; `sample` is how it begins.
pub(super) fn is_log(name: &str, sample: &[u8]) -> bool {
    let text = |byte: &&u8| **byte >= 0x20 || matches!(**byte, b'\n' | b'\r' | b'\t' | 0x1b);
    let odd = sample.iter().filter(|byte| !text(byte)).count();
    if odd * ODD > sample.len() {
        return false;
    }
    if is_named(name) {
        return true;
    }
    let sample = String::from_utf8_lossy(sample);
    sample.lines().take(LINES).any(transport::is_log_line)
}

/// Whether the name says that it is a log.
fn is_named(name: &str) -> bool {
    let name = name.to_lowercase();
    // What comes behind the last colon is in an archive whose own name says nothing.
    let path = name.rsplit(':').next().unwrap_or(&name);
    path.split(|c: char| !c.is_alphanumeric()).any(|word| NAMES.contains(&word))
}

/// Whether the name is that of an archive, compressed or not.
pub(super) fn is_named_archive(name: &str) -> bool {
    let file = Path::new(name).file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    file.split('.').skip(1).any(|part| ARCHIVES.contains(&part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_recognised_by_name() {
        for name in ["a/var/log/secure", "a/dmesg", "x/kern.log.1.gz", "n/journalctl_-k", "p/a.log"]
        {
            assert!(is_log(name, b"anything"), "{name}");
        }
        for name in ["a/etc/passwd", "a/changelog", "a/catalog.xml", "logs.tar:etc/hosts"] {
            assert!(!is_log(name, b"anything\n"), "{name}");
        }
        assert!(!is_log("a/var/log/wtmp", &[0, 0, 0, 7, 0, 0, 0, 1]));
    }

    #[test]
    fn logs_are_recognised_by_content() {
        for line in [
            "[   12.345678] usb 1-1: new device",
            "Nov 20 09:42:36 node-7 systemd[1]: Started a.",
            "2026-11-20T09:42:36.123Z stderr F hello",
            "{\"log\":\"a\\n\",\"stream\":\"stderr\",\"time\":\"2026-11-20T09:42:36.1Z\"}",
            "E1120 09:42:36.123456    1421 log.go:32] \"a\"",
            "runc:[1:CHILD]: page allocation failure: order:6, mode:0x40dc0(GFP_KERNEL)",
        ] {
            assert!(is_log("a/x", format!("a title\n{line}\n").as_bytes()), "{line}");
        }
        for line in ["key: value", "{\"kind\":\"List\"}", "<html>", "1 2 3", "a = 12.5"] {
            assert!(!is_log("a/x", line.as_bytes()), "{line}");
        }
    }
}
