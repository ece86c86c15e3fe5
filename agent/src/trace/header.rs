//! The header of a trace: what is known before the first event. A capture begins with it.
use std::time::Duration;

use fragwatch_core::model::entry::{self, Header};

use crate::{host::clock, live::Live};

/// What waited for memory longer than `stall` is reported.
pub(super) fn header(
    live: &Live,
    kernel: String,
    page_size: u64,
    all: bool,
    stall: Duration,
) -> Header {
    Header {
        format: entry::FORMAT.to_owned(),
        format_version: entry::FORMAT_VERSION,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel,
        page_size,
        all,
        hooks: live.hooks.clone(),
        not_seen: live.not_seen.clone(),
        unobservable: unobservable(live),
        sees_failures: live.sees_failures(),
        stall_ns: u64::try_from(stall.as_nanos()).unwrap_or(u64::MAX),
        realtime_offset_ns: clock::realtime_offset_ns(),
    }
}

/// What can't be observed on this kernel although verdicts use it, in sentences.
fn unobservable(live: &Live) -> Vec<String> {
    let mut unobservable: Vec<String> = live
        .hooks
        .iter()
        .filter(|hook| hook.hook.info().supports_others)
        .filter_map(|hook| hook.not_seen.clone())
        .collect();
    if !live.knows_names() {
        unobservable.push("whether an interrupt made the allocation: names are hidden".to_owned());
    }
    unobservable
}
