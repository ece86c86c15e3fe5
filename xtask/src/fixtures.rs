//! `cargo xtask fixtures`: small extracts of real kernels' type information and symbols, and of what
//! fragwatch recorded on them, for the tests that read them as they read the running kernel's.

pub mod btf;
pub mod captures;
pub mod image;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fragwatch_ebpf::table::{GLOBALS, HOOKS, Source};
use harness::{kernel, paths};

/// What `cargo xtask fixtures` takes.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    /// What to make, if not the kernels' extracts
    #[command(subcommand)]
    pub what: Option<What>,
    /// Make the fixture of another kernel than those of `cargo xtask setup`, under this name
    #[arg(long, requires = "from")]
    pub name: Option<String>,
    /// Its image (vmlinuz or vmlinux), or a copy of its /sys/kernel/btf/vmlinux
    #[arg(long, requires = "name")]
    pub from: Option<PathBuf>,
    /// A copy of its /proc/kallsyms
    #[arg(long, requires = "name")]
    pub kallsyms: Option<PathBuf>,
}

/// Other fixtures than extracts of kernels.
#[derive(clap::Subcommand)]
pub enum What {
    /// Run scenarios in virtual machines and keep what fragwatch recorded of one creation each
    Captures(captures::Args),
}

/// Structures that are kept besides those that the programs read by the table of hooks: what these
/// hold by value comes with them. `*` at the end stands for any rest.
const MORE_STRUCTURES: [&str; 9] = [
    "cgroup_root",
    "clone_args",
    "free_area",
    "trace_event_raw_cgroup*",
    "trace_event_raw_mm_compaction_*",
    "trace_event_raw_mm_vmscan_direct_reclaim_*",
    "trace_event_raw_oom_score_adj_update",
    "trace_event_raw_reclaim_retry_zone",
    "trace_event_raw_sys_*",
];

/// The same for enumerations, by name, or by their first enumerator if they have none.
const MORE_ENUMERATIONS: [&str; 4] =
    ["___GFP_DMA_BIT", "compact_priority", "compact_result", "migratetype"];

/// The same for functions.
const MORE_FUNCTIONS: [&str; 1] = ["out_of_memory"];

fn structures() -> Vec<&'static str> {
    let read = GLOBALS.iter().copied().flatten().filter_map(|global| match global.source {
        Source::Member(structure, _)
        | Source::Sized(structure, ..)
        | Source::Width(structure, _)
        | Source::Size(structure)
        | Source::Element(structure, ..)
        | Source::Number(structure, ..) => Some(structure),
        Source::ZoneCounter(_) => Some("zone"),
        Source::Enumerator(..) | Source::Setting(_) => None,
    });
    read.chain(MORE_STRUCTURES).collect()
}

fn enumerations() -> Vec<&'static str> {
    let read = GLOBALS.iter().copied().flatten().filter_map(|global| match global.source {
        Source::Element(_, _, enumeration, _) | Source::Enumerator(enumeration, _) => {
            Some(enumeration)
        }
        Source::ZoneCounter(_) => Some("zone_stat_item"),
        Source::Member(..)
        | Source::Sized(..)
        | Source::Width(..)
        | Source::Size(_)
        | Source::Number(..)
        | Source::Setting(_) => None,
    });
    read.chain(MORE_ENUMERATIONS).collect()
}

/// Functions that hooks are attached to.
fn functions() -> Vec<&'static str> {
    let candidates = HOOKS.iter().flat_map(|hook| hook.candidates);
    let named = candidates.filter_map(|candidate| candidate.function());
    named.map(|function| function.name).chain(MORE_FUNCTIONS).collect()
}

/// Writes the fixtures of every kernel that is unpacked, or of the one that is named.
pub fn run(args: &Args) -> Result<()> {
    if let Some(What::Captures(args)) = &args.what {
        return captures::run(args);
    }
    if let (Some(name), Some(from)) = (&args.name, &args.from) {
        check_name(name)?;
        write_btf(name, from)?;
        return args.kallsyms.as_deref().map_or(Ok(()), |from| write_kallsyms(name, from));
    }
    for series in kernel::SERIES {
        write_btf(series.name, &kernel::unpacked(series)?.image)?;
    }
    Ok(())
}

/// A name becomes a file's.
fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain) {
        return Ok(());
    }
    bail!("{name} can't be a fixture's name: use letters, digits, '.', '_' and '-'")
}

fn write_btf(name: &str, from: &Path) -> Result<()> {
    let bytes = image::btf(from)?;
    let small =
        btf::reduce(&bytes, &structures(), &enumerations(), &functions()).with_context(|| {
            format!("can't make sense of the type information in {}", from.display())
        })?;
    write(&directory("btf").join(format!("{name}.btf")), &small)
}

/// Keeps the symbols that a hook could be attached to, and their look-alikes.
fn write_kallsyms(name: &str, from: &Path) -> Result<()> {
    let text =
        fs::read_to_string(from).with_context(|| format!("can't read {}", from.display()))?;
    let kept: String =
        text.lines().filter(|line| is_of_use(line)).map(|l| l.to_owned() + "\n").collect();
    write(&directory("kallsyms").join(format!("{name}.txt")), kept.as_bytes())
}

/// Whether a line of kallsyms is a hooked function, a part or a clone of one, or an end of the text.
fn is_of_use(line: &str) -> bool {
    let Some(symbol) = line.split_ascii_whitespace().nth(2) else { return false };
    let stem = symbol.split('.').next().unwrap_or_default();
    functions().contains(&stem) || ["_text", "_etext", "register_fprobe_ips"].contains(&symbol)
}

fn directory(kind: &str) -> PathBuf {
    paths::root().join("tests/fixtures").join(kind)
}

fn write(to: &Path, content: &[u8]) -> Result<()> {
    let parent = to.parent().unwrap_or(to);
    fs::create_dir_all(parent).with_context(|| format!("can't create {}", parent.display()))?;
    fs::write(to, content).with_context(|| format!("can't write {}", to.display()))?;
    eprintln!("wrote {} ({} KiB)", to.display(), content.len().div_ceil(1024));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_of_use_are_hooked_functions_with_their_parts() {
        for line in [
            "ffffffff81000000 T warn_alloc",
            "ffffffff81000000 t __alloc_pages_slowpath.constprop.0.cold",
            "ffffffff82000000 T _etext",
            "ffffffffc0000000 t ops_init\t[other]",
        ] {
            assert!(is_of_use(line), "{line}");
        }
        for line in ["ffffffff81000000 T warn_alloc_show_mem", "ffffffff81000000 T", ""] {
            assert!(!is_of_use(line), "{line}");
        }
    }

    #[test]
    fn a_fixtures_name_stays_in_its_directory() {
        assert!(check_name("6.18-no-kprobes").is_ok());
        for wrong in ["../6.12", "", ".hidden", "a/b"] {
            assert!(check_name(wrong).is_err(), "{wrong}");
        }
    }
}
