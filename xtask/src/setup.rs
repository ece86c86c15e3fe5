//! `cargo xtask setup`: from a bare Debian 12 with rustup to a machine where everything runs.

pub mod apt;
pub mod checkers;
pub mod disk;
mod headers;
pub mod kernel;
pub mod suite;
pub mod toolchain;

use std::fs;

use anyhow::{Context, Result, bail};
use harness::disk::Disk;
use harness::kernel::{DEFAULT, SERIES, Series, series};

/// What building and booting need, whatever else is there.
const PACKAGES: [&str; 12] = [
    // The linker, and the compiler that the kernel's headers ask for.
    "gcc",
    "gcc-12",
    "binutils",
    "libc6-dev",
    "make",
    // Tools in the kernel's headers are linked with these.
    "libelf1",
    "libssl3",
    "pahole",
    // The virtual machine, and what runs in it.
    "qemu-system-x86",
    "runc",
    "busybox-static",
    // `ldd` finds the libraries that the machine's programs need.
    "libc-bin",
];

/// Installs what is missing, with all kernels and the runtimes' disk for one. Asks no server when
/// nothing is.
pub fn run() -> Result<()> {
    tools()?;
    SERIES.iter().try_for_each(kernel::fetch)?;
    disk::make(Disk::Runtimes, series(DEFAULT)?)
}

/// Installs what one kernel needs that is missing.
pub fn with_kernel(series: &'static Series) -> Result<()> {
    tools()?;
    kernel::fetch(series)
}

/// Installs what building needs that is missing.
pub fn tools() -> Result<()> {
    check_distribution()?;
    apt::install(&PACKAGES)?;
    toolchain::prepare()
}

fn check_distribution() -> Result<()> {
    const PATH: &str = "/etc/os-release";
    let text = fs::read_to_string(PATH).with_context(|| format!("can't read {PATH}"))?;
    let has = |line: &str| text.lines().any(|have| have.replace('"', "") == line);
    if has("ID=debian") && has("VERSION_ID=12") {
        return Ok(());
    }
    bail!(
        "setup knows the packages of Debian 12 only, and {PATH} names another system: run it there, in a container or a virtual machine"
    )
}
