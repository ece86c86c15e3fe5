//! `cargo xtask build`: fragwatch alone.

use anyhow::Result;
use harness::{build, paths};

use crate::setup;

/// Arguments of the command.
#[derive(clap::Args)]
pub struct Args {
    /// Build with optimisations, as it is shipped
    #[arg(long)]
    pub release: bool,
}

/// Installs what building needs, and builds fragwatch.
pub fn run(args: &Args) -> Result<()> {
    setup::tools()?;
    let profile = if args.release { "release" } else { "debug" };
    build::fragwatch(args.release)?;
    eprintln!("built {}", paths::target().join(profile).join("fragwatch").display());
    Ok(())
}
