//! Why it failed, how sure that is, and what can be done.
use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantArray};

/// Why it failed.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    JsonSchema,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
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
        self.into()
    }
}

/// How much of what the cause rests on was seen. It means the same for every cause.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    JsonSchema,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
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
        self.into()
    }

    /// High if there is no doubt, else medium.
    pub(crate) fn without(doubts: &[String]) -> Self {
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
