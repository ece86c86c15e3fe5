//! Compiles the kernel programs, so that the binary carries them.
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use aya_build::{Package, Toolchain, build_ebpf};
use object::{
    Endianness,
    elf::{FileHeader64, SHT_NULL},
    pod::{bytes_of, bytes_of_slice},
    read::elf::{FileHeader as _, SectionHeader as _},
};

/// Toolchains that may have the sources of their own `core`, in order: rustup's nightly, and what
/// `cargo xtask setup` links to Debian's compiler.
const TOOLCHAINS: [&str; 2] = ["nightly", "fragwatch-ebpf"];

/// What the names of sections that nothing reads begin with.
const DROPPED: [&str; 4] = [".debug", ".rel.debug", ".BTF", ".rel.BTF"];

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
    build_ebpf([programs], Toolchain::Custom(toolchain)).context(
        "the kernel programs could not be built; `cargo xtask setup` says what is missing",
    )?;
    let output = PathBuf::from(env::var_os("OUT_DIR").context("OUT_DIR is not set")?);
    strip(&output.join("fragwatch-ebpf"), &output.join("programs"))
}

/// Copies an object file without what only debuggers read: DWARF, four fifths of it, and BTF, which the programs
/// have no relocations for, and which takes the loader most of the time and memory of reading the rest. The
/// dropped sections' headers stay as empty ones without names, so no index changes.
fn strip(from: &Path, to: &Path) -> Result<()> {
    let context = || format!("could not strip {} into {}", from.display(), to.display());
    let object = fs::read(from).with_context(context)?;
    fs::write(to, stripped(&object).with_context(context)?).with_context(context)
}

fn stripped(object: &[u8]) -> Result<Vec<u8>> {
    let endian = Endianness::default();
    let file = FileHeader64::<Endianness>::parse(object)?;
    let sections = file.sections(endian, object)?;
    let mut header = *file;
    let mut headers = Vec::new();
    let mut output = bytes_of(&header).to_vec();
    for section in sections.iter() {
        let mut kept = *section;
        let name = String::from_utf8_lossy(sections.section_name(endian, section)?);
        if DROPPED.iter().any(|dropped| name.starts_with(dropped)) {
            kept.sh_type.set(endian, SHT_NULL);
            kept.sh_name.set(endian, 0);
            kept.sh_size.set(endian, 0);
            kept.sh_offset.set(endian, 0);
        } else {
            align(&mut output);
            kept.sh_offset.set(endian, output.len() as u64);
            output.extend(section.data(endian, object)?);
        }
        headers.push(kept);
    }
    align(&mut output);
    header.e_shoff.set(endian, output.len() as u64);
    output.extend(bytes_of_slice(&headers));
    output[..size_of_val(&header)].copy_from_slice(bytes_of(&header));
    Ok(output)
}

/// To what any section asks for.
fn align(output: &mut Vec<u8>) {
    output.resize(output.len().next_multiple_of(8), 0);
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
