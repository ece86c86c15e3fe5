//! A sample of a fixed size without pointers, so that the ring is one block of memory.
use fragwatch_core::model::{
    node::MemoryCgroups,
    sample::{Fallbacks, MAX_ORDERS, MAX_ZONES, MemoryPressure, Sample, SampleZone, VmCounters},
};

/// Names of zones (mm/page_alloc.c `zone_names`). A packed zone holds an index.
const ZONE_NAMES: [&str; 6] = ["DMA", "DMA32", "Normal", "HighMem", "Movable", "Device"];

/// Bits of [`Packed::present`]: what was read.
mod present {
    pub(super) const VM: u16 = 1;
    pub(super) const FREE_PAGES_BLOCKS: u16 = 1 << 1;
    pub(super) const FALLBACKS: u16 = 1 << 2;
    pub(super) const MEMORY_CGROUPS: u16 = 1 << 3;
    pub(super) const DYING: u16 = 1 << 4;
    pub(super) const AT_MOST: u16 = 1 << 5;
    pub(super) const PRESSURE: u16 = 1 << 6;
    pub(super) const LRU: u16 = 1 << 7;
    pub(super) const FILE: u16 = 1 << 8;
}

/// A packed sample.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Packed {
    time_ns: u64,
    vm: [u64; 9],
    pressure_us: [u64; 2],
    fallbacks: [[u32; 3]; 3],
    free_pages_blocks: u32,
    lru_pages: u32,
    file_pages: u32,
    memory_cgroups: u32,
    dying: u32,
    zones: [PackedZone; MAX_ZONES],
    zone_count: u8,
    present: u16,
}

const _: () = assert!(size_of::<Packed>() <= 400);

#[derive(Clone, Copy, Debug, Default)]
struct PackedZone {
    above_min: i32,
    blocks: [Count; MAX_ORDERS],
    node: u8,
    name: u8,
}

/// A count in 16 bits: exact up to 4095, above to a part in 2048; at most 4095 × 2¹⁵.
#[derive(Clone, Copy, Debug, Default)]
struct Count(u16);

impl Count {
    const DIGITS: u32 = 12;

    fn new(count: u64) -> Self {
        let shift = (64 - count.leading_zeros()).saturating_sub(Self::DIGITS);
        if shift > 15 {
            return Self(u16::MAX);
        }
        Self((shift << Self::DIGITS) as u16 | (count >> shift) as u16)
    }

    fn get(self) -> u64 {
        u64::from(self.0 & 0xfff) << (self.0 >> Self::DIGITS)
    }
}

impl From<&Sample> for Packed {
    fn from(sample: &Sample) -> Self {
        let mut packed = Self { time_ns: sample.time_ns, ..Self::default() };
        let low = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        if let Some(vm) = &sample.vm {
            packed.present |= present::VM;
            packed.vm = [
                vm.compact_stall,
                vm.compact_fail,
                vm.compact_success,
                vm.compact_daemon_wake,
                vm.allocstall,
                vm.pgscan_direct,
                vm.pgsteal_direct,
                vm.pgsteal_kswapd,
                vm.oom_kill,
            ];
            for (pages, bit, to) in [
                (vm.free_pages_blocks, present::FREE_PAGES_BLOCKS, &mut packed.free_pages_blocks),
                (vm.lru_pages, present::LRU, &mut packed.lru_pages),
                (vm.file_pages, present::FILE, &mut packed.file_pages),
            ] {
                if let Some(pages) = pages {
                    packed.present |= bit;
                    *to = low(pages);
                }
            }
        }
        if let Some(fallbacks) = &sample.fallbacks {
            packed.present |= present::FALLBACKS;
            packed.fallbacks = fallbacks.counts.map(|row| row.map(low));
        }
        if let Some(cgroups) = sample.memory_cgroups {
            packed.present |= present::MEMORY_CGROUPS;
            packed.memory_cgroups = low(cgroups.count);
            packed.present |= if cgroups.at_most { present::AT_MOST } else { 0 };
            if let Some(dying) = cgroups.dying {
                packed.present |= present::DYING;
                packed.dying = low(dying);
            }
        }
        if let Some(pressure) = sample.pressure {
            packed.present |= present::PRESSURE;
            packed.pressure_us = [pressure.some_us, pressure.full_us];
        }
        for (to, from) in packed.zones.iter_mut().zip(&sample.zones) {
            *to = from.into();
            packed.zone_count += 1;
        }
        packed
    }
}

impl From<&SampleZone> for PackedZone {
    fn from(zone: &SampleZone) -> Self {
        let mut blocks = [Count::default(); MAX_ORDERS];
        for (to, from) in blocks.iter_mut().zip(&zone.blocks) {
            *to = Count::new(*from);
        }
        let name = ZONE_NAMES.iter().position(|name| *name == zone.name);
        Self {
            above_min: zone.above_min.clamp(i32::MIN.into(), i32::MAX.into()) as i32,
            blocks,
            node: u8::try_from(zone.node).unwrap_or(u8::MAX),
            name: name.unwrap_or(ZONE_NAMES.len()) as u8,
        }
    }
}

impl From<&Packed> for Sample {
    fn from(packed: &Packed) -> Self {
        let has = |bit: u16| packed.present & bit != 0;
        let [
            compact_stall,
            compact_fail,
            compact_success,
            compact_daemon_wake,
            allocstall,
            pgscan_direct,
            pgsteal_direct,
            pgsteal_kswapd,
            oom_kill,
        ] = packed.vm;
        let level = |bit: u16, pages: u32| has(bit).then(|| u64::from(pages));
        let free_pages_blocks = level(present::FREE_PAGES_BLOCKS, packed.free_pages_blocks);
        let vm = VmCounters {
            compact_stall,
            compact_fail,
            compact_success,
            compact_daemon_wake,
            allocstall,
            pgscan_direct,
            pgsteal_direct,
            pgsteal_kswapd,
            oom_kill,
            free_pages_blocks,
            lru_pages: level(present::LRU, packed.lru_pages),
            file_pages: level(present::FILE, packed.file_pages),
        };
        let [some_us, full_us] = packed.pressure_us;
        let counts = packed.fallbacks.map(|row| row.map(u64::from));
        let zones = packed.zones.iter().take(packed.zone_count.into());
        Self {
            time_ns: packed.time_ns,
            zones: zones.map(SampleZone::from).collect(),
            vm: has(present::VM).then_some(vm),
            fallbacks: has(present::FALLBACKS).then_some(Fallbacks { counts }),
            memory_cgroups: has(present::MEMORY_CGROUPS).then(|| MemoryCgroups {
                count: packed.memory_cgroups.into(),
                dying: has(present::DYING).then(|| packed.dying.into()),
                at_most: has(present::AT_MOST),
            }),
            pressure: has(present::PRESSURE).then_some(MemoryPressure { some_us, full_us }),
        }
    }
}

impl From<&PackedZone> for SampleZone {
    fn from(zone: &PackedZone) -> Self {
        Self {
            node: zone.node.into(),
            name: ZONE_NAMES.get(usize::from(zone.name)).copied().unwrap_or_default().to_owned(),
            above_min: zone.above_min.into(),
            blocks: zone.blocks.iter().map(|count| count.get()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_counts_are_exact_and_large_ones_saturate() {
        for count in 0..=4095 {
            assert_eq!(Count::new(count).get(), count);
        }
        assert_eq!(Count::new(u64::MAX).get(), 4095 << 15);
    }

    proptest! {
        #[test]
        fn large_counts_are_right_to_a_part_in_2048(count in 4096u64..4095 << 15) {
            let got = Count::new(count).get();
            prop_assert!(got <= count && count - got <= count / 2048, "{got} for {count}");
        }
    }

    #[test]
    fn a_sample_survives_packing() {
        let zone = |node, name: &str| SampleZone {
            node,
            name: name.to_owned(),
            above_min: -7,
            blocks: vec![4095, 3, 0, 0, 0, 0, 0, 0, 0, 1, 2],
        };
        let full = Sample {
            time_ns: 5,
            zones: vec![zone(0, "DMA32"), zone(1, "Normal")],
            vm: Some(VmCounters {
                compact_stall: 1 << 40,
                oom_kill: 9,
                free_pages_blocks: Some(3),
                lru_pages: Some(4),
                file_pages: Some(5),
                ..VmCounters::default()
            }),
            fallbacks: Some(Fallbacks { counts: [[1, 2, 3], [4, 5, 6], [7, 8, 9]] }),
            memory_cgroups: Some(MemoryCgroups { count: 80, dying: Some(7), at_most: true }),
            pressure: Some(MemoryPressure { some_us: 1 << 33, full_us: 2 }),
        };
        assert_eq!(Sample::from(&Packed::from(&full)), full);
        let empty = Sample { time_ns: 6, ..Sample::default() };
        assert_eq!(Sample::from(&Packed::from(&empty)), empty);
    }
}
