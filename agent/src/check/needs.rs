//! The orders that a container creation needs on this node.
use crate::host::orders::{Orders, Seen};

/// The order that the kernel itself needs for every creation: 1, for `struct net`, which is larger
/// than a page (net/core/net_namespace.c `net_cachep`, 5.10–7.2: its slab has at least two pages),
/// and on x86-64 with page-table isolation for a process's page directory (arch/x86/mm/pgtable.c
/// `_pgd_alloc`; from 6.14 only where the processor needs the isolation). Kernel stacks need only
/// single pages with `CONFIG_VMAP_STACK`, the default since 4.9.
const KERNEL_MINIMUM: u32 = 1;

/// An order that a creation needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// log2 of the number of contiguous pages.
    pub order: u32,
    /// Why it is assumed to be needed.
    pub source: Source,
}

/// Why an order is assumed to be needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Given by `--order`.
    Asked,
    /// `fragwatch trace` saw creations on this node request it.
    Seen(Seen),
    /// The kernel needs it for every creation.
    Kernel,
}

impl Source {
    /// The source as the JSON report writes it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Seen(_) => "seen",
            Self::Kernel => "kernel",
        }
    }

    /// The source as the text report writes it.
    pub fn describe(&self) -> String {
        match self {
            Self::Asked => "given by --order".to_owned(),
            Self::Seen(seen) => format!(
                "creations requested it {} times, last at {:.0}",
                fragwatch_core::units::grouped(seen.count),
                seen.last
            ),
            Self::Kernel => "struct net and page directories".to_owned(),
        }
    }
}

/// The orders of the command line, if there are any; else those seen by `trace` and the kernel's own.
/// Sorted, without duplicates.
pub fn needs(asked: &[u32], seen: Option<Orders>) -> Vec<Need> {
    let mut needs: Vec<Need> = if asked.is_empty() {
        let seen = seen.unwrap_or_default().orders;
        let mut needs: Vec<Need> = seen
            .into_iter()
            .map(|(order, seen)| Need { order, source: Source::Seen(seen) })
            .collect();
        if needs.iter().all(|need| need.order != KERNEL_MINIMUM) {
            needs.push(Need { order: KERNEL_MINIMUM, source: Source::Kernel });
        }
        needs
    } else {
        asked.iter().map(|&order| Need { order, source: Source::Asked }).collect()
    };
    needs.sort_by_key(|need| need.order);
    needs.dedup_by_key(|need| need.order);
    needs
}
