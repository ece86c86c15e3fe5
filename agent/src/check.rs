//! `fragwatch check`: could the next container start now? It reads only files that every user may
//! read, and attaches nothing.
mod assess;
mod needs;
mod npd;
mod serve;
pub(crate) mod view;

use std::{
    io::{self, Write as _},
    path::Path,
};

use fragwatch_core::report::line::Line;

use crate::{
    cli::CheckArgs,
    host::{SERVE_SOCKET, node, orders},
    output,
};

pub use crate::check::{
    assess::{Check, IdCheck, OrderCheck, ZoneCheck, assess},
    needs::{Need, Source, needs},
};

/// The exit code for UNKNOWN of the monitoring plug-in conventions.
const UNKNOWN: u8 = 3;

/// The exit code of `check` with these arguments if it has no result.
pub fn unknown(npd: bool) -> u8 {
    if npd { npd::UNKNOWN } else { UNKNOWN }
}

/// Why `check` has no result.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The page size is not available.
    #[error(transparent)]
    PageSize(#[from] crate::kernel::PageSizeError),
    /// Standard output could not be written.
    #[error("could not write the report to standard output: {0}")]
    Report(#[from] io::Error),
}

/// Reads the node's facts, judges them and writes the report to standard output. Returns the exit code.
pub fn run(args: &CheckArgs) -> Result<u8, CheckError> {
    let root = Path::new("/");
    let needs = needs(&args.orders, orders::read(root));
    let check = assess(node::read(root), needs, crate::kernel::page_size()?);
    if args.npd {
        writeln!(io::stdout(), "{}", npd::line(&check))?;
        return Ok(npd::exit_code(check.status()));
    }
    let line = view::check(&check, serve::ask(Path::new(SERVE_SOCKET)));
    let code = line.exit_code;
    output::to_stdout(args.format).line(&Line::Check(Box::new(line)))?;
    Ok(code)
}

#[cfg(test)]
mod tests;
