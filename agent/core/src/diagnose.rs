//! From evidence to a verdict: pure functions, one file per cause. A wrong cause is worse than
//! `undetermined`.
//!
//! Causes are looked for in the order in which one makes the others beside the point: a limit
//! refuses whatever memory there is, a charge to a memory cgroup fails after the pages were got, and
//! zones say something only about an allocation that failed. The first that fits would have
//! failed the creation alone; others that fit are named beside it.
//!
//! Incomplete evidence is undetermined: where events of a creation were lost, or its beginning was not
//! seen, what the rest fits is named.
mod atomic_pressure;
mod evidence;
mod exhaustion;
mod failed_step;
mod fragmentation;
mod kernel_accounting;
mod kmem_leak;
mod memcg_ids;
mod memcg_limit;
mod memcg_slots;
mod namespace_limit;
mod near_miss;
mod not_memory;
mod oom_fragmentation;
mod other_limits;
mod owner;
mod pids_limit;
mod remedies;
mod undetermined;
mod vmalloc_exhaustion;
pub mod waits;
mod zones;

use crate::model::verdict::Verdict;

pub use self::evidence::Evidence;

type Rule = fn(&Evidence) -> Option<Verdict>;

/// The rules, in the order in which they are looked at.
const RULES: &[Rule] = &[
    not_memory::by_hand,
    pids_limit::diagnose,
    failed_step::on_processes,
    namespace_limit::diagnose,
    memcg_ids::diagnose,
    kmem_leak::diagnose,
    memcg_limit::diagnose,
    vmalloc_exhaustion::diagnose,
    oom_fragmentation::diagnose,
    fragmentation::diagnose,
    atomic_pressure::diagnose,
    exhaustion::diagnose,
    near_miss::diagnose,
    failed_step::on_others,
    not_memory::diagnose,
];

/// The verdict on the evidence, with remedies that fit its kernel.
pub fn diagnose(evidence: &Evidence) -> Verdict {
    let verdict = by_rules(evidence);
    Verdict { remedies: remedies::fitting(evidence, verdict.remedies), ..verdict }
}

fn by_rules(evidence: &Evidence) -> Verdict {
    let mut verdicts = RULES.iter().filter_map(|rule| rule(evidence));
    let Some(mut verdict) = verdicts.next() else {
        let mut verdict = undetermined::diagnose(evidence);
        verdict.not_seen.extend(evidence.beside());
        return verdict;
    };
    let mut others: Vec<&str> = verdicts.map(|other| other.cause.name()).collect();
    others.retain(|other| *other != verdict.cause.name());
    if evidence.is_incomplete() {
        others.insert(0, verdict.cause.name());
        verdict = undetermined::diagnose(evidence);
        verdict.because.push(format!(
            "what was seen fits {}; what is missing could refute it",
            others.join(" and ")
        ));
    } else if !others.is_empty() {
        verdict.because.push(format!("what was seen fits {} as well", others.join(" and ")));
    }
    verdict.not_seen.extend(evidence.beside());
    verdict
}

#[cfg(test)]
mod step_tests;
#[cfg(test)]
mod tests;
