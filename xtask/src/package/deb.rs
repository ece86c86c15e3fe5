//! The Debian package: the program, its unit, user, man pages and completions, as files of one tree that
//! `dpkg-deb` packs.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use harness::{build, paths, step};

use super::{completions, man_pages};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Files that are installed as they stand in the repository.
const FILES: [(&str, &str); 7] = [
    ("deploy/systemd/fragwatch.service", "usr/lib/systemd/system/fragwatch.service"),
    ("deploy/systemd/fragwatch.socket", "usr/lib/systemd/system/fragwatch.socket"),
    ("deploy/systemd/fragwatch.sysusers", "usr/lib/sysusers.d/fragwatch.conf"),
    ("deploy/systemd/serve.toml", "etc/fragwatch/serve.toml"),
    ("README.md", "usr/share/doc/fragwatch/README.md"),
    (
        "deploy/prometheus/fragwatch.rules.yaml",
        "usr/share/doc/fragwatch/examples/fragwatch.rules.yaml",
    ),
    ("deploy/kubernetes/daemonset.yaml", "usr/share/doc/fragwatch/examples/daemonset.yaml"),
];

/// What dpkg runs.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// Where each shell looks for completions, by the name that their generator gives the file.
const COMPLETIONS: [(&str, &str); 3] = [
    ("fragwatch.bash", "usr/share/bash-completion/completions/fragwatch"),
    ("_fragwatch", "usr/share/zsh/vendor-completions/_fragwatch"),
    ("fragwatch.fish", "usr/share/fish/vendor_completions.d/fragwatch.fish"),
];

/// Builds the optimised program and packs it.
///
/// # Errors
/// If something can't be built, written or packed.
pub fn make() -> Result<PathBuf> {
    build::fragwatch(true)?;
    let directory = build::package_directory();
    // One of another version would be taken for it.
    super::create(&directory)?;
    pack(&build::fragwatch_path(), &directory)
}

/// Packs a program into `fragwatch_VERSION_ARCHITECTURE.deb` in a directory.
pub(super) fn pack(program: &Path, directory: &Path) -> Result<PathBuf> {
    let root = directory.join("deb");
    super::create(&root)?;
    install(program, &root.join("usr/bin/fragwatch"), 0o755)?;
    for (from, to) in FILES {
        install(&paths::root().join(from), &root.join(to), 0o644)?;
    }
    for page in man_pages(&directory.join("man"))? {
        let name = page.file_name().unwrap_or_default();
        install_compressed(&page, &root.join("usr/share/man/man1").join(name))?;
    }
    for file in completions(&directory.join("completions"))? {
        let name = file.file_name().unwrap_or_default();
        let Some((_, to)) = COMPLETIONS.iter().find(|(from, _)| *from == name) else {
            bail!("no place in the package is known for {}", file.display());
        };
        install(&file, &root.join(to), 0o644)?;
    }
    documents(&root.join("usr/share/doc/fragwatch"))?;
    control(&root)?;
    let architecture = architecture()?;
    let package = directory.join(format!("fragwatch_{VERSION}_{architecture}.deb"));
    step::run(
        "pack the Debian package",
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "-Zxz", "--build"])
            .arg(&root)
            .arg(&package)
            // The same files make the same package.
            .env("SOURCE_DATE_EPOCH", commit_time()),
    )?;
    Ok(package)
}

/// Copyright and changelog, which Debian's policy asks for.
fn documents(directory: &Path) -> Result<()> {
    let mit = read("LICENSE-MIT")?;
    let mit: Vec<String> = mit
        .lines()
        .map(|line| if line.is_empty() { " .".to_owned() } else { format!(" {line}") })
        .collect();
    let copyright = read("deploy/debian/copyright")?.replace("@MIT@", &mit.join("\n"));
    write(&directory.join("copyright"), &copyright, 0o644)?;
    install_compressed(&paths::root().join("CHANGELOG.md"), &directory.join("changelog"))
}

/// The directory of dpkg's own files.
fn control(root: &Path) -> Result<()> {
    let directory = root.join("DEBIAN");
    let text = read("deploy/debian/control")?
        .replace("@VERSION@", VERSION)
        .replace("@ARCHITECTURE@", &architecture()?)
        .replace("@SIZE@", &kib_in(root)?.to_string());
    write(&directory.join("control"), &text, 0o644)?;
    write(&directory.join("conffiles"), &read("deploy/debian/conffiles")?, 0o644)?;
    for script in SCRIPTS {
        write(&directory.join(script), &read(&format!("deploy/debian/{script}"))?, 0o755)?;
    }
    Ok(())
}

fn install(from: &Path, to: &Path, mode: u32) -> Result<()> {
    make_parent(to)?;
    fs::copy(from, to)
        .and_then(|_| fs::set_permissions(to, Permissions::from_mode(mode)))
        .with_context(|| format!("can't copy {} to {}", from.display(), to.display()))
}

/// Installs a file as `TO.gz`.
fn install_compressed(from: &Path, to: &Path) -> Result<()> {
    install(from, to, 0o644)?;
    // Without name and time, so that the same text makes the same file.
    let status = Command::new("gzip")
        .args(["--best", "--no-name", "--force"])
        .arg(to)
        .status()
        .context("can't run gzip: is it installed?")?;
    if !status.success() {
        bail!("can't compress {}: gzip failed, {status}", to.display());
    }
    Ok(())
}

fn write(to: &Path, text: &str, mode: u32) -> Result<()> {
    make_parent(to)?;
    fs::write(to, text)
        .and_then(|()| fs::set_permissions(to, Permissions::from_mode(mode)))
        .with_context(|| format!("can't write {}", to.display()))
}

/// Creates the directory of a file, with the rights of installed directories whatever the umask is.
fn make_parent(file: &Path) -> Result<()> {
    let Some(parent) = file.parent() else { return Ok(()) };
    if parent.is_dir() {
        return Ok(());
    }
    make_parent(parent)?;
    fs::create_dir(parent)
        .and_then(|()| fs::set_permissions(parent, Permissions::from_mode(0o755)))
        .with_context(|| format!("can't create {}", parent.display()))
}

fn read(name: &str) -> Result<String> {
    let path = paths::root().join(name);
    fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))
}

/// Size of all files below a directory, in KiB as dpkg counts it: each file is rounded up.
fn kib_in(directory: &Path) -> Result<u64> {
    let cannot = || format!("can't list {}", directory.display());
    let mut kib = 0;
    for entry in fs::read_dir(directory).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        let metadata = entry.metadata().with_context(cannot)?;
        kib += if metadata.is_dir() {
            1 + kib_in(&entry.path())?
        } else {
            metadata.len().div_ceil(1024)
        };
    }
    Ok(kib)
}

/// Debian's name of this machine's architecture.
fn architecture() -> Result<String> {
    let name = step::output("dpkg", ["--print-architecture"])?.trim().to_owned();
    if name.is_empty() {
        bail!("dpkg does not name this machine's architecture: is this Debian?");
    }
    Ok(name)
}

/// Seconds since 1970 of the last commit; 0 without git or outside a repository.
fn commit_time() -> String {
    let root = paths::root().display().to_string();
    let time = step::output("git", ["-C", &root, "log", "-1", "--format=%ct"]).unwrap_or_default();
    let time = time.trim();
    if time.is_empty() { "0" } else { time }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All names in a package, as dpkg lists them.
    fn names(package: &Path) -> Vec<String> {
        let package = package.display().to_string();
        let list = step::output("dpkg-deb", ["--contents", &package]).expect("dpkg-deb runs");
        list.lines().filter_map(|line| Some(line.split("./").nth(1)?.to_owned())).collect()
    }

    #[test]
    fn package_holds_program_unit_user_pages_and_completions() {
        let directory = std::env::temp_dir().join(format!("fragwatch-deb-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("the temporary directory is writable");
        let program = directory.join("program");
        fs::write(&program, "not really").expect("as before");
        let package = pack(&program, &directory).expect("the package is made");
        let names = names(&package);
        for name in [
            "usr/bin/fragwatch",
            "usr/lib/systemd/system/fragwatch.service",
            "usr/lib/sysusers.d/fragwatch.conf",
            "etc/fragwatch/serve.toml",
            "usr/share/man/man1/fragwatch-trace.1.gz",
            "usr/share/bash-completion/completions/fragwatch",
            "usr/share/doc/fragwatch/copyright",
            "usr/share/doc/fragwatch/changelog.gz",
        ] {
            assert!(names.iter().any(|have| have == name), "{name} is not among {names:?}");
        }
        let package = package.display().to_string();
        let field = |name| step::output("dpkg-deb", ["--field", &package, name]).expect("it runs");
        assert_eq!(field("Version").trim(), VERSION);
        assert!(field("Installed-Size").trim().parse::<u64>().is_ok_and(|kib| kib > 10));
        fs::remove_dir_all(&directory).expect("the directory was created");
    }
}
