//! vmalloc exhaustion: there was no free range of kernel addresses that large, whatever memory was
//! free (mm/vmalloc.c `alloc_vmap_area`).
//!
//! Rule: the kernel says so (`vmap allocation for size … failed`, `vm_struct allocation failed`):
//! confidence high. Up to 5.11 the line may say no more than how much was asked for; if the machine
//! has more memory than that, addresses are what was lacking: medium. If it asked for more than the
//! machine has, it is refused for that, which is an error of its caller.
use crate::{
    diagnose::Evidence,
    model::{
        verdict::{Cause, Confidence, Remedy, Verdict},
        vmalloc::{Lack, VmallocFailed},
    },
    units,
};

const REMEDIES: &[Remedy] = &[
    Remedy {
        title: "see who holds the addresses",
        command: "grep Vmalloc /proc/meminfo; sort -k2 -n -r /proc/vmallocinfo | head -20",
        risk: "none",
        durable: false,
    },
    Remedy {
        title: "give the kernel more addresses (32-bit), or load what needs them early or smaller",
        command: "boot with vmalloc=<size>",
        risk: "needs a reboot; on 32-bit machines low memory shrinks by as much",
        durable: true,
    },
];

/// Whether it asked for nothing, which vmalloc refuses: an error of its caller.
pub(super) fn of_nothing(failed: &VmallocFailed) -> bool {
    failed.bytes == Some(0)
}

/// Whether a request is larger than the machine's memory.
pub(super) fn too_large(evidence: &Evidence, failed: &VmallocFailed) -> bool {
    let ram = evidence.memory.and_then(|memory| memory.ram);
    failed.lack == Lack::Request || failed.bytes.zip(ram).is_some_and(|(bytes, ram)| bytes > ram)
}

/// The verdict, if the rule holds.
pub(super) fn diagnose(evidence: &Evidence) -> Option<Verdict> {
    let said = evidence.vmalloc.iter().find(|failed| failed.lack == Lack::Addresses);
    let mut not_seen = evidence.gaps();
    if evidence.vmalloc.iter().any(of_nothing) {
        return None;
    }
    let failed = if let Some(failed) = said {
        failed
    } else {
        let failed = evidence.vmalloc.first().filter(|failed| failed.lack == Lack::Unsaid)?;
        evidence.memory.and_then(|memory| memory.ram).filter(|_| !too_large(evidence, failed))?;
        not_seen.push("what was lacking: the line doesn't say it".to_owned());
        failed
    };
    let amount = failed.bytes.map_or_else(|| "some".to_owned(), units::bytes);
    let mut because = vec![format!("vmalloc found no free range of addresses for {amount}")];
    if let Some(free) = evidence.memory.and_then(|memory| memory.free) {
        because.push(format!("{} of memory were free", units::bytes(free)));
    }
    Some(Verdict {
        cause: Cause::VmallocExhaustion,
        confidence: Confidence::without(&not_seen),
        because,
        not_seen,
        remedies: REMEDIES.to_vec(),
        no_help: vec!["compaction, or more memory: addresses are what is lacking"],
    })
}
