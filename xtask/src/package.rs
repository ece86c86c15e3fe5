//! `cargo xtask package`: files that a distribution's package contains besides the binary.

pub mod deb;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{CommandFactory, Subcommand};
use clap_complete::Shell;
use fragwatch_cli::Cli;
use harness::paths;

use crate::setup;

/// The directories that are written, below the repository's root.
const MAN: &str = "target/package/man";
const COMPLETIONS: &str = "target/package/completions";

/// Arguments of `cargo xtask package`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: Package,
}

#[derive(Subcommand)]
enum Package {
    /// Generate man pages and completions for bash, zsh and fish in target/package
    Man,
    /// Build fragwatch with optimisations and pack it as a Debian package in target/package
    Deb,
}

/// Generates what is asked for and prints the written files.
///
/// # Errors
/// If a file can't be written.
pub fn run(args: &Args) -> Result<()> {
    match args.what {
        Package::Man => {
            let root = paths::root();
            let mut files = man_pages(&root.join(MAN))?;
            files.extend(completions(&root.join(COMPLETIONS))?);
            for file in files {
                println!("{}", file.display());
            }
        }
        Package::Deb => {
            setup::tools()?;
            println!("{}", deb::make()?.display());
        }
    }
    Ok(())
}

/// One page for fragwatch and one per command.
fn man_pages(directory: &Path) -> Result<Vec<PathBuf>> {
    create(directory)?;
    clap_mangen::generate_to(Cli::command(), directory).context("could not write man pages")?;
    let mut pages: Vec<PathBuf> = fs::read_dir(directory)
        .context("could not list the man pages")?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    pages.sort();
    Ok(pages)
}

fn completions(directory: &Path) -> Result<Vec<PathBuf>> {
    create(directory)?;
    [Shell::Bash, Shell::Zsh, Shell::Fish]
        .into_iter()
        .map(|shell| {
            clap_complete::generate_to(shell, &mut Cli::command(), "fragwatch", directory)
                .with_context(|| format!("could not write the completions for {shell}"))
        })
        .collect()
}

/// Creates an empty directory, so that no page of a removed command is left.
fn create(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)
            .with_context(|| format!("could not clear {}", directory.display()))?;
    }
    fs::create_dir_all(directory)
        .with_context(|| format!("could not create {}", directory.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_man_page_and_each_shell_completions() {
        let root = std::env::temp_dir().join(format!("fragwatch-package-{}", std::process::id()));
        let pages = man_pages(&root.join("man")).expect("the temporary directory is writable");
        let completions = completions(&root.join("completions")).expect("as before");
        let text = |files: &[PathBuf], name: &str| {
            let file = files.iter().find(|file| file.ends_with(name));
            let file = file.unwrap_or_else(|| panic!("{name} is not among {files:?}"));
            fs::read_to_string(file).expect("the file was written")
        };
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let page = text(&pages, &format!("fragwatch-{name}.1"));
            assert!(page.contains(".SH OPTIONS") && page.contains("Exit codes"), "{name}: {page}");
            for shell in ["fragwatch.bash", "_fragwatch", "fragwatch.fish"] {
                assert!(text(&completions, shell).contains(name), "{shell} lacks {name}");
            }
        }
        assert!(text(&pages, "fragwatch.1").contains("fragwatch\\-trace"));
        fs::remove_dir_all(&root).expect("the directory was created");
    }
}
