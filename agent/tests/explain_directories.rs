//! `fragwatch explain` on a directory and on an archive.
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures")
}

#[track_caller]
fn explain(path: impl AsRef<Path>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fragwatch"));
    command.arg("explain").arg(path.as_ref()).current_dir(fixtures().join("archives"));
    command.env_remove("RUST_LOG").env("NO_COLOR", "1");
    command.output().expect("the binary was built")
}

#[test]
fn an_archive_is_one_timeline() {
    let output = explain("sos.tar.xz");
    // The journal in it could not be read.
    assert_eq!(output.status.code(), Some(1));
    let stdout = String::from_utf8_lossy(&output.stdout);
    for part in [
        "sos.tar.xz:sos/var/log/messages, lines 1 to 88",
        "also in ",
        "2 incidents in 3 logs",
        "left out  1 journal file: journalctl --file FILE -o json | fragwatch explain -",
        "left out  1 link, which is not followed",
    ] {
        assert!(stdout.contains(part), "{part} is missing:\n{stdout}");
    }
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_directory_is_read_and_links_out_of_it_are_not() {
    let root = std::env::temp_dir().join(format!("fragwatch-explain-{}", std::process::id()));
    let log = fixtures().join("incidents/2023-el7-memcg-ids-mkdir.log");
    fs::create_dir_all(root.join("a")).expect("a directory");
    symlink(&log, root.join("a/linked.log")).expect("a link");
    let output = explain(&root);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout.contains("nothing found in 0 logs"), "{stdout}");
    assert!(stdout.contains("1 link, which is not followed"), "{stdout}");
    fs::copy(&log, root.join("a/copied.log")).expect("a copy");
    let output = explain(&root);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("a/copied.log, line 1"), "{stdout}");
    assert!(stdout.contains("1 incident in 1 log (1 line)"), "{stdout}");
    fs::remove_dir_all(&root).expect("it can be removed");
}

/// Without a file to go back to, what the archive says of its machine is not known.
#[test]
fn an_archive_comes_through_a_pipe() {
    let archive =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/archives/sos.tar.xz");
    let output = Command::new(env!("CARGO_BIN_EXE_fragwatch"))
        .args(["explain", "--format", "json", "-"])
        .stdin(fs::File::open(archive).expect("the fixture"))
        .output()
        .expect("the binary was built");
    let report = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    assert!(report.contains("\"file\":\"-:sos/var/log/messages\""), "{report}");
    assert!(report.contains("\"cause\":\"fragmentation\""), "{report}");
    // A journal in it can't be read.
    assert_eq!(output.status.code(), Some(1));
}
