//! A limit on namespaces: `user.max_*_namespaces`, or 32 levels of nesting.
//!
//! Rule: making a namespace failed with ENOSPC (kernel/ucount.c `inc_ucount`, kernel/user_namespace.c),
//! which clone and unshare return for nothing else. Watched live: the count of one kind was refused, or
//! namespaces' set-up returned ENOSPC and no subsystem of the network's did. In a log: a program says so.
use crate::{
    diagnose::Evidence,
    model::{
        event::StartStep,
        program_message::StartError,
        verdict::{Cause, Confidence, Remedy, Verdict},
    },
};

const REMEDIES: &[Remedy] = &[
    Remedy {
        title: "see the limits, and how many namespaces there are",
        command: "sysctl user | grep max_; lsns | awk '{print $2}' | sort | uniq -c",
        risk: "none",
        durable: false,
    },
    Remedy {
        title: "raise the limit of the kind that is used up, or end what holds namespaces",
        command: "sysctl -w user.max_user_namespaces=… user.max_net_namespaces=…",
        risk: "where user namespaces are turned off on purpose, this turns them on; put it under /etc/sysctl.d to keep it",
        durable: true,
    },
];

/// The verdict, if the rule holds.
pub(super) fn diagnose(evidence: &Evidence) -> Option<Verdict> {
    let by_program = evidence.messages.iter().any(|failure| failure.error == StartError::Namespace);
    let refused = evidence.errno == Some(libc::ENOSPC) && evidence.pernet_init.is_none();
    // A clone makes them too; a mount has other reasons.
    let makes_them = evidence.failed_step.is_none_or(|failed| failed.step == StartStep::Fork);
    let live = evidence.live && evidence.cgroup_setup.is_none() && makes_them && refused;
    if !by_program && !live {
        return None;
    }
    let not_seen = evidence.gaps();
    let because = match evidence.namespaces_refused.last() {
        Some(kind) => format!(
            "one more {0} namespace was refused: the user has as many as user.max_{0}_namespaces allows, here or in a user namespace above",
            kind.name()
        ),
        None => "making a namespace failed with ENOSPC, which the kernel returns for a limit on namespaces (user.max_*_namespaces) or for 32 levels of them, and not for memory".to_owned(),
    };
    Some(Verdict {
        cause: Cause::NamespaceLimit,
        confidence: Confidence::without(&not_seen),
        because: vec![because],
        not_seen,
        remedies: REMEDIES.to_vec(),
        no_help: vec!["compaction, more memory or a larger disk: this is a limit"],
    })
}
