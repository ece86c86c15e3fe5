//! Builds what a virtual machine runs: fragwatch, process 1, and the test modules.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

use crate::kernel::Kernel;
use crate::{paths, step};

/// What a virtual machine runs.
pub struct Programs {
    /// The program under test.
    pub fragwatch: PathBuf,
    /// Process 1.
    pub guest: PathBuf,
    /// The modules that ask for large blocks.
    pub modules: Vec<PathBuf>,
}

/// Where [`fragwatch`] puts the optimised program.
#[must_use]
pub fn fragwatch_path() -> PathBuf {
    paths::target().join("release/fragwatch")
}

/// What this process has built so far.
static BUILT: Mutex<Built> = Mutex::new(Built { guest: None, modules: BTreeMap::new() });

struct Built {
    guest: Option<PathBuf>,
    /// By the kernels' series.
    modules: BTreeMap<&'static str, Vec<PathBuf>>,
}

/// Builds all that a machine with this kernel needs, once in a process: machines that start side by
/// side share it. With another program under test, fragwatch isn't built.
pub fn programs(kernel: &Kernel, other: Option<&Path>) -> Result<Programs> {
    // Each part is entered when it is complete, so a panic elsewhere has left nothing half built.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let guest = if let Some(guest) = &built.guest {
        guest.clone()
    } else {
        if other.is_none() {
            fragwatch(true)?;
        }
        built.guest.insert(guest()?).clone()
    };
    let modules = if let Some(modules) = built.modules.get(kernel.series) {
        modules.clone()
    } else {
        built.modules.entry(kernel.series).insert_entry(kernel_modules(kernel)?).get().clone()
    };
    let fragwatch = other.map_or_else(fragwatch_path, Path::to_owned);
    Ok(Programs { fragwatch, guest, modules })
}

/// Runs cargo for fragwatch; the agent's build script compiles the eBPF programs. With `release` it is
/// one static file.
pub fn fragwatch(release: bool) -> Result<()> {
    if release {
        return static_program("fragwatch", "fragwatch");
    }
    step::run("build fragwatch", step::cargo().args(["build", "--package", "fragwatch"]))
}

/// Builds an optimised program with its libraries inside, which starts on a root without any. Only the
/// program itself is compiled for that: procedural macros can't be, and other crates needn't.
fn static_program(package: &str, binary: &str) -> Result<()> {
    step::run(
        &format!("build {package}"),
        step::cargo().args(["rustc", "--release", "--package", package, "--bin", binary]).args([
            "--",
            "-C",
            "target-feature=+crt-static",
        ]),
    )
}

/// Where `cargo xtask package deb` puts the package.
#[must_use]
pub fn package_directory() -> PathBuf {
    paths::target().join("package")
}

/// The Debian package; fails if it has not been made.
pub fn package() -> Result<PathBuf> {
    let directory = package_directory();
    let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
    let mut packages = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"));
    packages.next().with_context(|| {
        format!("{} holds no package: run `cargo xtask package deb`", directory.display())
    })
}

/// Builds process 1 of the virtual machine.
pub fn guest() -> Result<PathBuf> {
    static_program("fragwatch-guest", "guest")?;
    Ok(paths::target().join("release/guest"))
}

/// Builds the test modules for a kernel, in the target directory.
fn kernel_modules(kernel: &Kernel) -> Result<Vec<PathBuf>> {
    let sources = paths::root().join("tests/kmod");
    let directory = paths::target().join("kmod").join(kernel.series);
    fs::create_dir_all(&directory)
        .with_context(|| format!("can't create {}", directory.display()))?;
    // Two runs of make in one directory would disturb each other.
    let lock = directory.join(".lock");
    let _lock = File::create(&lock)
        .and_then(|file| file.lock().map(|()| file))
        .with_context(|| format!("can't lock {}", lock.display()))?;
    let cannot = || format!("can't list {}", sources.display());
    let mut modules = Vec::new();
    for entry in fs::read_dir(&sources).with_context(cannot)? {
        let source = entry.with_context(cannot)?.path();
        let copy = directory.join(source.file_name().unwrap_or_default());
        copy_if_changed(&source, &copy)?;
        if source.extension().is_some_and(|extension| extension == "c") {
            modules.push(copy.with_extension("ko"));
        }
    }
    make_modules(&kernel.headers, &directory)?;
    Ok(modules)
}

/// Runs `make modules` for the sources in a directory.
///
/// The compiler is this Debian's, whichever built the kernel. What it lacks of newer ones doesn't
/// matter to a module: an option with another name, and attributes that only help to find bugs.
/// Type information of modules is left out: the kernel takes none that isn't exactly its own.
fn make_modules(headers: &Path, sources: &Path) -> Result<()> {
    step::run(
        "build the test modules",
        Command::new("make")
            .args(["--silent", "CC=gcc-12", "KCFLAGS=-Wno-attributes"])
            .args(["CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=", "CONFIG_DEBUG_INFO_BTF_MODULES="])
            .arg("-C")
            .arg(headers)
            .arg(format!("M={}", sources.display()))
            .arg("modules"),
    )
}

/// Keeps the time stamp of what didn't change, so that make has nothing to do.
fn copy_if_changed(from: &Path, to: &Path) -> Result<()> {
    let content = fs::read(from).with_context(|| format!("can't read {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == content) {
        return Ok(());
    }
    fs::write(to, content).with_context(|| format!("can't write {}", to.display()))
}
