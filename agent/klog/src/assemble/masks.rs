//! Masks as logs print them, read with the bits of the kernel that printed them.
use std::{cell::RefCell, collections::HashMap};

use fragwatch_core::model::{
    gfp::{Gfp, GfpNames, GfpReading, Traits},
    kernel_version::KernelVersion,
};

use crate::{assemble::incident_builder::IncidentBuilder, parse::field::Mask};

/// Masks remembered: a log has few different ones.
const MAX_KNOWN: usize = 256;

/// Masks that were read before, with the release that they were read for.
pub(super) type Known = RefCell<HashMap<(Option<KernelVersion>, Mask), Reading>>;

/// A mask, and what else it could be where the kernel isn't known.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    gfp: Gfp,
    readings: Vec<GfpReading>,
}

/// How masks are read: by the kernel's release, if it is known.
pub(super) struct Masks<'a> {
    pub(super) kernel: Option<&'a KernelVersion>,
    pub(super) known: &'a Known,
}

impl Masks<'_> {
    pub(super) fn gfp(&self, mask: &Mask) -> Gfp {
        self.reading(mask).gfp
    }

    fn reading(&self, mask: &Mask) -> Reading {
        let key = (self.kernel.cloned(), mask.clone());
        if let Some(reading) = self.known.borrow().get(&key) {
            return reading.clone();
        }
        let reading = self.read(mask);
        let mut known = self.known.borrow_mut();
        if known.len() == MAX_KNOWN {
            known.clear();
        }
        known.insert(key, reading.clone());
        reading
    }

    fn read(&self, mask: &Mask) -> Reading {
        let names = self.kernel.and_then(GfpNames::from_release);
        let decoded = names.map(|names| names.decode(mask.raw));
        if let Some(printed) = &mask.names {
            let of_release = || decoded.and_then(|gfp| gfp.traits);
            let traits = Traits::from_names(printed).or_else(of_release);
            let gfp = Gfp { raw: mask.raw, flags: Some(printed.clone()), traits };
            return Reading { gfp, readings: Vec::new() };
        }
        if let Some(gfp) = decoded {
            return Reading { gfp, readings: Vec::new() };
        }
        // Whatever kernel it was: if all that it can mean says the same of the caller, that holds.
        let readings = readings(mask);
        let plausible = readings.iter().filter(|reading| may_do_io_only_if_it_waits(&reading.gfp));
        let mut traits = plausible.map(|reading| reading.gfp.traits);
        let first = traits.next().flatten();
        let agreed = first.filter(|_| traits.all(|other| other == first));
        Reading { gfp: Gfp { raw: mask.raw, flags: None, traits: agreed }, readings }
    }

    /// What the masks that aren't decoded can mean: the first one's readings.
    pub(super) fn readings_of_first(&self, draft: &IncidentBuilder) -> Vec<GfpReading> {
        let of_header = || draft.header.as_ref().and_then(|header| header.mask.as_ref());
        let of_oom = || draft.oom.as_ref().and_then(|oom| oom.mask.as_ref());
        let of_slab = || draft.slab.iter().find_map(|slab| slab.mask.as_ref());
        let mask = of_header().or_else(of_slab).or_else(of_oom);
        mask.map(|mask| self.reading(mask).readings).unwrap_or_default()
    }

    /// Whether the marks are those of kernels before 4.4: names of masks came with 4.6.
    pub(super) fn per_order_marks(&self, mask: &Mask) -> Option<bool> {
        let by_release = self.kernel.map(|kernel| !kernel.is_at_least(4, 4));
        by_release.or_else(|| (!mask.before_names).then_some(false))
    }
}

/// What a mask can mean in the kernels that print it so.
fn readings(mask: &Mask) -> Vec<GfpReading> {
    let mut readings = GfpNames::readings(mask.raw);
    // Those that begin with 4.6 or later would have printed names.
    readings.retain(|reading| !mask.before_names || reading.since < (4, 6));
    readings
}

/// Whether a mask that allows I/O or calls into file systems for memory also allows to wait for
/// them. A warning never shows another: callers that take the one and not the other, as those of
/// huge pages do, have `__GFP_NOWARN` too.
fn may_do_io_only_if_it_waits(gfp: &Gfp) -> bool {
    let flags = gfp.flags.as_deref().unwrap_or_default();
    let does_io = flags.split('|').any(|flag| matches!(flag, "__GFP_IO" | "__GFP_FS"));
    !does_io || gfp.traits.is_none_or(|traits| traits.direct_reclaim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_that_no_caller_means_do_not_count() {
        let known = Known::default();
        let masks = Masks { kernel: None, known: &known };
        let traits = |raw| {
            let mask = Mask { raw, names: None, before_names: true };
            masks.gfp(&mask).traits
        };
        // GFP_KERNEL|__GFP_COMP|__GFP_ZERO|__GFP_KMEMCG up to 3.15.
        assert!(traits(0x10_c0d0).expect("all that is plausible agrees").direct_reclaim);
        // GFP_ATOMIC before 4.4, and one that may not wait for anything later.
        assert!(traits(0x20).is_none_or(|traits| !traits.direct_reclaim));
    }
}
