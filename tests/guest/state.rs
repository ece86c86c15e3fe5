//! States of the node, which last until the machine ends.

use anyhow::{Result, anyhow};
use fragwatch_states::{Keeper, Spec};

/// Reaches these states. Returns what was reached, in sentences.
pub(crate) fn reach(specs: &[Spec]) -> Result<Vec<String>> {
    let (keeper, reached) = Keeper::start(specs, &|| false).map_err(|not| anyhow!(not.reason))?;
    keeper.stay();
    Ok(reached.into_iter().flat_map(|reached| reached.sentences).collect())
}
