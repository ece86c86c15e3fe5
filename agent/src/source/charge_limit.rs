//! Which limit refused a charge to a memory cgroup: its own or that of a cgroup above.
use fragwatch_ebpf::ChargeFailed;

/// Bytes of a page on x86-64.
pub(super) const PAGE_SIZE: u64 = 4096;

/// `PAGE_COUNTER_MAX` (5.10–7.2; include/linux/page_counter.h): there is no limit.
pub(super) const NO_LIMIT: u64 = i64::MAX as u64 / PAGE_SIZE;

/// A limit and what counts against it, in pages.
#[derive(Clone, Copy)]
pub(super) struct PageCounter {
    /// What is used.
    pub(super) usage: u64,
    /// What may be used.
    pub(super) max: u64,
}

/// The limit that refused a charge, and how many levels above the charged cgroup it lies: the
/// first one without room or, where reclaim has made room since, the only one there is.
pub(super) fn hit(r: &ChargeFailed) -> Option<(usize, PageCounter)> {
    let used = r.levels.get(..r.depth as usize).unwrap_or(&r.levels);
    let limits: Vec<(usize, PageCounter)> = used
        .iter()
        .enumerate()
        .flat_map(|(level, l)| {
            let memory = PageCounter { usage: l.usage, max: l.max };
            // Kernels without a limit of its own for kernel memory leave 0 here.
            let kmem = PageCounter { usage: l.kmem_usage, max: l.kmem_max };
            [Some(memory), (l.kmem_max != 0).then_some(kmem)]
                .into_iter()
                .flatten()
                .map(move |c| (level, c))
        })
        .filter(|(_, counter)| counter.max < NO_LIMIT)
        .collect();
    let pages = r.bytes.div_ceil(PAGE_SIZE);
    let full = |c: &PageCounter| c.usage.saturating_add(pages) > c.max;
    let only = if let [one] = limits.as_slice() { Some(*one) } else { None };
    limits.iter().find(|(_, counter)| full(counter)).copied().or(only)
}
