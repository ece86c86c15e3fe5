//! One sosreport, packed in all the ways that are read.
use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use fragwatch_core::report::Json;
use fragwatch_klog::{explain::Explainer, tree::Tree};
use serde_json::Value;

/// What is reported of the archive that ends so.
fn explain(extension: &str) -> Vec<Value> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/archives");
    let path = folder.join(format!("sos.tar.{extension}")).to_string_lossy().into_owned();
    let open = || Tree::open(&path).expect("it can be opened").expect("it is an archive");
    let facts = open().facts(&AtomicBool::new(false));
    let mut out = Vec::new();
    let mut json = Json::new(&mut out);
    let mut explainer = Explainer::new(&mut json, Arc::default(), None, Vec::new());
    explainer.read_tree(open(), &facts).expect("memory can be written");
    explainer.finish().expect("memory can be written");
    // Where the archive is differs, and what it is called.
    let out = String::from_utf8(out).expect("JSON is UTF-8").replace(&path, "sos.tar");
    out.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

#[test]
fn an_archive_is_read_however_it_is_packed() {
    let lines = explain("gz");
    let [first, second, summary] = &lines[..] else { panic!("{lines:#?}") };
    assert_eq!(first["file"], "sos.tar:sos/var/log/messages");
    assert_eq!(first["also_in"][0]["file"], "sos.tar:sos/sos_commands/kernel/dmesg");
    assert_eq!(first["verdict"]["cause"], "fragmentation");
    assert_eq!(second["file"], "sos.tar:sos/var/log/kern.log-20180611.gz");
    // It names no kernel.
    assert_eq!(second["kernel"], "3.10.0-514.el7.x86_64");
    assert_eq!((&summary["files"], &summary["unread_files"]), (&3.into(), &1.into()));
    let left_out = summary["left_out"].as_array().expect("an array").iter();
    let reasons: Vec<&Value> = left_out.map(|files| &files["reason"]).collect();
    assert_eq!(reasons, ["journal", "link", "not-a-log"]);
    for extension in ["xz", "bz2", "zst"] {
        assert_eq!(explain(extension), lines, "{extension}");
    }
}
