//! Failed allocations and OOM kills, with the zones that were read for them.
use fragwatch_core::model::{
    event::{Failure, OomKill, OomScope},
    zone::Zone,
};
use fragwatch_ebpf::{AllocationFailed, OomKilled, ZoneRead};

use crate::live::decode::{Decoder, cgroup_path, text};

/// What the records of an allocation that failed and of an OOM kill have in common.
struct Moment<'a> {
    tid: u32,
    failure_ns: u64,
    zone_count: u32,
    zones_complete: u32,
    stack: &'a [u64],
}

/// Threads whose zones are kept at a time. A failure follows its zones at once, so more of them
/// than there are CPUs means that failures were lost.
const MAX_THREADS: usize = 1024;

impl Decoder {
    /// Keeps a zone until the failure that it was read for.
    pub(super) fn keep_zone(&mut self, r: &ZoneRead) {
        if self.zones.len() >= MAX_THREADS {
            self.zones.clear();
        }
        let zone = zone(r);
        let (failure_ns, zones) = self.zones.entry(r.head.tid).or_default();
        if *failure_ns != r.failure_ns {
            // What is left of a failure that never came.
            zones.clear();
            *failure_ns = r.failure_ns;
        }
        zones.push(zone);
    }

    pub(super) fn oom_kill(&mut self, r: &OomKilled) -> OomKill {
        let known = r.request_known != 0;
        let failure = self.moment(&Moment {
            tid: r.head.tid,
            failure_ns: r.failure_ns,
            zone_count: r.zone_count,
            zones_complete: r.zones_complete,
            stack: r.stack.get(..r.frames as usize).unwrap_or(&r.stack),
        });
        OomKill {
            pid: (r.victim != 0).then_some(r.victim),
            comm: Some(text(&r.victim_comm)),
            order: known.then_some(r.order),
            gfp: known.then(|| self.gfp.decode(r.gfp)),
            scope: match fragwatch_ebpf::OomScope::from_number(r.scope) {
                Some(fragwatch_ebpf::OomScope::Node) => OomScope::Node,
                Some(fragwatch_ebpf::OomScope::Memcg) => {
                    OomScope::Memcg(Some(cgroup_path(&r.memcg).display()))
                }
                Some(fragwatch_ebpf::OomScope::Unknown) | None => OomScope::Unknown,
            },
            cgroup_id: (r.victim_cgroup != 0).then_some(r.victim_cgroup),
            failure: known.then_some(failure),
            // Not seen by the hook: `page_fault`, `bounded`. The cgroup is correlated.
            ..OomKill::default()
        }
    }

    pub(super) fn failure(&mut self, r: &AllocationFailed) -> Failure {
        self.moment(&Moment {
            tid: r.head.tid,
            failure_ns: r.failure_ns,
            zone_count: r.zone_count,
            zones_complete: r.zones_complete,
            stack: r.stack.get(..r.frames as usize).unwrap_or(&r.stack),
        })
    }

    /// What was read at a failure: its zones came before it.
    fn moment(&mut self, r: &Moment) -> Failure {
        let (failure_ns, zones) = self.zones.remove(&r.tid).unwrap_or_default();
        // A zone whose record was lost may be the one that could have served.
        let all = failure_ns == r.failure_ns && zones.len() == r.zone_count as usize;
        let zones_complete = r.zones_complete != 0 && all;
        Failure {
            stack: self.symbols.stack(r.stack),
            zones: if failure_ns == r.failure_ns { zones } else { Vec::new() },
            zones_complete,
        }
    }
}

fn zone(z: &ZoneRead) -> Zone {
    Zone {
        node: u32::try_from(z.node).ok(),
        name: text(&z.name),
        free: counter(z.free),
        free_cma: counter(z.free_cma),
        managed: z.managed,
        min_watermark: z.min_watermark.saturating_add(z.watermark_boost),
        lowmem_reserve: z.lowmem_reserve,
        reserved_highatomic: z.reserved_highatomic,
        blocks: z.blocks.map(u64::from).to_vec(),
        usable_orders: (0..)
            .zip(z.listed)
            .fold(0, |orders, (order, listed)| orders | u32::from(listed != 0) << order),
        high_watermark: Some(z.high_watermark.saturating_add(z.watermark_boost)),
        per_order_marks: false,
        incomplete: z.errors != 0,
    }
}

/// A zone's counter, as `zone_page_state` reads it: the part that lies on other CPUs can make the
/// global one negative, which counts as nothing.
pub(super) fn counter(pages: u64) -> u64 {
    if pages.cast_signed() < 0 { 0 } else { pages }
}
