//! Takes the blocks of order 6 that the kernel frees or compacts while a scenario runs, by the test module
//! `fragwatch_steps`.

use std::fs;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;

use crate::creator::Outcome;

/// How often compaction may be faster than the step.
const TRIES: u32 = 50;

/// Takes all blocks of order 6, then the step, until it fails with ENOMEM: between the two the kernel may
/// have made another block.
pub(crate) fn without_blocks(mut step: impl FnMut() -> Result<Outcome>) -> Result<()> {
    let parameter = "/sys/module/fragwatch_steps/parameters/hoard";
    let mut outcome = Ok(());
    for _ in 0..TRIES {
        fs::write(parameter, "1").with_context(|| format!("can't write to {parameter}"))?;
        outcome = step()?;
        if outcome == Err(Errno::ENOMEM) {
            return Ok(());
        }
    }
    bail!("without a block the errno must be ENOMEM, and in {TRIES} tries it was {outcome:?}")
}
