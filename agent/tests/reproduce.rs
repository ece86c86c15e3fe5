//! Wrong input for `reproduce`: each is refused with a sentence and exit code 2, before anything is changed
//! and without root. Needs no privileges.
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Runs `fragwatch reproduce`, and checks that it is refused with these words.
#[track_caller]
fn refused(args: &[&str], words: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_fragwatch"))
        .arg("reproduce")
        .args(args)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .output()
        .expect("the binary was built");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
    assert!(stderr.contains(words), "{args:?}: `{words}` is not in: {stderr}");
    assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{args:?}: stdout holds reports only");
}

/// A directory of files, removed when dropped.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let directory =
            std::env::temp_dir().join(format!("fragwatch-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("the temporary directory is writable");
        Self(directory)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).expect("it can be written");
        path.display().to_string()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn fixture(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(path);
    path.display().to_string()
}

#[test]
fn orders_and_amounts_that_can_not_be_are_refused() {
    let fragmentation = |args: &[&str], words: &str| {
        refused(&[&["fragmentation"], args, &["--", "true"]].concat(), words);
    };
    fragmentation(
        &["--order", "30"],
        "order 30 can't lack: this kernel's blocks have orders 1 to 10",
    );
    fragmentation(&["--order", "0"], "order 0 can't lack");
    fragmentation(&["--order", "four"], "invalid digit");
    fragmentation(&["--order", "4294967296"], "not in 0..=4294967295");
    fragmentation(&[], "--order <N>");
    fragmentation(
        &["--order", "6", "--keep", "9000G"],
        "can't be left free in blocks below order 6",
    );
    fragmentation(&["--order", "6", "--keep", "4K"], "for lack of memory: leave at least");
    fragmentation(&["--order", "6", "--keep", "64"], "write it with its unit");
    fragmentation(&["--order", "6", "--keep", "0M"], "must be more than zero");
    fragmentation(&["--order", "6", "--keep", "99999999999999G"], "no machine has that much");
    fragmentation(&["--order", "3", "--kind", "slab"], "leave blocks of order 4 between them");
    fragmentation(&["--order", "6", "--kind", "wood"], "possible values");
    refused(&["slow-compaction", "--order", "30", "--", "true"], "order 30 can't lack");
}

#[test]
fn other_arguments_that_can_not_be_are_refused() {
    refused(&["bad-luck", "--", "true"], "unrecognized subcommand");
    refused(&["netns-limit"], "there is no command to run");
    refused(
        &["netns-limit", "--", "no-such-program"],
        "there is no program no-such-program in $PATH",
    );
    refused(&["netns-limit", "--", "/etc/passwd"], "there is no program /etc/passwd");
    refused(&["netns-limit", "--left", "-1", "--", "true"], "unexpected argument");
    refused(
        &["netns-limit", "--expect", "fail:bad-luck", "--", "true"],
        "there is no cause bad-luck",
    );
    refused(&["netns-limit", "--expect", "fail", "--", "true"], "write ok, stall, fail:CAUSE");
    refused(&["netns-limit", "--timeout", "0s", "--", "true"], "must be longer than zero");
    refused(&["netns-limit", "--format", "xml", "--", "true"], "possible values");
    refused(&["pids-limit", "--cgroup", "/a/b", "--", "true"], "not a path of one level");
    refused(&["pids-limit", "--cgroup", "/..", "--", "true"], "not a path of one level");
    refused(&["memcg-limit", "--headroom", "64", "--", "true"], "write it with its unit");
}

#[test]
fn files_that_hold_no_state_are_refused() {
    let files = Files::new("no-states");
    let like = |path: &str, words: &str| {
        refused(&["fragmentation", "--like", path, "--", "true"], words);
    };
    like("/no/such/file", "could not read /no/such/file");
    like(&files.0.display().to_string(), "holds no state of a machine: it is no store");
    like(&files.write("empty", ""), "it holds no free blocks");
    like(&files.write("text", "hello\n"), "it holds no free blocks");
    like(&files.write("none", "Node 0, zone Normal 0 0 0\n"), "it holds no free blocks");
    like(&files.write("json", "{\"format\":\"else\"}"), "it is JSON, but no state");
    let newer =
        "{\"format\":\"fragwatch-state\",\"format_version\":99,\"kernel\":null,\"zones\":[]}";
    like(&files.write("newer", newer), "version 99");
    let deep = format!("Node 0, zone Normal{}\n", " 1".repeat(15));
    like(&files.write("deep", &deep), "order 15 can't lack");
    like(&fixture("nodes/6.12-fragmented/proc/zoneinfo"), "add /proc/buddyinfo");
    like(&fixture("captures/6.12-healthy.jsonl"), "neither a sample of memory nor");
    let header = fs::read_to_string(fixture("captures/6.12-healthy.jsonl")).expect("it is there");
    like(&files.write("cut", &header[..300]), "its first line is not what");
}

#[test]
fn files_that_are_there_are_not_overwritten() {
    let files = Files::new("save");
    let path = files.write("state.json", "mine");
    refused(&["fragmentation", "--save", &path], "which must be a new file");
    assert_eq!(fs::read_to_string(&path).expect("it is still there"), "mine");
    let conflict = ["fragmentation", "--order", "6", "--save", "/tmp/new.json", "--", "true"];
    refused(&conflict, "cannot be used with");
}
