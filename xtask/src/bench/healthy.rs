//! Whether `explain` takes healthy logs for failures: 1 GiB of what Debian's packages of runtimes can
//! say, of the kernel's documentation and of its sources, with all the words that failures have in them.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use fragwatch_klog::read::trigger::TRIGGERS;
use harness::{build, paths, step};

use crate::setup::apt;

/// How much text.
const BYTES: u64 = 1 << 30;
/// What runtimes can say is only some megabytes: it is in the log this often.
const REPEAT: usize = 8;
/// The shortest text in an executable that may be a message.
const SHORTEST: usize = 12;

/// Whose messages.
const PACKAGES: [&str; 9] = [
    "docker.io",
    "containerd",
    "crun",
    "podman",
    "lxc",
    "systemd-container",
    "conmon",
    "buildah",
    "linux-source-6.12",
];

/// Texts that are the whole of a failure's message, with nothing that shows that they are quoted: crun's
/// words for a limit that is too low, and an error that Docker's README shows.
const WHOLE_MESSAGES: [&str; 2] =
    ["OOM: the memory limit could be too low", "oci runtime error: could not synchronise with"];

/// What stands before lines: a log has one of these for a stretch of lines.
const PREFIXES: [&str; 8] = [
    "",
    "Nov 20 09:42:36 node-7 kernel: ",
    "[12345.678901] ",
    "Nov 20 09:42:36 node-7 app[812]: ",
    "2026-11-20T09:42:36.123456Z node-7 dockerd[731]: ",
    "docs-1 | ",
    "{\"log\":\"",
    "Nov 20 09:42:36 node-7 kubelet[1421]: I1120 09:42:36.123456    1421 file.go:12] ",
];
/// Lines of such a stretch.
const STRETCH: u64 = 5_000;

/// Sentences about a phrase, which stands for `@`.
const SENTENCES: [&str; 4] = [
    "If the log says `@`, see the manual for what to do.",
    "// @ fails with ENOMEM if there is no memory, and the container does not start",
    "pr_warn(\"@: failed for %s, error %d\\n\", name, err);",
    "expr: count_over_time({job=\"kernel\"} |= \"@\" [5m]) > 0",
];

/// Makes the log if it isn't there, and runs explain; fails if it finds something.
pub(super) fn run() -> Result<()> {
    build::fragwatch(true)?;
    let log = generate(&paths::target().join("bench"))?;
    let mut command = Command::new(build::fragwatch_path());
    let output = command
        .args(["explain", "--format", "json"])
        .arg(&log)
        .output()
        .context("can't run fragwatch")?;
    let report = String::from_utf8_lossy(&output.stdout);
    let summary = report.lines().last().unwrap_or_default();
    println!("{summary}");
    let found: Vec<&str> =
        report.lines().filter(|line| line.contains("\"type\":\"incident\"")).collect();
    for incident in found.iter().take(20) {
        println!("{incident}");
    }
    if !found.is_empty() || !output.status.success() {
        bail!("{} incidents in {}, where there is none", found.len(), log.display());
    }
    Ok(())
}

fn generate(directory: &Path) -> Result<PathBuf> {
    // A number in the name for each change of what is in it.
    let path = directory.join("healthy-2.log");
    if fs::metadata(&path).is_ok_and(|file| file.len() >= BYTES) {
        return Ok(path);
    }
    let sources = directory.join("healthy");
    fetch(&sources)?;
    let mut files = Vec::new();
    list(&sources, &mut files)?;
    files.sort();
    eprintln!("==> generate {}", path.display());
    let unfinished = path.with_extension("part");
    write(&unfinished, &files)
        .with_context(|| format!("can't write {}: is there room?", unfinished.display()))?;
    fs::rename(&unfinished, &path)
        .with_context(|| format!("can't rename {}", unfinished.display()))?;
    Ok(path)
}

/// Unpacks the packages, and the kernel's sources in one of them.
fn fetch(directory: &Path) -> Result<()> {
    let done = directory.join("complete");
    if done.exists() {
        return Ok(());
    }
    fs::create_dir_all(directory)
        .with_context(|| format!("can't create {}", directory.display()))?;
    apt::update()?;
    step::run(
        "download the packages",
        apt::get().arg("download").args(PACKAGES).current_dir(directory),
    )?;
    apt::unpack_all(directory)?;
    let archive = directory.join("usr/src/linux-source-6.12.tar.xz");
    step::run(
        "unpack the kernel's sources",
        Command::new("tar").arg("-xf").arg(&archive).current_dir(directory),
    )?;
    fs::remove_file(&archive).with_context(|| format!("can't remove {}", archive.display()))?;
    fs::write(&done, "").with_context(|| format!("can't write {}", done.display()))
}

fn list(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("can't list {}", directory.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("can't list {}", directory.display()))?;
        let kind = entry.file_type().context("a file without a type")?;
        if kind.is_dir() {
            list(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn write(path: &Path, files: &[PathBuf]) -> Result<()> {
    let mut out =
        Log { out: BufWriter::with_capacity(1 << 20, File::create(path)?), written: 0, lines: 0 };
    for sentence in SENTENCES {
        for trigger in TRIGGERS {
            for prefix in PREFIXES {
                out.line_behind(prefix, &sentence.replace('@', trigger))?;
            }
        }
    }
    let is_source = |path: &Path| {
        path.components()
            .any(|part| part.as_os_str().to_string_lossy().starts_with("linux-source-"))
    };
    let (sources, programs): (Vec<&PathBuf>, Vec<&PathBuf>) =
        files.iter().partition(|path| is_source(path));
    for path in programs {
        let texts = texts(&fs::read(path)?);
        for _ in 0..REPEAT {
            for text in &texts {
                out.line(text)?;
            }
        }
    }
    // What reports are made of comes first: the rest of the tree fills up.
    let (first, rest): (Vec<&PathBuf>, Vec<&PathBuf>) = sources.into_iter().partition(|path| {
        ["mm", "kernel", "lib", "Documentation", "net", "init"]
            .iter()
            .any(|part| path.components().any(|one| one.as_os_str() == *part))
    });
    for path in first.into_iter().chain(rest) {
        if out.written >= BYTES {
            break;
        }
        for line in String::from_utf8_lossy(&fs::read(path)?).lines() {
            out.line(line)?;
        }
    }
    out.out.flush()?;
    Ok(())
}

/// The log as far as it is written.
struct Log {
    out: BufWriter<File>,
    written: u64,
    lines: u64,
}

impl Log {
    fn line(&mut self, text: &str) -> std::io::Result<()> {
        if WHOLE_MESSAGES.iter().any(|message| text.contains(message)) {
            return Ok(());
        }
        let prefix = PREFIXES[(self.lines / STRETCH) as usize % PREFIXES.len()];
        self.line_behind(prefix, text)
    }

    fn line_behind(&mut self, prefix: &str, text: &str) -> std::io::Result<()> {
        let line = if prefix.ends_with('"') {
            let escaped = serde_json::to_string(text)?;
            format!("{prefix}{}\\n\"}}\n", &escaped[1..escaped.len() - 1])
        } else {
            format!("{prefix}{text}\n")
        };
        self.written += line.len() as u64;
        self.lines += 1;
        self.out.write_all(line.as_bytes())
    }
}

/// Texts in an executable, or the lines of a text.
fn texts(bytes: &[u8]) -> Vec<String> {
    bytes
        .split(|byte| !(byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t')))
        .filter(|text| text.len() >= SHORTEST)
        // Go has its strings without an end between them.
        .flat_map(|text| text.chunks(400))
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect()
}
