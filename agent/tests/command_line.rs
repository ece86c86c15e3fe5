//! What the program says and replies when it is called wrongly. None of it needs a kernel that can
//! be traced.
use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::process::CommandExt as _,
    process::{Command, Output, Stdio},
};

fn fragwatch(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fragwatch"));
    command.args(args).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

#[track_caller]
fn check(output: &Output, code: i32, says: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(says), "`{says}` is not in: {stderr}");
    for word in ["panicked", "RUST_BACKTRACE", "stack backtrace"] {
        assert!(!stderr.contains(word), "{stderr}");
    }
}

#[track_caller]
fn run(args: &[&str]) -> Output {
    fragwatch(args).output().expect("the binary was built")
}

#[test]
fn wrong_arguments() {
    check(&run(&["trace", "--no-such-thing"]), 2, "--no-such-thing");
    check(&run(&["trace", "--duration", "-5"]), 2, "not a duration");
    check(&run(&["trace", "--duration", "-5s"]), 2, "must be longer than zero");
    check(&run(&["trace", "--duration=0s"]), 2, "must be longer than zero");
    check(&run(&["trace", "--format", "xml"]), 2, "xml");
    check(&run(&["no-such-command"]), 2, "no-such-command");
    check(&run(&[]), 2, "Usage");
}

#[test]
fn help_and_version() {
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("Exit codes"));
    assert_eq!(run(&["--version"]).status.code(), Some(0));
}

/// What a user without any capability is told.
fn as_nobody(args: &[&str]) -> Output {
    // A copy that any user may run: the build directory may be closed to others.
    let name = format!("fragwatch-{}-{}", args.join("-"), std::process::id());
    let copy = std::env::temp_dir().join(name);
    // By another process: a child that another test forks meanwhile would hold a copy of ours open
    // for writing, and what is can't be run.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_fragwatch")).arg(&copy).status();
    assert!(copied.expect("cp runs").success(), "the temporary directory takes it");
    let mut command = Command::new(&copy);
    command.args(args).env_remove("RUST_LOG").current_dir("/").stdin(Stdio::null());
    // SAFETY: geteuid takes nothing and can't fail.
    if unsafe { libc::geteuid() } == 0 {
        command.uid(65_534).gid(65_534);
    }
    let output = command.output();
    fs::remove_file(&copy).expect("it was just made");
    output.expect("the copy runs")
}

#[test]
fn without_capabilities() {
    let output = as_nobody(&["trace"]);
    check(&output, 2, "CAP_BPF and CAP_PERFMON");
    check(&output, 2, "run fragwatch as root");
    assert!(output.stdout.is_empty(), "the report is for reports only");
}

#[test]
fn help_into_a_full_disk_does_not_panic() {
    let full = File::options().write(true).open("/dev/full").expect("Linux has /dev/full");
    let output = fragwatch(&["--help"]).stdout(full).output().expect("the binary was built");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code().is_some(), "it was killed by a signal: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn doctor_tells_without_capabilities_and_into_a_full_disk() {
    let output = as_nobody(&["doctor", "--format", "json"]);
    check(&output, 2, "");
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("one object, whatever is missing");
    assert_eq!(report["type"], "doctor");
    assert_eq!(report["status"], "cannot-run");
    assert_eq!(report["exit_code"], 2);
    let obstacle = report["obstacle"].as_str().unwrap_or_default();
    assert!(obstacle.contains("CAP_BPF and CAP_PERFMON"), "{obstacle}");
    let full = File::options().write(true).open("/dev/full").expect("Linux has /dev/full");
    let output = fragwatch(&["doctor"]).stdout(full).output().expect("the binary was built");
    check(&output, 2, "could not write the report to standard output");
}

/// Replays what stands on standard input.
fn replay(input: &[u8]) -> Output {
    let mut command = fragwatch(&["replay", "--format", "json", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary was built");
    let mut stdin = child.stdin.take().expect("it was asked for");
    // Who sees at once that it is no capture does not read it to its end.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

const CAPTURE: &str = concat!(
    r#"{"format":"fragwatch-capture","format_version":3,"version":"0.1.0","kernel":"6.12.1","#,
    r#""page_size":4096,"all":false,"hooks":[],"not_seen":[],"unobservable":[],"sees_failures":true,"#,
    r#""realtime_offset_ns":0}"#,
    "\n",
    r#"{"type":"end","outside":{"slow_paths":1,"failures":2,"compactions":3,"reclaims":4}}"#,
    "\n",
);

#[test]
fn captures_whole_and_not() {
    let whole = replay(CAPTURE.as_bytes());
    check(&whole, 0, "");
    let lines = String::from_utf8_lossy(&whole.stdout).lines().count();
    assert_eq!(lines, 2, "ready and summary");
    let cut = replay(&CAPTURE.as_bytes()[..CAPTURE.len() - 9]);
    check(&cut, 1, "ends early: its last line is cut off");
    let text = String::from_utf8_lossy(&cut.stdout);
    let summary = text.lines().last().expect("the rest is told");
    let summary: serde_json::Value = serde_json::from_str(summary).expect("it is JSON");
    assert_eq!(summary["type"], "summary");
    assert!(summary["outside"].is_null(), "what is cut off is not known: {summary}");
    let header = CAPTURE.lines().next().expect("it has one");
    check(&replay(header.as_bytes()), 1, "was killed, or it is cut");
    let damaged = CAPTURE.replace("\n{", "\n\u{1}\n{");
    check(&replay(damaged.as_bytes()), 1, "the first is line 2");
}

#[test]
fn what_is_no_capture() {
    check(&replay(b""), 2, "standard input: it is empty");
    check(&replay(b"\x7fELF\x02\x01\x01\0"), 2, "it is no capture");
    check(&replay(&vec![0; 4 << 20]), 2, "it is no capture");
    let newer = CAPTURE.replace(r#""format_version":3"#, r#""format_version":4"#);
    check(&replay(newer.as_bytes()), 2, "replay it with the version that wrote it");
    check(&run(&["replay", "/no/such/file"]), 2, "could not replay /no/such/file");
    check(&run(&["replay", "/"]), 2, "it is a directory");
    check(&run(&["replay"]), 2, "<FILE>");
}

#[test]
fn a_replay_into_a_full_disk_says_so() {
    let path = std::env::temp_dir().join(format!("fragwatch-replay-{}", std::process::id()));
    fs::write(&path, CAPTURE).expect("the temporary directory takes it");
    let full = File::options().write(true).open("/dev/full").expect("Linux has /dev/full");
    let path_text = path.to_string_lossy();
    let output = fragwatch(&["replay", path_text.as_ref()]).stdout(full).output();
    fs::remove_file(&path).expect("it was just made");
    let output = output.expect("the binary was built");
    check(&output, 1, "could not write the report to standard output");
}

#[test]
fn check_answers_anybody_with_a_code_that_monitoring_knows() {
    let output = as_nobody(&["check", "--format", "json"]);
    let reply: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("one object, whatever there is");
    assert_eq!(reply["type"], "check");
    assert_eq!(reply["exit_code"], output.status.code().expect("it ended by itself"));
    let words = ["OK - ", "WARNING - ", "CRITICAL - ", "UNKNOWN - "];
    let text = run(&["check", "--order", "0"]);
    let said = String::from_utf8_lossy(&text.stdout);
    assert!(words.iter().any(|word| said.starts_with(word)), "{said}");
}

#[test]
fn check_never_says_critical_of_a_wrong_argument() {
    check(&run(&["check", "--order", "x"]), 3, "--order");
    check(&run(&["check", "--order", "21"]), 3, "--order");
    check(&run(&["check", "--no-such-thing"]), 3, "--no-such-thing");
    assert_eq!(run(&["check", "--help"]).status.code(), Some(0));
    let full = File::options().write(true).open("/dev/full").expect("Linux has /dev/full");
    let output = fragwatch(&["check"]).stdout(full).output().expect("the binary was built");
    check(&output, 3, "could not write the report to standard output");
}
