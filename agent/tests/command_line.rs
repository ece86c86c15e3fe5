//! Exit codes and messages of the command line for wrong arguments and bad input. Needs no kernel that
//! can be traced.
use std::{
    fs::{self, File, Permissions},
    io::Write as _,
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        process::CommandExt as _,
    },
    path::Path,
    process::{Command, Output, Stdio},
};

fn fragwatch(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fragwatch"));
    command.args(args).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

#[track_caller]
fn check(output: &Output, code: i32, message: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(message), "`{message}` is not in: {stderr}");
    for word in ["panicked", "RUST_BACKTRACE", "stack backtrace"] {
        assert!(!stderr.contains(word), "{stderr}");
    }
}

#[track_caller]
fn run(args: &[&str]) -> Output {
    fragwatch(args).output().expect("the binary was built")
}

#[test]
fn wrong_arguments_exit_with_2() {
    check(&run(&["trace", "--no-such-thing"]), 2, "--no-such-thing");
    check(&run(&["trace", "--duration", "-5"]), 2, "not a duration");
    check(&run(&["trace", "--duration", "-5s"]), 2, "must be longer than zero");
    check(&run(&["trace", "--duration=0s"]), 2, "must be longer than zero");
    check(&run(&["trace", "--format", "xml"]), 2, "xml");
    check(&run(&["no-such-command"]), 2, "no-such-command");
    check(&run(&[]), 2, "Usage");
}

#[test]
fn help_and_version_exit_with_0() {
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("Exit codes"));
    assert_eq!(run(&["--version"]).status.code(), Some(0));
}

/// Runs fragwatch as a user without any capability.
fn run_unprivileged(args: &[&str]) -> Output {
    // A copy, because other users may not enter the build directory.
    let name = format!("fragwatch-{}-{}", args.join("-"), std::process::id());
    let copy = std::env::temp_dir().join(name);
    // Another process copies it: if we did, a child that another test forks meanwhile would keep the
    // file open for writing, and running it would fail with ETXTBSY.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_fragwatch")).arg(&copy).status();
    assert!(copied.expect("cp runs").success(), "the temporary directory is writable");
    let mut command = Command::new(&copy);
    command.args(args).env_remove("RUST_LOG").current_dir("/").stdin(Stdio::null());
    // SAFETY: geteuid takes nothing and can't fail.
    if unsafe { libc::geteuid() } == 0 {
        command.uid(65_534).gid(65_534);
    }
    let output = command.output();
    fs::remove_file(&copy).expect("the file was just created");
    output.expect("the copy runs")
}

#[test]
fn trace_without_capabilities_exits_with_2() {
    let output = run_unprivileged(&["trace"]);
    check(&output, 2, "CAP_BPF and CAP_PERFMON");
    check(&output, 2, "run fragwatch as root");
    assert!(output.stdout.is_empty(), "stdout holds reports only");
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
fn doctor_without_capabilities_or_space_exits_with_2() {
    let output = run_unprivileged(&["doctor", "--format", "json"]);
    check(&output, 2, "");
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("the report is one JSON object");
    assert_eq!(report["type"], "doctor");
    assert_eq!(report["status"], "cannot-run");
    assert_eq!(report["exit_code"], 2);
    let obstacle = report["obstacle"].as_str().unwrap_or_default();
    assert!(obstacle.contains("CAP_BPF and CAP_PERFMON"), "{obstacle}");
    let full = File::options().write(true).open("/dev/full").expect("Linux has /dev/full");
    let output = fragwatch(&["doctor"]).stdout(full).output().expect("the binary was built");
    check(&output, 2, "could not write the report to standard output");
}

/// Runs `fragwatch replay` with `input` as standard input.
fn replay(input: &[u8]) -> Output {
    let mut command = fragwatch(&["replay", "--format", "json", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary was built");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    // replay stops reading when the first line shows that it is no capture.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

const CAPTURE: &str = concat!(
    r#"{"format":"fragwatch-capture","format_version":4,"version":"0.1.0","kernel":"6.12.1","#,
    r#""page_size":4096,"all":false,"hooks":[],"not_seen":[],"unobservable":[],"sees_failures":true,"#,
    r#""realtime_offset_ns":0}"#,
    "\n",
    r#"{"type":"end","outside":{"slow_paths":1,"failures":2,"compactions":3,"reclaims":4}}"#,
    "\n",
);

#[test]
fn replay_of_an_incomplete_capture_exits_with_1() {
    let complete = replay(CAPTURE.as_bytes());
    check(&complete, 0, "");
    let lines = String::from_utf8_lossy(&complete.stdout).lines().count();
    assert_eq!(lines, 2, "ready and summary");
    let truncated = replay(&CAPTURE.as_bytes()[..CAPTURE.len() - 9]);
    check(&truncated, 1, "ends early: its last line is truncated");
    let text = String::from_utf8_lossy(&truncated.stdout);
    let summary = text.lines().last().expect("the rest is reported");
    let summary: serde_json::Value = serde_json::from_str(summary).expect("it is JSON");
    assert_eq!(summary["type"], "summary");
    assert!(summary["outside"].is_null(), "the truncated line held it: {summary}");
    let header = CAPTURE.lines().next().expect("the capture has a header");
    check(&replay(header.as_bytes()), 1, "was killed, or the file is truncated");
    let damaged = CAPTURE.replace("\n{", "\n\u{1}\n{");
    check(&replay(damaged.as_bytes()), 1, "the first is line 2");
}

#[test]
fn replay_of_other_input_exits_with_2() {
    check(&replay(b""), 2, "standard input: it is empty");
    check(&replay(b"\x7fELF\x02\x01\x01\0"), 2, "it is no capture");
    check(&replay(&vec![0; 4 << 20]), 2, "it is no capture");
    let newer = CAPTURE.replace(r#""format_version":4"#, r#""format_version":5"#);
    check(&replay(newer.as_bytes()), 2, "replay it with the version that wrote it");
    check(&run(&["replay", "/no/such/file"]), 2, "could not replay /no/such/file");
    check(&run(&["replay", "/"]), 2, "could not replay the directory /: it is no store");
    check(&run(&["replay"]), 2, "<FILE|DIRECTORY>");
}

#[test]
fn replay_to_a_full_disk_exits_with_1() {
    let path = std::env::temp_dir().join(format!("fragwatch-replay-{}", std::process::id()));
    fs::write(&path, CAPTURE).expect("the temporary directory is writable");
    let full = File::options().write(true).open("/dev/full").expect("Linux has /dev/full");
    let path_text = path.to_string_lossy();
    let output = fragwatch(&["replay", path_text.as_ref()]).stdout(full).output();
    fs::remove_file(&path).expect("the file was just created");
    let output = output.expect("the binary was built");
    check(&output, 1, "could not write the report to standard output");
}

#[test]
fn check_without_privileges_exits_with_a_plugin_code() {
    let output = run_unprivileged(&["check", "--format", "json"]);
    let reply: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("the report is one JSON object");
    assert_eq!(reply["type"], "check");
    assert_eq!(reply["exit_code"], output.status.code().expect("it was not killed"));
    let words = ["OK - ", "WARNING - ", "CRITICAL - ", "UNKNOWN - "];
    let text = run(&["check", "--order", "0"]);
    let stdout = String::from_utf8_lossy(&text.stdout);
    assert!(words.iter().any(|word| stdout.starts_with(word)), "{stdout}");
}

#[test]
fn check_with_wrong_arguments_exits_with_3() {
    check(&run(&["check", "--order", "x"]), 3, "--order");
    check(&run(&["check", "--order", "21"]), 3, "--order");
    check(&run(&["check", "--no-such-thing"]), 3, "--no-such-thing");
    assert_eq!(run(&["check", "--help"]).status.code(), Some(0));
    let full = File::options().write(true).open("/dev/full").expect("Linux has /dev/full");
    let output = fragwatch(&["check"]).stdout(full).output().expect("the binary was built");
    check(&output, 3, "could not write the report to standard output");
}

#[test]
fn check_for_node_problem_detector_prints_one_short_line() {
    let output = run(&["check", "--npd", "--order", "0"]);
    assert!(matches!(output.status.code(), Some(0..=2)), "{:?}", output.status);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.starts_with("order 0: ") && stdout.ends_with('\n'), "{stdout}");
    assert!(stdout.lines().count() == 1 && stdout.trim_end().len() <= 80, "{stdout}");
    check(&run(&["check", "--npd", "--order", "x"]), 2, "--order");
    let full = File::options().write(true).open("/dev/full").expect("Linux has /dev/full");
    let output =
        fragwatch(&["check", "--npd"]).stdout(full).output().expect("the binary was built");
    check(&output, 2, "could not write the report to standard output");
}

#[test]
fn serve_refuses_what_it_can_not_use_with_2() {
    let path = std::env::temp_dir().join(format!("fragwatch-serve-{}.toml", std::process::id()));
    let path_text = path.to_string_lossy().into_owned();
    let with_file = |text: &str, more: &[&str]| {
        fs::write(&path, text).expect("the temporary directory is writable");
        run(&[&["serve", "--config", &path_text], more].concat())
    };
    let valid = with_file("listen = \"off\"\norders = [6]\n", &["--check-config"]);
    assert_eq!(valid.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&valid.stdout), "the configuration is valid\n");
    check(&with_file("lisen = \"off\"\n", &[]), 2, "line 1: unknown field `lisen`");
    check(&with_file("", &["--store-max-size", "1"]), 2, "a store of 1 bytes is too small");
    fs::remove_file(&path).expect("the file was just created");
    check(&run(&["serve", "--config", "/no/such"]), 2, "could not read the configuration /no/such");
    check(&run(&["serve", "--listen", "9823"]), 2, "127.0.0.1:9823 or [::1]:9823");
    check(&run(&["serve", "--store-max-size", "1parsec"]), 2, "not a size");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let output = run(&["serve", "--listen", &address, "--store", "off"]);
    check(&output, 2, &format!("could not listen on {address}: the port is in use"));
    let unprivileged = ["serve", "--listen", "127.0.0.1:0", "--store", "off"];
    check(&run_unprivileged(&unprivileged), 2, "CAP_BPF and CAP_PERFMON");
}

/// Each before anything is attached: that would take a second, and needs privileges.
#[test]
fn serve_refuses_a_store_that_it_can_not_use_with_2() {
    let directory = Path::new("/dev/shm").join(format!("fragwatch-serve-{}", std::process::id()));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir(&directory).expect("it is writable");
    let at = |name: &str| directory.join(name).to_string_lossy().into_owned();
    let serve = |store: &str| run(&["serve", "--listen", "off", "--store", store]);
    check(&serve(&at("not/there")), 2, "No such file or directory");
    fs::write(at("file"), "").expect("it is writable");
    check(&serve(&at("file")), 2, "it is no directory");
    for (name, mode, expected) in [
        ("writable", 0o777, "users other than its owner may write to it"),
        ("linked", 0o700, "it is a symbolic link or no directory"),
        ("locked", 0o700, "another fragwatch writes to it"),
    ] {
        fs::create_dir(at(name)).expect("it is writable");
        fs::set_permissions(at(name), Permissions::from_mode(mode)).expect("it is ours");
        if name == "linked" {
            symlink("/tmp", directory.join(name).join("incidents")).expect("it is writable");
        }
        let lock = File::create(directory.join(name).join("lock")).expect("it is writable");
        if name == "locked" {
            lock.lock().expect("nothing else locks it");
        }
        check(&serve(&at(name)), 2, expected);
    }
    fs::remove_dir_all(&directory).expect("it was created");
}
