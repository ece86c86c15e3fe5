//! The orders that creations on this node requested, stored in a small file for `fragwatch check`.
use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _},
    path::Path,
};

use fragwatch_core::model::{
    event::{Event, EventKind},
    gfp::Gfp,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The file's path below the root directory. Like /run, its content is valid until the next boot.
const PATH: &str = "run/fragwatch/orders.json";

/// The file's constant size in bytes. It is written in place, so that writing during a memory shortage
/// allocates no page.
const SIZE: usize = 4096;

/// Orders above this are ignored; no kernel has them.
const MAX_ORDER: u32 = 20;

/// Minimum time between writes, in nanoseconds.
const PERIOD_NS: u64 = 60_000_000_000;

/// How often and when an order was requested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Number of entries to the page allocator's slow path.
    pub count: u64,
    /// Time of the first request.
    pub first: Timestamp,
    /// Time of the last request.
    pub last: Timestamp,
}

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// The requests per order.
    pub orders: BTreeMap<u32, Seen>,
}

impl Orders {
    /// Counts the event if a creation requested a block for which it has no fallback. True if it was
    /// counted.
    fn push(&mut self, event: &Event, now: Timestamp) -> bool {
        let (gfp, order, entered) = match &event.kind {
            EventKind::SlowPathEntered { gfp, order } => (gfp, order, 1),
            // It was counted on entry, on kernels where entries can be observed.
            EventKind::AllocationFailed { gfp, order, .. } => (gfp, order, 0),
            _ => return false,
        };
        let counts = event.creation.is_some() && (1..=MAX_ORDER).contains(order);
        if !counts || !is_needed(gfp) {
            return false;
        }
        let seen = self.orders.entry(*order).or_insert(Seen { count: 0, first: now, last: now });
        seen.count = seen.count.saturating_add(entered).max(1);
        seen.last = now;
        true
    }

    fn parse(text: &str) -> Option<Self> {
        let mut orders: Self = serde_json::from_str(text.trim_end()).ok()?;
        orders.orders.retain(|order, _| (1..=MAX_ORDER).contains(order));
        Some(orders)
    }
}

/// Whether the caller has no fallback: the mask neither suppresses the warning about a failure nor
/// allocates movable pages, for which single pages are used instead. False if the mask is not decoded.
fn is_needed(gfp: &Gfp) -> bool {
    gfp.traits.is_some_and(|traits| !traits.nowarn && !traits.movable)
}

/// Reads the file of the system with this root directory; `None` if it does not exist or is not valid.
pub fn read(root: &Path) -> Option<Orders> {
    let path = root.join(PATH);
    // A larger file is not ours.
    let small = fs::metadata(&path).is_ok_and(|metadata| metadata.len() <= SIZE as u64);
    let text = small.then(|| fs::read_to_string(&path).ok()).flatten()?;
    let orders = Orders::parse(&text);
    if orders.is_none() {
        log::info!("{} is not valid and is ignored", path.display());
    }
    orders
}

/// Maintains the file during a trace.
pub struct OrderStore {
    file: File,
    orders: Orders,
    changed: bool,
    written_ns: Option<u64>,
}

impl OrderStore {
    /// Opens or creates the file. Counting continues from its content.
    ///
    /// # Errors
    /// If the file can't be created or written.
    pub fn open(root: &Path) -> io::Result<Self> {
        let path = root.join(PATH);
        if let Some(directory) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
        }
        let orders = read(root).unwrap_or_default();
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)?;
        // Cuts off anything after a valid content.
        file.set_len(SIZE as u64)?;
        let mut store = Self { file, orders, changed: true, written_ns: None };
        // Allocates the file's page now.
        store.write()?;
        Ok(store)
    }

    /// Counts an event if it is a request that matters.
    pub fn push(&mut self, event: &Event) {
        if self.orders.push(event, Timestamp::now()) {
            self.changed = true;
        }
    }

    /// Writes the file if something changed and the last write is long enough ago at `now_ns`
    /// (`CLOCK_MONOTONIC`). At the end of a trace (`None`) the time does not matter.
    pub fn tick(&mut self, now_ns: Option<u64>) {
        let due = match (now_ns, self.written_ns) {
            (Some(now), Some(written)) => now.saturating_sub(written) >= PERIOD_NS,
            _ => true,
        };
        if self.changed && due {
            self.written_ns = now_ns;
            if let Err(error) = self.write() {
                log::debug!("could not write /{PATH}: {error}");
            }
        }
    }

    fn write(&mut self) -> io::Result<()> {
        self.changed = false;
        let mut text = serde_json::to_string(&self.orders)?.into_bytes();
        // Twenty orders take less than that.
        text.resize(SIZE - 1, b' ');
        text.push(b'\n');
        self.file.write_all_at(&text, 0)
    }
}

#[cfg(test)]
mod tests;
