//! Memory totals from /proc/meminfo (fs/proc/meminfo.c).
use fragwatch_core::model::node::Memory;

/// Parses lines like `MemFree:  12 kB`; `None` if no known field is present.
pub(super) fn parse(text: &str) -> Option<Memory> {
    let mut memory = Memory::default();
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
    (memory != Memory::default()).then_some(memory)
}
