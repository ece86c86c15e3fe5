//! `fragwatch check`: could the next container start now? From what the kernel tells everybody, so
//! that it needs no rights and no hook.
mod assess;
mod json;
mod needs;
mod text;

use std::{io, path::Path};

use crate::{
    cli::{CheckArgs, Format},
    host::{node, orders},
};

pub use crate::check::{
    assess::{Check, IdCheck, OrderCheck, Standing, ZoneCheck, assess},
    needs::{Need, Source, needs},
};

/// The exit code that means "unknown" to monitoring.
pub const UNKNOWN: u8 = 3;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The page size can't be asked for.
    #[error(transparent)]
    PageSize(#[from] crate::kernel::PageSizeError),
    /// It could not be written.
    #[error("could not write the report to standard output: {0}")]
    Report(#[from] io::Error),
}

/// Looks, and reports.
pub fn run(args: &CheckArgs) -> Result<Standing, CheckError> {
    let root = Path::new("/");
    let needs = needs(&args.orders, orders::read(root));
    let check = assess(node::read(root), needs, crate::kernel::page_size()?);
    match args.format {
        Format::Text => text::write(&check, &mut anstream::stdout())?,
        Format::Json => json::write(&check, &mut io::stdout())?,
    }
    Ok(check.standing())
}

#[cfg(test)]
mod tests;
