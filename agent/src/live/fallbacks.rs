//! Allocations that took a block of another migratetype, which the kernel side counts for `serve`.
use anyhow::Context as _;
use aya::{
    Ebpf,
    maps::{MapData, MapError, PerCpuArray},
    programs::{RawTracePoint, raw_trace_point::RawTracePointLink},
};
use fragwatch_core::model::sample::Fallbacks;
use fragwatch_ebpf::{
    MIGRATETYPES, map,
    table::{BLOCK_FALLBACK, BLOCK_FALLBACK_TRACEPOINT},
};

/// The program, attached for as long as this lives, and its counts.
pub(super) struct FallbackCounter {
    counts: PerCpuArray<MapData, u64>,
    _link: RawTracePointLink,
}

impl FallbackCounter {
    /// Loads and attaches the program.
    pub(super) fn start(ebpf: &mut Ebpf) -> anyhow::Result<Self> {
        let counts = ebpf.take_map(map::FALLBACKS).context("there is no such map")?.try_into()?;
        let program: &mut RawTracePoint =
            ebpf.program_mut(BLOCK_FALLBACK).context("there is no such program")?.try_into()?;
        program.load()?;
        let link = program.attach(BLOCK_FALLBACK_TRACEPOINT)?;
        Ok(Self { counts, _link: program.take_link(link)? })
    }

    /// What was counted so far.
    pub(super) fn read(&self) -> Result<Fallbacks, MapError> {
        let mut fallbacks = Fallbacks::default();
        let counts = fallbacks.counts.as_flattened_mut();
        for (at, count) in (0..(MIGRATETYPES * MIGRATETYPES) as u32).zip(counts) {
            *count = self.counts.get(&at, 0)?.iter().sum();
        }
        Ok(fallbacks)
    }
}
