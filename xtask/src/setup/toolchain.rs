//! The eBPF toolchain: a compiler together with the sources of its own `core`, and a linker.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use harness::{paths, step};

use super::apt;

/// The rustup name of Debian's compiler.
const LINKED: &str = "fragwatch-ebpf";
/// A toolchain of rustup's own that does as well.
const NIGHTLY: &str = "nightly";
const DEBIAN_RUST: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "rust-web-clippy"];
const LINKER_LIBRARIES: [&str; 3] = ["llvm-22-dev", "libzstd-dev", "zlib1g-dev"];
/// The version whose LLVM 22 reads what these compilers write.
const LINKER_VERSION: &str = "0.13.0";

/// The toolchain that compiles the eBPF programs.
pub fn name() -> Result<&'static str> {
    Ok(if has_core_source(NIGHTLY)? { NIGHTLY } else { LINKED })
}

/// Installs the toolchain and the linker, as far as they are missing.
pub fn prepare() -> Result<()> {
    if !has_core_source(NIGHTLY)? {
        apt::install(&DEBIAN_RUST)?;
        if !is_installed(LINKED)? {
            step::run(
                "link Debian's compiler as a rustup toolchain",
                Command::new("rustup").args(["toolchain", "link", LINKED, "/usr"]),
            )?;
        }
    }
    if paths::program("bpf-linker").is_some() {
        return Ok(());
    }
    apt::install(&LINKER_LIBRARIES)?;
    let path = std::env::var("PATH").unwrap_or_default();
    let mut cargo = step::cargo();
    cargo
        .env("PATH", format!("/usr/lib/llvm-22/bin:{path}"))
        .args(["install", "bpf-linker", "--version", LINKER_VERSION, "--locked"])
        .args(["--no-default-features", "--features", "llvm-22"]);
    step::run("install bpf-linker", &mut cargo)
}

fn is_installed(toolchain: &str) -> Result<bool> {
    let list = step::output("rustup", ["toolchain", "list"])?;
    Ok(list.lines().any(|line| {
        line.split(' ').next().is_some_and(|name| {
            name == toolchain
                || name.strip_prefix(toolchain).is_some_and(|rest| rest.starts_with('-'))
        })
    }))
}

fn has_core_source(toolchain: &str) -> Result<bool> {
    if !is_installed(toolchain)? {
        return Ok(false);
    }
    let root = step::output("rustup", ["run", toolchain, "rustc", "--print", "sysroot"])?;
    Ok(!root.trim().is_empty()
        && Path::new(root.trim()).join("lib/rustlib/src/rust/library").is_dir())
}
