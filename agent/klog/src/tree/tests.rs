//! Trees made for the purpose, hostile ones among them.
use std::{
    fs,
    io::Write as _,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use flate2::{Compression, write::GzEncoder};
use fragwatch_core::model::kernel_version::KernelVersion;
use tar::{Builder, EntryType, Header};

use super::*;

/// A line with a trigger.
const LINE: &str = "Nov 20 09:42:36 node-7 kernel: Mem-Info:\n";

/// A directory that is removed when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("fragwatch-tree-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("it is below")).expect("a directory");
        fs::write(&path, content).expect("a file");
        path.to_string_lossy().into_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, *content).expect("memory can be written");
    }
    builder.into_inner().expect("memory can be written")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

/// The logs in a tree with their sizes, sorted, and what was left out.
type Contents = (Vec<(String, usize)>, Vec<(LeftOut, u64)>);

fn read(mut tree: Tree) -> Contents {
    let mut logs = Vec::new();
    while let Some(mut found) = tree.next_log() {
        let mut text = Vec::new();
        match found.input.read_to_end(&mut text) {
            Ok(size) => logs.push((found.name, size)),
            Err(error) => tree.leave_out(&ReadError::Io(error), &found.name),
        }
    }
    logs.sort();
    (logs, tree.left_out().iter().map(|(reason, count, _)| (reason, count)).collect())
}

fn open(path: impl AsRef<Path>) -> Tree {
    let path = path.as_ref().to_string_lossy();
    Tree::open(&path).expect("it can be opened").expect("it is a tree")
}

/// The same with the names below `root`.
fn read_below(path: impl AsRef<Path>, root: &Scratch) -> Contents {
    let (logs, left_out) = read(open(path));
    let root = format!("{}/", root.0.display());
    let short = |name: String| name.strip_prefix(&root).map(str::to_owned).unwrap_or(name);
    (logs.into_iter().map(|(name, size)| (short(name), size)).collect(), left_out)
}

#[test]
fn directory_with_all_kinds_of_files() {
    let root = Scratch::new("kinds");
    root.write("a/var/log/messages", LINE);
    root.write("a/var/log/old.gz", gzip(LINE.as_bytes()));
    root.write("a/notes", LINE);
    root.write("a/passwd", "root:x:0:0\n");
    root.write("a/empty.log", "");
    root.write("a/x.journal", "LPKSHHRH");
    root.write("a/x.zip", "PK\x03\x04");
    symlink("..", root.0.join("a/loop")).expect("a link");
    symlink("/etc/passwd", root.0.join("a/out.log")).expect("a link");
    let made = Command::new("mkfifo").arg(root.0.join("a/fifo.log")).status().expect("mkfifo runs");
    assert!(made.success());
    let (logs, left_out) = read_below(root.0.join("a"), &root);
    let names: Vec<&str> = logs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a/notes", "a/var/log/messages", "a/var/log/old.gz"]);
    assert!(logs.iter().all(|(_, size)| *size == LINE.len()), "{logs:?}");
    let expected = [
        (LeftOut::Journal, 1),
        (LeftOut::Form, 1),
        (LeftOut::Link, 2),
        (LeftOut::Special, 1),
        (LeftOut::NotALog, 1),
    ];
    assert_eq!(left_out, expected);
}

#[test]
fn small_logs_with_nothing_in_them_are_counted() {
    let root = Scratch::new("skimmed");
    root.write("a.log", "Nov 20 09:42:36 node-7 systemd[1]: Started a.\nNov 20");
    root.write("b.log.gz", gzip(b"Nov 20 09:42:36 node-7 systemd[1]: Started b.\n"));
    root.write("c.log", LINE);
    root.write("d.log", "Nov 20 09:42:36 node-7 systemd[1]: Started a.\n".repeat(2000));
    let mut tree = open(&root.0);
    let mut found = Vec::new();
    while let Some(log) = tree.next_log() {
        found.push(log.name.rsplit('/').next().expect("a name").to_owned());
    }
    found.sort();
    assert_eq!(found, ["c.log", "d.log"]);
    assert_eq!(tree.skimmed(), Skimmed { files: 2, lines: 3, bytes: 98 });
}

#[test]
fn a_log_is_no_tree() {
    let root = Scratch::new("log");
    let path = root.write("messages", LINE.repeat(100));
    assert!(Tree::open(&path).expect("it can be opened").is_none());
    let path = root.write("messages.gz", gzip(LINE.repeat(100).as_bytes()));
    assert!(Tree::open(&path).expect("it can be opened").is_none());
    Tree::open("/nonexistent/tree").err().expect("there is none");
}

#[test]
fn archives_in_archives() {
    let root = Scratch::new("nested");
    let inner = gzip(&tar(&[("var/log/messages", LINE.as_bytes())]));
    let middle = tar(&[("inner.tar.gz", &inner), ("m.log", LINE.as_bytes())]);
    let outer = gzip(&tar(&[("./middle", &middle), ("o.log.gz", &gzip(LINE.as_bytes()))]));
    let path = root.write("outer.tgz", &outer);
    let (logs, left_out) = read_below(&path, &root);
    let names: Vec<&str> = logs.iter().map(|(name, _)| name.as_str()).collect();
    let inner = "outer.tgz:middle:inner.tar.gz:var/log/messages";
    assert_eq!(names, [inner, "outer.tgz:middle:m.log", "outer.tgz:o.log.gz"]);
    assert_eq!(left_out, []);
    // As deep as it may be, and one deeper.
    let path = root.write("deeper.tar", tar(&[("outer", &outer)]));
    assert_eq!(read_below(&path, &root).1, []);
    let deeper = tar(&[("outer", &outer)]);
    let path = root.write("deepest.tar", tar(&[("deeper", &deeper)]));
    assert_eq!(read_below(&path, &root).1, [(LeftOut::Nested, 1)]);
}

#[test]
fn links_and_paths_out_of_an_archive_are_not_followed() {
    let root = Scratch::new("links");
    let mut builder = Builder::new(Vec::new());
    for (kind, name, target) in [
        (EntryType::Symlink, "a.log", "/etc/passwd"),
        (EntryType::Link, "b.log", "../../etc/passwd"),
    ] {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        builder.append_link(&mut header, name, target).expect("memory can be written");
    }
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..17].copy_from_slice(b"../../escaped.log");
    header.set_size(LINE.len() as u64);
    header.set_cksum();
    builder.append(&header, LINE.as_bytes()).expect("memory can be written");
    let path = root.write("a.tar", builder.into_inner().expect("memory can be written"));
    let (logs, left_out) = read_below(&path, &root);
    assert_eq!(logs, [("a.tar:../../escaped.log".to_owned(), LINE.len())]);
    assert_eq!(left_out, [(LeftOut::Link, 2)]);
}

#[test]
fn a_bomb_is_not_unpacked() {
    let root = Scratch::new("bomb");
    let blanks = vec![b' '; 8 << 20];
    let tar = tar(&[("a.log", LINE.as_bytes()), ("b.log", &blanks), ("c.log", &blanks)]);
    let path = root.write("a.tgz", gzip(&tar));
    let within = |grace| {
        let tree = Tree::open_within(&path, Budget::new(grace)).expect("it can be opened");
        read(tree.expect("it is a tree"))
    };
    let (logs, left_out) = within(1 << 20);
    assert_eq!(logs[0].1, LINE.len());
    assert!(logs.len() < 3 && left_out.iter().any(|(reason, _)| *reason == LeftOut::Expands));
    let (logs, left_out) = within(1 << 30);
    assert_eq!((logs.len(), left_out), (3, vec![]));
}

#[test]
fn long_headers_are_not_read_into_memory() {
    let root = Scratch::new("headers");
    let archive = |length: usize| {
        let name = format!("{}.log", "a/".repeat(length / 2));
        let mut header = Header::new_gnu();
        header.set_size(name.len() as u64);
        header.set_entry_type(EntryType::GNULongName);
        header.set_cksum();
        let mut builder = Builder::new(Vec::new());
        builder.append(&header, name.as_bytes()).expect("memory can be written");
        let mut all = builder.into_inner().expect("memory can be written");
        // Without the end of the archive.
        all.truncate(all.len() - 1024);
        all.extend(tar(&[("x", LINE.as_bytes())]));
        all
    };
    let (logs, left_out) = read(open(root.write("a.tar", archive(4000))));
    assert_eq!((logs.len(), left_out), (1, vec![]));
    let (logs, left_out) = read(open(root.write("b.tar", archive(4 << 20))));
    assert_eq!((logs.len(), left_out), (0, vec![(LeftOut::Damaged, 1)]));
}

#[test]
fn what_comes_before_damage_is_read() {
    let root = Scratch::new("damage");
    let long = LINE.repeat(1000);
    let whole = tar(&[("a.log", LINE.as_bytes()), ("b.log", long.as_bytes())]);
    let (logs, left_out) = read(open(root.write("a.tar", &whole[..whole.len() / 2])));
    assert_eq!(logs[0].1, LINE.len());
    assert_eq!((logs.len(), left_out), (2, vec![(LeftOut::Damaged, 1)]));
    let mut damaged = whole.clone();
    // In the second header.
    damaged[1024] ^= 1;
    let (logs, left_out) = read(open(root.write("b.tar", damaged)));
    assert_eq!((logs.len(), left_out), (1, vec![(LeftOut::Damaged, 1)]));
}

#[test]
fn no_more_files_than_allowed_are_looked_at() {
    let root = Scratch::new("many");
    for at in 0..40 {
        root.write(&format!("{at}.log"), LINE);
        root.write(&format!("{at}.empty"), "");
    }
    let mut tree = open(&root.0);
    tree.max_entries = 20;
    let (logs, left_out) = read(tree);
    assert!(logs.len() <= 20, "{}", logs.len());
    assert_eq!(left_out, [(LeftOut::TooMany, 1)]);
    assert_eq!(read(open(&root.0)).0.len(), 40);
}

#[test]
fn deep_directories_end_somewhere() {
    let root = Scratch::new("deep");
    root.write(&format!("{}x.log", "d/".repeat(60)), LINE);
    root.write(&format!("{}x.log", "e/".repeat(80)), LINE);
    let (logs, left_out) = read(open(&root.0));
    assert_eq!((logs.len(), left_out), (1, vec![(LeftOut::Nested, 1)]));
}

#[test]
fn files_of_holes_are_left_out() {
    let root = Scratch::new("holes");
    let path = root.write("a.log", LINE);
    let file = fs::OpenOptions::new().write(true).open(path).expect("a file");
    file.set_len(1 << 40).expect("a hole");
    let (logs, left_out) = read(open(&root.0));
    assert_eq!((logs.len(), left_out), (0, vec![(LeftOut::Sparse, 1)]));
}

#[test]
fn facts_are_found_behind_the_logs() {
    let root = Scratch::new("facts");
    let archive = tar(&[
        ("sos/var/log/messages", LINE.as_bytes()),
        ("sos/sos_commands/kernel/uname_-a", b"Linux n1 5.14.0-1.el9.x86_64 #1 SMP\n"),
    ]);
    root.write("sos.tar.gz", gzip(&archive));
    let facts = open(&root.0).facts(&AtomicBool::new(false));
    let log = format!("{}/sos.tar.gz:sos/var/log/messages", root.0.display());
    assert_eq!(facts.kernel(&log).map(KernelVersion::as_str), Some("5.14.0-1.el9.x86_64"));
}
