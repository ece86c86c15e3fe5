//! The machine's first file system, an archive.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Request;
use super::cpio::Archive;
use crate::build::{self, Programs};
use crate::disk::Disk;
use crate::job::{self, Job};
use crate::kernel::Kernel;
use crate::scenario::Scenario;
use crate::{network, overhead, paths, step};

/// Writes the archive: programs with their libraries, the modules, and the job.
pub(super) fn write(
    to: &Path,
    kernel: &Kernel,
    programs: &Programs,
    request: &Request,
    scenario: &Scenario,
) -> Result<()> {
    let file = File::create(to).with_context(|| format!("can't create {}", to.display()))?;
    let mut archive = Archive::new(BufWriter::new(file));
    let job = Job {
        scenario: request.scenario.clone(),
        args: request.args.clone(),
        colour: request.colour,
        cgroups: request.cgroups,
        capabilities: request.capabilities.clone(),
        disk: scenario.disk,
        containers: request.containers,
        effort: request.effort,
        network: request.port.is_some(),
    };
    let job = serde_json::to_vec(&job).context("can't write the job as JSON")?;
    let mut executables =
        vec![(programs.guest.clone(), "/init"), (programs.fragwatch.clone(), "/bin/fragwatch")];
    if !request.bare {
        executables.push((installed("busybox")?, "/bin/busybox"));
        executables.push((installed("runc")?, "/sbin/runc"));
    }
    if let Some(before) = &request.before {
        executables.push((before.clone(), job::BEFORE));
    }
    let mut files: Vec<(PathBuf, String)> =
        programs.modules.iter().map(|module| (module.clone(), in_root(module))).collect();
    if request.bpftrace {
        executables.push((installed("bpftrace")?, job::BPFTRACE));
        // It looks for kernel headers with a shell, and crashes without one.
        executables.push((installed("busybox")?, "/bin/sh"));
        files.push((paths::root().join("tests/overhead.bt"), overhead::SCRIPT.to_owned()));
    }
    if request.port.is_some() {
        let modules = network::MODULES.iter();
        files
            .extend(modules.map(|module| (kernel.modules.join(module), network::in_guest(module))));
    }
    let mut libraries = BTreeSet::new();
    for (path, place) in executables {
        if !request.bare {
            libraries.extend(libraries_of(&path)?);
        }
        files.push((path, place.to_owned()));
    }
    files.extend(libraries.into_iter().map(|path| (PathBuf::from(&path), path)));
    if scenario.disk == Some(Disk::Debian) {
        files.push((build::package()?, job::PACKAGE.to_owned()));
    }
    let mut begin = || -> std::io::Result<()> {
        for directory in ["/proc", "/sys", "/dev", "/run", "/tmp"] {
            archive.directory(directory)?;
        }
        // Process 1 has no stderr without it: devtmpfs comes later.
        archive.device("/dev/console", 5, 1)?;
        archive.file(job::PATH, &job)
    };
    begin().with_context(|| format!("can't write {}", to.display()))?;
    for (path, place) in files {
        let content = fs::read(&path).with_context(|| format!("can't read {}", path.display()))?;
        archive.file(&place, &content).with_context(|| format!("can't write {}", to.display()))?;
    }
    archive.finish().with_context(|| format!("can't write {}", to.display()))
}

/// The path of such a file in the guest.
fn in_root(path: &Path) -> String {
    format!("/{}", path.file_name().unwrap_or_default().to_string_lossy())
}

fn installed(program: &str) -> Result<PathBuf> {
    paths::program(program)
        .with_context(|| format!("{program} isn't installed: run `cargo xtask setup`"))
}

/// The shared libraries and the loader of a program; none if it is static.
fn libraries_of(program: &Path) -> Result<Vec<String>> {
    Ok(step::output("ldd", [program])?.lines().filter_map(library).collect())
}

/// The path in a line like `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f…)`.
fn library(line: &str) -> Option<String> {
    let (before, _) = line.trim().rsplit_once(" (0x")?;
    let path = before.rsplit(' ').next()?;
    path.starts_with('/').then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::library;

    #[test]
    fn libraries_are_read_from_ldd() {
        let find = |line| library(line).unwrap_or_default();
        assert_eq!(
            find("\tlibc.so.6 => /lib/x/libc.so.6 (0x00007f2f57b8f000)"),
            "/lib/x/libc.so.6"
        );
        assert_eq!(
            find("\t/lib64/ld-linux-x86-64.so.2 (0x00007f2f57da4000)"),
            "/lib64/ld-linux-x86-64.so.2"
        );
        assert_eq!(find("\tlinux-vdso.so.1 (0x00007f2f57dc3000)"), "");
        assert_eq!(find("\tstatically linked"), "");
    }
}
