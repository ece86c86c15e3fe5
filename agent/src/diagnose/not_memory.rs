//! Not memory: somebody asked for a kill by hand, or a program says why the container didn't start,
//! and it is something else.
//!
//! Rules: the OOM killer was called with order −1, which sysrq does (drivers/tty/sysrq.c
//! `moom_callback`). Or a program names an error that no lack of memory makes, and the kernel reports
//! no failure that joins it. ENOMEM and EAGAIN are never taken for it, nor an end without a reason.
use super::{Case, Cause, Confidence, Remedy, Verdict};
use crate::{incident::StartError, kernel::errno};

const REMEDIES: &[Remedy] = &[Remedy {
    title: "look into what the message names",
    command: "journalctl -b -u docker -u containerd -u kubelet; the runtime's own log",
    risk: "none",
    durable: false,
}];

/// The verdict on a kill that somebody asked for.
pub(super) fn by_hand(case: &Case, _page_size: u64) -> Option<Verdict> {
    let oom = case.oom()?;
    let asked = oom.order.is_some_and(|order| order < 0);
    asked.then(|| Verdict {
        cause: Cause::NotMemory,
        confidence: Confidence::High,
        because: vec![
            "the OOM killer was called with order -1: somebody asked for it (sysrq-f)".to_owned(),
        ],
        not_seen: Vec::new(),
        remedies: Vec::new(),
        no_help: vec!["anything done about memory: none was lacking"],
    })
}

/// The verdict on a container whose program names another reason.
pub(super) fn diagnose(case: &Case, _page_size: u64) -> Option<Verdict> {
    let (failure, reason) = case.containers().iter().find_map(|failure| match failure.error {
        StartError::Other(reason) => Some((failure, reason)),
        _ => None,
    })?;
    if case.decisive().is_some() || case.oom().is_some() {
        return None;
    }
    let errno = failure.errno.map(|number| format!(" ({})", errno::name(number)));
    let not_seen = case.gaps();
    Some(Verdict {
        cause: Cause::NotMemory,
        confidence: Confidence::without(&not_seen),
        because: vec![
            format!(
                "the container's own message names another reason: {reason}{}",
                errno.unwrap_or_default()
            ),
            "no failure of memory was logged with it".to_owned(),
        ],
        not_seen,
        remedies: REMEDIES.to_vec(),
        no_help: vec!["compaction, or more memory"],
    })
}
