//! Which orders a container's creation needs here.
use crate::host::orders::{Orders, Seen};

/// The least that the kernel itself needs in one piece, whatever runs: order 1, for `struct net`,
/// which is larger than a page (net/core/net_namespace.c `net_cachep`, 5.10–7.2, so that its slab
/// has two pages at least), and on x86-64 with page-table isolation for a process's page directory
/// (arch/x86/mm/pgtable.c `_pgd_alloc`; from 6.14 on only where the processor needs the isolation).
/// Kernel stacks need single pages where they are mapped (`CONFIG_VMAP_STACK`, the default since
/// 4.9).
const KERNELS_OWN: u32 = 1;

/// An order that is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Which.
    pub order: u32,
    /// Who says so.
    pub source: Source,
}

/// Who says that an order is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The command line.
    Asked,
    /// `fragwatch trace` saw creations on this node ask for it.
    Seen(Seen),
    /// The kernel's own minimum.
    Kernel,
}

impl Source {
    /// Its name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Seen(_) => "seen",
            Self::Kernel => "kernel",
        }
    }

    /// In words.
    pub fn describe(&self) -> String {
        match self {
            Self::Asked => "asked for".to_owned(),
            Self::Seen(seen) => format!(
                "creations asked for it {} times, last at {:.0}",
                fragwatch_core::units::grouped(seen.count),
                seen.last
            ),
            Self::Kernel => "struct net and page directories".to_owned(),
        }
    }
}

/// What the command line asks for; else what was seen, and always what the kernel itself needs.
pub fn needs(asked: &[u32], seen: Option<Orders>) -> Vec<Need> {
    let mut needs: Vec<Need> = if asked.is_empty() {
        let seen = seen.unwrap_or_default().orders;
        let mut needs: Vec<Need> = seen
            .into_iter()
            .map(|(order, seen)| Need { order, source: Source::Seen(seen) })
            .collect();
        if needs.iter().all(|need| need.order != KERNELS_OWN) {
            needs.push(Need { order: KERNELS_OWN, source: Source::Kernel });
        }
        needs
    } else {
        asked.iter().map(|&order| Need { order, source: Source::Asked }).collect()
    };
    needs.sort_by_key(|need| need.order);
    needs.dedup_by_key(|need| need.order);
    needs
}
