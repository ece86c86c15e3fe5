//! Masks as logs print them, read with the bits of the kernel that printed them.
use super::draft::Draft;
use crate::{
    kernel::gfp::{Gfp, GfpNames, Traits},
    source::kernel_log::message::field::Mask,
};

/// Whether a release is older than another; `None` if it isn't known.
fn older_than(release: &str, than: (u32, u32)) -> Option<bool> {
    let release = release.trim_start_matches('v');
    let mut numbers = release.split(['.', '-', '+']).map_while(|n| n.parse::<u32>().ok());
    Some((numbers.next()?, numbers.next().unwrap_or(0)) < than)
}

/// How masks are read: by the kernel's release, if it is known.
pub(super) struct Masks<'a> {
    pub(super) kernel: Option<&'a str>,
}

impl Masks<'_> {
    pub(super) fn gfp(&self, mask: &Mask) -> Gfp {
        if let Some(names) = &mask.names
            && let Some(traits) = Traits::from_names(names)
        {
            return Gfp { raw: mask.raw, flags: Some(names.clone()), traits: Some(traits) };
        }
        if let Some(names) = self.kernel.and_then(GfpNames::from_release) {
            return names.decode(mask.raw);
        }
        // Whatever kernel it was: if all that it can mean says the same of the caller, that holds.
        let mut traits = readings(mask).into_iter().map(|(_, gfp)| gfp.traits);
        let first = traits.next().flatten();
        let agreed = first.filter(|_| traits.all(|other| other == first));
        Gfp { raw: mask.raw, flags: None, traits: agreed }
    }

    /// Whether the marks are those of kernels before 4.4: names of masks came with 4.6.
    pub(super) fn per_order_marks(&self, mask: &Mask) -> Option<bool> {
        let by_release = self.kernel.and_then(|kernel| older_than(kernel, (4, 4)));
        by_release.or_else(|| (!mask.before_names).then_some(false))
    }
}

/// What a mask can mean in the kernels that print it so.
fn readings(mask: &Mask) -> Vec<(String, Gfp)> {
    let mut readings = GfpNames::readings(mask.raw);
    // Those that begin with 4.6 or later would have printed names.
    readings.retain(|(releases, _)| {
        let first = releases.split(' ').next().unwrap_or_default();
        !mask.before_names || older_than(first, (4, 6)).unwrap_or(true)
    });
    readings
}

/// What the masks that aren't decoded can mean: the first one's readings.
pub(super) fn readings_of_first(draft: &Draft, kernel: Option<&str>) -> Vec<(String, Gfp)> {
    if kernel.is_some_and(|kernel| GfpNames::from_release(kernel).is_some()) {
        return Vec::new();
    }
    let of_header = || draft.header.as_ref().and_then(|header| header.mask.as_ref());
    let of_oom = || draft.oom.as_ref().and_then(|oom| oom.mask.as_ref());
    let of_slab = || draft.slab.iter().find_map(|slab| slab.mask.as_ref());
    let mask = of_header().or_else(of_slab).or_else(of_oom);
    mask.filter(|mask| mask.names.is_none()).map(readings).unwrap_or_default()
}
