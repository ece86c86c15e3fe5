//! What the program says and answers when it is called wrongly. None of it needs a kernel that can
//! be traced.
use std::{
    fs::File,
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

#[test]
fn without_capabilities() {
    // A copy that any user may run: the build directory may be closed to others.
    let dir = std::env::temp_dir();
    let copy = dir.join(format!("fragwatch-unprivileged-{}", std::process::id()));
    std::fs::copy(env!("CARGO_BIN_EXE_fragwatch"), &copy)
        .expect("the temporary directory takes it");
    let mut command = Command::new(&copy);
    command.arg("trace").current_dir("/").stdin(Stdio::null());
    // SAFETY: geteuid takes nothing and can't fail.
    if unsafe { libc::geteuid() } == 0 {
        command.uid(65_534).gid(65_534);
    }
    let output = command.output();
    std::fs::remove_file(&copy).expect("it was just made");
    let output = output.expect("the copy runs");
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
