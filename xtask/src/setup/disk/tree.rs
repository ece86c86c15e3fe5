//! The disk's files, put together in a directory.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use harness::kernel::Kernel;
use harness::step;

/// Unused on the disk.
const UNUSED: [&str; 6] = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/lintian",
    "usr/share/perl",
];
/// Links that a package's own scripts, a base system, or systemd would have made.
const LINKS: [(&str, &str); 6] = [
    ("bin/sh", "busybox"),
    // Docker's client connects there.
    ("var/run", "/run"),
    ("usr/sbin/iptables", "iptables-nft"),
    ("usr/sbin/iptables-save", "iptables-nft-save"),
    ("usr/sbin/iptables-restore", "iptables-nft-restore"),
    ("usr/sbin/ip6tables", "ip6tables-nft"),
];
const FILES: [(&str, &str); 5] = [
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
    ("etc/group", "root:x:0:\n"),
    ("etc/hosts", "127.0.0.1 localhost\n"),
    ("etc/hostname", "node\n"),
    // There is no network beyond the node; runtimes need the file all the same.
    ("etc/resolv.conf", ""),
];
/// Where a node mounts something, and where programs expect a directory.
const DIRECTORIES: [&str; 8] = ["proc", "sys", "dev", "run", "tmp", "root", "var/log", "var/tmp"];

/// Unpacks packages, without running any script of theirs.
pub(super) fn unpack(packages: &Path, root: &Path) -> Result<()> {
    let unpack =
        "for package in \"$1\"/*.deb; do dpkg-deb --extract \"$package\" \"$2\" || exit; done";
    step::run(
        "unpack the packages of the runtimes' disk",
        Command::new("sh").args(["-c", unpack, "sh"]).arg(packages).arg(root),
    )?;
    for name in UNUSED {
        let unused = root.join(name);
        if unused.is_dir() {
            fs::remove_dir_all(&unused)
                .with_context(|| format!("can't remove {}", unused.display()))?;
        }
    }
    Ok(())
}

/// Adds the modules of a kernel, with the lists that modprobe reads.
pub(super) fn add_modules(root: &Path, kernel: &Kernel) -> Result<()> {
    let modules = root.join("lib/modules");
    fs::create_dir_all(&modules).with_context(|| format!("can't create {}", modules.display()))?;
    step::run(
        &format!("copy the modules of {}", kernel.release),
        Command::new("cp").arg("--archive").arg(&kernel.modules).arg(&modules),
    )?;
    step::run(
        "list what modules need",
        Command::new("/sbin/depmod").arg("--basedir").arg(root).arg(&kernel.release),
    )
}

/// Adds the files and links of an installed system that are in no package.
pub(super) fn add_what_nodes_have(root: &Path) -> Result<()> {
    for name in DIRECTORIES {
        let directory = root.join(name);
        fs::create_dir_all(&directory)
            .with_context(|| format!("can't create {}", directory.display()))?;
    }
    for (name, content) in FILES {
        super::write(root, name, content)?;
    }
    for (name, target) in LINKS {
        let link = root.join(name);
        // Some package may bring it as an empty directory, as `var/run`.
        let _ = fs::remove_dir(&link);
        symlink(target, &link).with_context(|| format!("can't link {}", link.display()))?;
    }
    Ok(())
}
