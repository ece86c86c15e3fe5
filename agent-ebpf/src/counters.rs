//! Counters of what is not recorded one by one.
use aya_ebpf::{macros::map, maps::PerCpuArray};
use fragwatch_ebpf::Counter;

/// See [`Counter`].
#[map]
pub(crate) static COUNTERS: PerCpuArray<u64> =
    PerCpuArray::with_max_entries(Counter::ALL.len() as u32, 0);

/// Adds one to a counter of this CPU.
pub(crate) fn count(counter: Counter) {
    if let Some(value) = COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: the pointer is a live map slot of this CPU; a program interrupted on it by
        // another one can at worst lose one count.
        unsafe { *value += 1 };
    }
}
