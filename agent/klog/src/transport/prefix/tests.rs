//! Tests of what is taken off lines.
use super::*;

/// A prefix as `time | caller | origin | host | text`, with what isn't there left empty.
fn taken(line: &str) -> String {
    let (prefix, text) = Prefix::take(line, &mut LastDate::default());
    let boot = prefix.time.boot.map(|boot| format!("{boot:?}"));
    let wall = prefix.time.wall.map(|wall| match wall {
        Wall::Timestamp(time) => time.to_string(),
        Wall::Civil(time) => time.to_string(),
        Wall::Yearless { month, day, time } => format!("--{month:02}-{day:02}T{time}"),
    });
    let delta = prefix.delta.map(|delta| format!("+{delta:?}"));
    let time: Vec<String> = [boot, wall, delta].into_iter().flatten().collect();
    let caller = match prefix.caller {
        Some(Caller::Thread(thread)) => format!("T{thread}"),
        Some(Caller::Cpu(cpu)) => format!("C{cpu}"),
        None => String::new(),
    };
    let origin = match prefix.origin {
        Origin::Kernel => "kernel".to_owned(),
        Origin::Program { name, pid } => {
            format!("{name}{}", pid.map(|pid| format!("[{pid}]")).unwrap_or_default())
        }
        Origin::Unknown => String::new(),
    };
    let host = prefix.host.unwrap_or_default();
    format!("{}|{caller}|{origin}|{host}|{text}", time.join(" "))
}

#[track_caller]
fn check(lines: &[(&str, &str)]) {
    for (line, expected) in lines {
        assert_eq!(taken(line), *expected, "{line}");
    }
}

#[test]
fn dmesg() {
    check(&[
        ("[  123.456789] oom", "123.456789s||kernel||oom"),
        (
            "[69229257.683658]  [<ffffffff8112723a>] ? x",
            "69229257.683658s||kernel|| [<ffffffff8112723a>] ? x",
        ),
        ("[    0.000000] Linux version 6.1.0", "0ns||kernel||Linux version 6.1.0"),
        ("[ 3239.803530][    C1]  ? y+0x1/0x2", "3239.80353s|C1|kernel|| ? y+0x1/0x2"),
        ("[ 3239.803530][ T1234] z", "3239.80353s|T1234|kernel||z"),
        ("[   12.5] [    T1] z", "12.5s|T1|kernel||z"),
        ("[  T77] z", "|T77|kernel||z"),
        ("[  1.250000 <    0.000005>] d", "1.25s||kernel||d"),
        ("<4>[   59.707645] a: b", "59.707645s||kernel||a: b"),
        ("<4>[   59.707645][ T9] a: b", "59.707645s|T9|kernel||a: b"),
        ("[   59.707645] [4:  kworker/4:1: 27109] cache", "59.707645s|T27109|kernel||cache"),
        ("kern  :warn  : [  123.456789] a", "123.456789s||kernel||a"),
        ("kern  :info  : [Mon Nov 20 09:42:36 2023] a", "2023-11-20T09:42:36||kernel||a"),
        ("daemon:info  : [  123.456789] a", "123.456789s||kernel||a"),
        ("[Mon Jun  3 19:59:56 2024] dockerd: a", "2024-06-03T19:59:56||kernel||dockerd: a"),
        ("\t[4983682.777774] memory: usage", "4983682.777774s||kernel||memory: usage"),
        ("[Apr14 02:46] a", "--04-14T02:46:00||kernel||a"),
        ("[  +0.000006] a", "+6µs||kernel||a"),
        ("2026-11-20T09:42:36,123456+01:00 a: b", "2026-11-20T08:42:36.123456Z||kernel||a: b"),
        ("[2026-11-20T09:42:36,123456+01:00] a: b", "2026-11-20T08:42:36.123456Z||kernel||a: b"),
        ("[2026-11-20 09:42:36] [   12.500000] a", "12.5s 2026-11-20T09:42:36||kernel||a"),
    ]);
}

#[test]
fn months_in_other_languages() {
    check(&[
        ("[Di Aug 12 03:54:03 2025] a", "2025-08-12T03:54:03||kernel||a"),
        ("[Do Mär  6 03:54:03 2025] a", "2025-03-06T03:54:03||kernel||a"),
        ("[Чт мар 23 19:11:18 2023] a", "2023-03-23T19:11:18||kernel||a"),
        ("[二 9月  3 05:57:48 2024] a", "2024-09-03T05:57:48||kernel||a"),
        ("[ven. févr. 23 19:11:18 2023] a", "2023-02-23T19:11:18||kernel||a"),
        ("[śro paź 11 19:11:18 2023] a", "2023-10-11T19:11:18||kernel||a"),
        ("Okt 11 01:02:03 h kernel: a", "--10-11T01:02:03||kernel|h|a"),
        ("дек 01 01:02:03 h kernel: a", "--12-01T01:02:03||kernel|h|a"),
        ("mai 01 01:02:03 h kernel: a", "--05-01T01:02:03||kernel|h|a"),
        ("juil. 14 01:02:03 h kernel: a", "--07-14T01:02:03||kernel|h|a"),
        // Of a language that isn't known: taken off, and not understood.
        ("[ሰኞ ኅዳር 20 09:42:36 2023] a", "||kernel||a"),
        ("Ιαν 11 01:02:03 h kernel: a", "||kernel|h|a"),
    ]);
}

#[test]
fn syslog_and_journal() {
    check(&[
        (
            "Jan 10 10:44:40 my-server.com kernel: java a",
            "--01-10T10:44:40||kernel|my-server.com|java a",
        ),
        ("Nov 12 15:15:41 kernel: exe: a", "--11-12T15:15:41||kernel||exe: a"),
        (
            "Aug  4 22:58:15 server1 kernel: : [69229257.683658] a",
            "69229257.683658s --08-04T22:58:15||kernel|server1|a",
        ),
        (
            "Jul 13 21:21:11 server kernel: [7601521.772315] a b",
            "7601521.772315s --07-13T21:21:11||kernel|server|a b",
        ),
        ("Jan 23 14:15:31 dc05 dockerd: time=\"x\"", "--01-23T14:15:31||dockerd|dc05|time=\"x\""),
        ("Oct 12 19:00:20 aks systemd[1]: a: b", "--10-12T19:00:20||systemd[1]|aks|a: b"),
        ("Feb 04 11:32:40 c lxd.daemon[4732]: t=2", "--02-04T11:32:40||lxd.daemon[4732]|c|t=2"),
        ("Nov 20 09:42:36.123456 h kernel: a", "--11-20T09:42:36.123456||kernel|h|a"),
        ("2026-11-20T09:42:36+0100 h kernel: a", "2026-11-20T08:42:36Z||kernel|h|a"),
        ("2026-11-20T09:42:36.5Z h dockerd[7]: a", "2026-11-20T09:42:36.5Z||dockerd[7]|h|a"),
        ("Fri 2026-11-20 09:42:36 UTC h kernel: a", "2026-11-20T09:42:36Z||kernel|h|a"),
        ("Fri 2026-11-20 09:42:36 CET h kernel: a", "2026-11-20T09:42:36||kernel|h|a"),
        ("1763627756.250000 h kernel: a", "2025-11-20T08:35:56.25Z||kernel|h|a"),
        ("[ 1234.500000] h kernel: a", "1234.5s||kernel|h|a"),
        ("[ 1234.500000] h kubelet[12]: a", "1234.5s||kubelet[12]|h|a"),
        ("[ 1234.500000] usb 1-1: a", "1234.5s||kernel||usb 1-1: a"),
        ("[ 1234.500000] Hardware name: QEMU", "1234.5s||kernel||Hardware name: QEMU"),
        ("[ 1234.500000] Call Trace:", "1234.5s||kernel||Call Trace:"),
        ("[ 1234.500000] a.out[12]: segfault", "1234.5s||kernel||a.out[12]: segfault"),
        ("2026-11-20 09:42:36 Call Trace:", "2026-11-20T09:42:36||||Call Trace:"),
        ("Nov 12 15:15:41 exe: page", "--11-12T15:15:41||||exe: page"),
        (
            "Jan 23 14:15:31 kubelet: E0123 14:15:31.3 1 a.go:9] x",
            "--01-23T14:15:31||kubelet||E0123 14:15:31.3 1 a.go:9] x",
        ),
        ("kernel: a", "||kernel||a"),
        ("h kernel: [ 1234.500000] a", "1234.5s||kernel|h|a"),
        (
            "Mon Jun  3 19:59:56 2024 kern.warn kernel: [10389.945893] a",
            "10389.945893s 2024-06-03T19:59:56||kernel||a",
        ),
        (
            "Jun  3 19:59:56 OpenWrt kern.err kernel: [10389.945893] a",
            "10389.945893s --06-03T19:59:56||kernel|OpenWrt|a",
        ),
        ("<30>Nov 20 09:42:36 h dockerd[5]: a", "--11-20T09:42:36||dockerd[5]|h|a"),
        ("<4>Nov 20 09:42:36 h kernel: a", "--11-20T09:42:36||kernel|h|a"),
        (
            "<4>1 2026-11-20T09:42:36.123Z h kernel - - - [   1.5] a",
            "1.5s 2026-11-20T09:42:36.123Z||kernel|h|a",
        ),
        (
            "<165>1 2026-11-20T09:42:36Z h kubelet 42 ID47 [x@1 a=\"b\\]c\"][y@2 d=\"e\"] \u{feff}f",
            "2026-11-20T09:42:36Z||kubelet[42]|h|f",
        ),
        (
            "Nov 20 09:42:36 h last message repeated 3 times",
            "--11-20T09:42:36||||h last message repeated 3 times",
        ),
    ]);
}

#[test]
fn kmsg_and_container_runtimes() {
    check(&[
        ("4,22743,6115623303887,-;oom-kill:a", "6115623.303887s||kernel||oom-kill:a"),
        ("6,1,1500000,-,caller=T5;a", "1.5s|T5|kernel||a"),
        ("30,1,1500000,-;systemd[1]: a", "1.5s||systemd[1]||a"),
        ("4,1,1500000,c;a;b", "1.5s||kernel||a;b"),
        ("2026-11-20T09:42:36.123456789Z stderr F a: b", "2026-11-20T09:42:36.123456789Z||||a: b"),
    ]);
    assert!(Prefix::take("2026-11-20T09:42:36.1Z stdout P a", &mut LastDate::default()).0.partial);
    assert!(!Prefix::take("2026-11-20T09:42:36.1Z stdout F a", &mut LastDate::default()).0.partial);
}

#[test]
fn what_only_looks_like_a_prefix_stays() {
    for line in [
        "[  746]     0   746    24254     8892      52 systemd-journal",
        "[ pid ]   uid  tgid total_vm",
        " [<ffffffff8112723a>] ? __alloc_pages_nodemask+0x67a/0x8c0",
        "Node 0, zone      DMA      2      2",
        "Mem-Info:",
        "exe: page allocation failure: order:6, mode:0x10c0d0",
        "CPU: 1 PID: 18377 Comm: exe Not tainted 3.10.0",
        "a.out[1234]: segfault at 0",
        "<IRQ>  [<ffffffff8155b3d8>]",
        "<TASK>",
        "1,2 of 3; 4",
        "12:34:56 was when it happened",
        "2026-11-20",
        "",
        "[",
        "[]",
        "<>",
    ] {
        let (prefix, text) = Prefix::take(line, &mut LastDate::default());
        assert_eq!((prefix, text), (Prefix::none(), line), "{line}");
    }
}

#[test]
fn a_date_that_was_read_before_is_the_same_date() {
    let lines = [
        "Nov 20 09:42:36 n1 kernel: a",
        "Nov 20 09:42:36.123456 n1 kernel: a",
        "Nov 20 09:42:36 2023 kernel: a",
        "Mon Nov 20 09:42:36 2023: a",
        "2026-11-20 09:42:36 n1 sshd[7]: a",
        "2026-11-20 09:42:36 UTC n1 sshd[7]: a",
        "2026-11-20 09:42:36+01:00 n1 sshd[7]: a",
        "2026-11-20T09:42:36Z stderr F a",
        "1763627756.1 n1 kernel: a",
        "1763627756.12 n1 kernel: a",
    ];
    for before in lines {
        for line in lines {
            let mut last = LastDate::default();
            let _ = Prefix::take(before, &mut last);
            let again = Prefix::take(line, &mut LastDate::default());
            assert_eq!(Prefix::take(line, &mut last), again, "{line} after {before}");
        }
    }
}
