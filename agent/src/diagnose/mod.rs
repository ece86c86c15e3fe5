//! From evidence to a verdict: pure functions, one file per cause. A wrong cause is worse than
//! `undetermined`.
//!
//! Causes are looked for in the order in which one makes the others beside the point: a limit
//! refuses whatever memory there is, a charge to a memory cgroup fails after the pages were got, and
//! zones say something only about an allocation that came back NULL. The first that fits would have
//! failed the creation alone; others that fit are named beside it.
//!
//! Half a story has no cause: where events of a creation were lost, or its beginning was not seen, what
//! the rest fits is named and the verdict is `undetermined`.
mod atomic_pressure;
mod case;
mod exhaustion;
mod fragmentation;
mod kmem_leak;
mod memcg_ids;
mod memcg_limit;
mod memcg_slots;
mod namespace_limit;
mod not_memory;
mod oom_fragmentation;
mod pids_limit;
mod undetermined;
mod vmalloc_exhaustion;
mod zones;

pub use case::Evidence;

/// Why it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Enough free memory, but in no block that is large enough.
    Fragmentation,
    /// No free memory.
    Exhaustion,
    /// The OOM killer was called for an order above 0 though memory was free, in too small blocks.
    OomFragmentation,
    /// A memory cgroup was at its limit.
    MemcgLimit,
    /// All ids of memory cgroups were in use.
    MemcgIds,
    /// Kernel memory of a memory cgroup that nothing alive holds filled its limit.
    KmemLeak,
    /// No free range of kernel addresses.
    VmallocExhaustion,
    /// An allocation that may not wait found no memory at once.
    AtomicPressure,
    /// A limit on namespaces.
    NamespaceLimit,
    /// A limit on processes.
    PidsLimit,
    /// It had nothing to do with memory.
    NotMemory,
    /// What was seen does not carry a cause.
    Undetermined,
}

impl Cause {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fragmentation => "fragmentation",
            Self::Exhaustion => "exhaustion",
            Self::OomFragmentation => "oom-fragmentation",
            Self::MemcgLimit => "memcg-limit",
            Self::MemcgIds => "memcg-ids",
            Self::KmemLeak => "kmem-leak",
            Self::VmallocExhaustion => "vmalloc-exhaustion",
            Self::AtomicPressure => "atomic-pressure",
            Self::NamespaceLimit => "namespace-limit",
            Self::PidsLimit => "pids-limit",
            Self::NotMemory => "not-memory",
            Self::Undetermined => "undetermined",
        }
    }
}

/// How much of what the cause rests on was seen. It means the same for every cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// It fits best of all that was seen, but what would decide was not seen; or no cause fits.
    Low,
    /// The decisive part; what is missing, or speaks against it, stands in the verdict.
    Medium,
    /// All that its rule asks for, of the moment of the failure, and nothing speaks against it.
    High,
}

impl Confidence {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }

    /// High if there is no doubt, else medium.
    fn without(doubts: &[String]) -> Self {
        if doubts.is_empty() { Self::High } else { Self::Medium }
    }
}

/// Something that can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// What it does.
    pub title: &'static str,
    /// How; never run by fragwatch.
    pub command: &'static str,
    /// What it costs.
    pub risk: &'static str,
    /// It keeps the failure from coming back.
    pub durable: bool,
}

/// A cause with what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Why.
    pub cause: Cause,
    /// How sure.
    pub confidence: Confidence,
    /// What was seen that says so, in sentences.
    pub because: Vec<String>,
    /// What was not seen, in sentences.
    pub not_seen: Vec<String>,
    /// What can be done.
    pub remedies: Vec<Remedy>,
    /// What people do in such cases and what doesn't help here, in sentences.
    pub no_help: Vec<&'static str>,
}

type Rule = fn(&Evidence, u64) -> Option<Verdict>;

/// The rules, in the order in which they are looked at.
const RULES: &[Rule] = &[
    not_memory::by_hand,
    pids_limit::diagnose,
    namespace_limit::diagnose,
    memcg_ids::diagnose,
    kmem_leak::diagnose,
    memcg_limit::diagnose,
    vmalloc_exhaustion::diagnose,
    oom_fragmentation::diagnose,
    fragmentation::diagnose,
    atomic_pressure::diagnose,
    exhaustion::diagnose,
    not_memory::diagnose,
];

/// The verdict on a case; `page_size` in bytes.
pub fn diagnose(case: &Evidence, page_size: u64) -> Verdict {
    let mut verdicts = RULES.iter().filter_map(|rule| rule(case, page_size));
    let Some(mut verdict) = verdicts.next() else {
        let mut verdict = undetermined::diagnose(case, page_size);
        verdict.not_seen.extend(case.beside());
        return verdict;
    };
    let mut others: Vec<&str> = verdicts.map(|other| other.cause.name()).collect();
    others.retain(|other| *other != verdict.cause.name());
    if case.is_half_a_story() {
        others.insert(0, verdict.cause.name());
        verdict = undetermined::diagnose(case, page_size);
        verdict.because.push(format!(
            "what was seen fits {}; what is missing could refute it",
            others.join(" and ")
        ));
    } else if !others.is_empty() {
        verdict.because.push(format!("what was seen fits {} as well", others.join(" and ")));
    }
    verdict.not_seen.extend(case.beside());
    verdict
}

#[cfg(test)]
mod log_tests;
#[cfg(test)]
mod step_tests;
#[cfg(test)]
mod tests;
