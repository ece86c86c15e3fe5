//! The container image that all runtimes start: busybox, which sleeps. It is an archive as
//! `docker save` makes them, for every runtime takes these.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use harness::disk::{IMAGE, IMAGE_ARCHIVE};
use harness::step;
use serde_json::json;

/// Where it is put together.
const WORK: &str = "images";

/// Writes it onto the disk, whose busybox it holds.
pub(super) fn write(root: &Path) -> Result<()> {
    let work = root.join(WORK);
    let rootfs = work.join("rootfs");
    // What runtimes mount on, which a read-only file system must bring.
    for name in ["bin", "dev", "etc", "proc", "sys", "run", "tmp"] {
        let directory = rootfs.join(name);
        fs::create_dir_all(&directory)
            .with_context(|| format!("can't create {}", directory.display()))?;
    }
    let busybox = root.join("bin/busybox");
    fs::copy(&busybox, rootfs.join("bin/busybox"))
        .with_context(|| format!("can't copy {}", busybox.display()))?;
    super::write(&rootfs, "etc/passwd", "root:x:0:0:root:/:/bin/busybox\n")?;
    let parts = work.join("parts");
    fs::create_dir_all(&parts).with_context(|| format!("can't create {}", parts.display()))?;
    let layer = parts.join("layer.tar");
    archive(&rootfs, &layer)?;
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"Cmd": ["/bin/busybox", "sleep", "1000000"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(&layer)?)]},
    });
    let manifest = json!([{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]);
    super::write(&parts, "config.json", config.to_string())?;
    super::write(&parts, "manifest.json", manifest.to_string())?;
    archive(&parts, &root.join(IMAGE_ARCHIVE.trim_start_matches('/')))?;
    for directory in [&rootfs, &parts] {
        fs::remove_dir_all(directory)
            .with_context(|| format!("can't remove {}", directory.display()))?;
    }
    Ok(())
}

/// The same files give the same archive, whatever the time and the user.
fn archive(directory: &Path, to: &Path) -> Result<()> {
    step::run(
        &format!("archive {}", directory.display()),
        Command::new("tar")
            .args(["--create", "--sort=name", "--mtime=@0", "--owner=0", "--group=0"])
            .args(["--numeric-owner", "--format=ustar", "--file"])
            .arg(to)
            .arg("--directory")
            .arg(directory)
            .arg("."),
    )
}

fn sha256(file: &Path) -> Result<String> {
    let line = step::output("sha256sum", [file])?;
    let sum = line.split(' ').next().filter(|sum| sum.len() == 64);
    Ok(sum.with_context(|| format!("sha256sum can't read {}", file.display()))?.to_owned())
}
