//! Why, and what to do.
use super::{BOLD, Block, DIM, kib, paint};
use crate::{
    model::{allocation::Outcome, verdict::Cause},
    report::line::{
        allocation::Allocation,
        verdict::{Remedy, Verdict},
    },
    units::{bytes, printable},
};

/// The cause in a sentence, by the allocation that decided. Returns how many sentences of the verdict are in it.
pub(super) fn why(block: &mut Block, verdict: &Verdict, decisive: Option<&Allocation>) -> usize {
    let confidence: &str = verdict.confidence.into();
    let fragmented = matches!(verdict.cause, Cause::Fragmentation | Cause::OomFragmentation);
    let shortage = decisive.filter(|_| fragmented).and_then(shortage);
    let (sentence, used) = match (shortage, verdict.because.first()) {
        (Some(shortage), _) => (format!(": {shortage}"), 0),
        (None, Some(first)) => (format!(": {}", printable(first)), 1),
        (None, None) => (String::new(), 0),
    };
    let rest = format!(" ({confidence} confidence){sentence}");
    block.row_led_by("why", BOLD, verdict.cause.into(), &rest);
    used
}

/// What to do now, what keeps it from coming back, and what doesn't help.
pub(super) fn remedies(block: &mut Block, verdict: &Verdict) {
    let (fixes, now): (Vec<&Remedy>, Vec<&Remedy>) =
        verdict.remedies.iter().partition(|remedy| remedy.durable);
    for (label, remedies) in [("now", now), ("fix", fixes)] {
        for remedy in remedies {
            block.row(label, &printable(&remedy.title));
            block.command(&printable(&remedy.command));
            block.row_led_by("", DIM, "cost:", &format!(" {}", printable(&remedy.risk)));
        }
    }
    for what in &verdict.no_help {
        block.row("useless", &printable(what));
    }
}

/// What was not seen.
pub(super) fn not_seen(block: &mut Block, verdict: &Verdict) {
    block.list("not seen", verdict.not_seen.iter().map(|text| printable(text)));
}

/// The allocation that decided how it ended: the last that failed or called the OOM killer.
pub(super) fn decisive(allocations: &[Allocation]) -> Option<&Allocation> {
    let failed = |a: &&Allocation| matches!(a.outcome, Outcome::Failed | Outcome::CalledOomKiller);
    let fell_back = |a: &&Allocation| a.outcome == Outcome::FellBack;
    allocations
        .iter()
        .rfind(failed)
        .or_else(|| allocations.iter().rfind(fell_back))
        .or_else(|| allocations.last())
}

/// What was asked for, and what there was.
fn shortage(a: &Allocation) -> Option<String> {
    let zone = a.zone.as_ref()?;
    let asked = a.bytes?;
    zone.free_blocks.as_ref()?;
    let largest = match zone.largest_order {
        Some(order) if order < a.order => {
            format!("largest free block {}", bytes(asked >> (a.order - order)))
        }
        Some(_) => return None,
        None => "no free block".to_owned(),
    };
    let free = kib(zone.free_kib);
    Some(format!("order {} ({}) asked for, {largest}, {free} free", a.order, bytes(asked)))
}

/// A cause for a list of them.
pub(super) fn short(verdict: &Verdict) -> String {
    let (cause, confidence): (&str, &str) = (verdict.cause.into(), verdict.confidence.into());
    format!("{} ({confidence} confidence)", paint(BOLD, cause))
}
