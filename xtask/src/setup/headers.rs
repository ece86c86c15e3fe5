//! Adapts a kernel's unpacked headers so that modules can be built in place with this machine's tools.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::apt;
use super::suite::Suite;

/// A C library that the headers' own tools ask for, beside the headers.
const LIBC: &str = "libc";
const LIBRARIES: &str = "libc/usr/lib/x86_64-linux-gnu";

/// Adapts headers that were unpacked into a directory, before they are used.
pub(super) fn make_usable(directory: &Path, release: &str, suite: &Suite) -> Result<()> {
    relocate(&directory.join(format!("usr/src/linux-headers-{release}/Makefile")))?;
    let mut tools = Vec::new();
    find_programs(&directory.join("usr/lib"), &mut tools)?;
    let mut outdated = Vec::new();
    for tool in tools {
        if !runs_here(&tool)? {
            outdated.push(tool);
        }
    }
    if outdated.is_empty() {
        return Ok(());
    }
    let libc = directory.join(LIBC);
    fs::create_dir_all(&libc).with_context(|| format!("can't create {}", libc.display()))?;
    suite.download(&["libc6".to_owned()], &libc)?;
    apt::unpack_all(&libc)?;
    outdated.iter().try_for_each(|tool| give_libc(tool, directory))
}

/// The headers' Makefile names itself and the common one by their places in an installed system.
fn relocate(makefile: &Path) -> Result<()> {
    let text = fs::read_to_string(makefile)
        .with_context(|| format!("can't read {}", makefile.display()))?;
    fs::write(makefile, relocated(&text))
        .with_context(|| format!("can't write {}", makefile.display()))
}

fn relocated(makefile: &str) -> String {
    let mut lines = String::from("HERE := $(dir $(abspath $(lastword $(MAKEFILE_LIST))))\n");
    for line in makefile.lines() {
        if line.starts_with("KBUILD_OUTPUT=") {
            lines += "KBUILD_OUTPUT := $(HERE:%/=%)";
        } else {
            lines += &line.replace("include /usr/src/", "include $(HERE)../");
        }
        lines.push('\n');
    }
    lines
}

/// All executable ELF files below a directory; links aren't followed.
fn find_programs(directory: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let cannot = || format!("can't list {}", directory.display());
    let Ok(entries) = fs::read_dir(directory) else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry.with_context(cannot)?;
        let kind = entry.file_type().with_context(cannot)?;
        let path = entry.path();
        if kind.is_dir() {
            find_programs(&path, found)?;
        } else if kind.is_file()
            && entry.metadata().with_context(cannot)?.permissions().mode() & 0o111 != 0
        {
            let mut magic = [0; 4];
            let read = File::open(&path).and_then(|mut file| file.read_exact(&mut magic));
            if read.is_ok() && magic == *b"\x7fELF" {
                found.push(path);
            }
        }
    }
    Ok(())
}

/// Whether this machine's C library is new enough for a program. Other libraries don't count: what
/// would need those only signs modules.
fn runs_here(program: &Path) -> Result<bool> {
    let output =
        Command::new("ldd").arg(program).output().context("can't run ldd: is it installed?")?;
    Ok(!String::from_utf8_lossy(&output.stdout).contains("libc.so.6: version"))
}

/// Puts a script in a program's place that runs it with its suite's C library, by a relative path:
/// the directory may move.
fn give_libc(program: &Path, directory: &Path) -> Result<()> {
    let mut real = program.as_os_str().to_owned();
    real.push(".real");
    fs::rename(program, &real).with_context(|| format!("can't rename {}", program.display()))?;
    let below = program.strip_prefix(directory).unwrap_or(program);
    let up = "/..".repeat(below.components().count() - 1);
    let script = format!(
        "#!/bin/sh\nlib=${{0%/*}}{up}/{LIBRARIES}\n\
         exec \"$lib/ld-linux-x86-64.so.2\" --library-path \"$lib\" \"$0.real\" \"$@\"\n"
    );
    let cannot = || format!("can't write {}", program.display());
    fs::write(program, script).with_context(cannot)?;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).with_context(cannot)
}

#[cfg(test)]
mod tests {
    use super::relocated;

    #[test]
    fn makefile_uses_relative_paths() {
        let text = "KBUILD_OUTPUT=/usr/src/linux-headers-7.2.13-amd64\n\
                    include /usr/src/linux-headers-7.2.13-common/Makefile\n";
        let relocated = relocated(text);
        assert!(!relocated.contains("/usr/src/"), "{relocated}");
        assert!(relocated.contains("include $(HERE)../linux-headers-7.2.13-common/Makefile\n"));
    }
}
