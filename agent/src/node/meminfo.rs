//! Memory as a whole, from /proc/meminfo (fs/proc/meminfo.c).
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Memory as a whole, in KiB.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// `MemTotal`.
    pub total_kib: Option<u64>,
    /// `MemFree`.
    pub free_kib: Option<u64>,
    /// `MemAvailable` (3.14 and later).
    pub available_kib: Option<u64>,
    /// `SReclaimable`.
    pub slab_reclaimable_kib: Option<u64>,
    /// `SUnreclaim`.
    pub slab_unreclaimable_kib: Option<u64>,
}

impl Memory {
    /// Takes what it knows from lines like `MemFree:  12 kB`; `None` if there is nothing of it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut memory = Self::default();
        for line in text.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            let field = match name {
                "MemTotal" => &mut memory.total_kib,
                "MemFree" => &mut memory.free_kib,
                "MemAvailable" => &mut memory.available_kib,
                "SReclaimable" => &mut memory.slab_reclaimable_kib,
                "SUnreclaim" => &mut memory.slab_unreclaimable_kib,
                _ => continue,
            };
            *field = value.split_whitespace().next().and_then(|number| number.parse().ok());
        }
        (memory != Self::default()).then_some(memory)
    }
}
