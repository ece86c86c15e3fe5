//! A container's user has as many keys as `kernel.keys.maxkeys` allows when its start asks for a session
//! keyring, as runc does. The control's user may have more.

use anyhow::{Context, Result, bail};
use nix::errno::Errno;

use super::Node;
use crate::attempt::{Attempt, Side};
use crate::creator::Step;
use crate::node;
use crate::start_step::StartStep;

pub(super) fn run(node: &mut Node) -> Result<()> {
    for (side, uid, keys) in [(Side::Control, 4003, "200"), (Side::Faulty, 4004, "1")] {
        let mut attempt = Attempt::prepare(node, side, "keyring")?;
        attempt.enter()?;
        attempt
            .quietly(&Step::Start(StartStep::BecomeUser(uid)))?
            .context("the creator can't become another user")?;
        node::set("kernel/keys/maxkeys", keys)?;
        attempt
            .quietly(&Step::Start(StartStep::Keyring("_ses.first")))?
            .context("the first keyring must be made")?;
        let outcome = attempt.take(node, &Step::Start(StartStep::Keyring("_ses.second")))?;
        match side {
            Side::Control => outcome.context("with room a keyring must be made")?,
            Side::Faulty if outcome == Err(Errno::EDQUOT) => {}
            Side::Faulty => bail!("at the limit the errno must be EDQUOT, and it is {outcome:?}"),
        }
    }
    Ok(())
}
