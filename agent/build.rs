//! Compiles the kernel programs, so that the binary carries them.
use std::{env, path::Path, process::Command};

use anyhow::{Context as _, Result, bail};
use aya_build::{Package, Toolchain, build_ebpf};

/// Toolchains that may have the sources of their own `core`, in order: rustup's nightly, and what
/// `cargo xtask setup` links to Debian's compiler.
const TOOLCHAINS: [&str; 2] = ["nightly", "fragwatch-ebpf"];

fn main() -> Result<()> {
    let Some(toolchain) = TOOLCHAINS.into_iter().find(|name| has_core_sources(name)) else {
        bail!(
            "the kernel programs need a Rust toolchain with the sources of core, and none of {} \
             has them; `cargo xtask setup` installs one",
            TOOLCHAINS.join(", ")
        );
    };
    if toolchain != "nightly" {
        // SAFETY: a build script's main thread, before any other is started. A stable compiler
        // builds `core` from source only with this.
        unsafe { env::set_var("RUSTC_BOOTSTRAP", "1") };
    }
    let programs = Package {
        name: "fragwatch-ebpf",
        root_dir: concat!(env!("CARGO_MANIFEST_DIR"), "/../agent-ebpf"),
        features: &["programs"],
        ..Package::default()
    };
    build_ebpf([programs], Toolchain::Custom(toolchain))
        .context("the kernel programs could not be built; `cargo xtask setup` says what is missing")
}

/// Whether this toolchain is there and brings `rust-src`.
fn has_core_sources(toolchain: &str) -> bool {
    let sysroot =
        Command::new("rustup").args(["run", toolchain, "rustc", "--print", "sysroot"]).output();
    sysroot.is_ok_and(|output| {
        let sysroot = String::from_utf8_lossy(&output.stdout);
        output.status.success()
            && Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core").is_dir()
    })
}
