//! The orders that creations on this node were seen to ask for, kept in a small file so that
//! `fragwatch check` knows what the next one will need.
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

/// Where the file is, below the root directory. What was seen is of this boot, as /run is.
const PATH: &str = "run/fragwatch/orders.json";

/// Bytes of the file, always: it is written in place, so that no page has to be found for it in the
/// shortage that it is about.
const SIZE: usize = 4096;

/// Orders above this are not kept; no kernel has them.
const MAX_ORDER: u32 = 20;

/// The file is written no more often than this, in nanoseconds.
const PERIOD_NS: u64 = 60_000_000_000;

/// How often and when an order was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// How often it entered the slow path.
    pub count: u64,
    /// When that was first seen.
    pub first: Timestamp,
    /// When that was last seen.
    pub last: Timestamp,
}

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// By order.
    pub orders: BTreeMap<u32, Seen>,
}

impl Orders {
    /// Takes it in if a creation asked for a block that it can't do without. True if it did.
    fn push(&mut self, event: &Event, now: Timestamp) -> bool {
        let (gfp, order, entered) = match &event.kind {
            EventKind::SlowPathEntered { gfp, order } => (gfp, order, 1),
            // It has been counted when it entered, where that is seen.
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

/// Whether the kernel or a module needs it: not if the mask expects a failure, or if the pages are
/// for a process, which gets single ones instead. A mask that can't be read may be anything.
fn is_needed(gfp: &Gfp) -> bool {
    gfp.traits.is_some_and(|traits| !traits.nowarn && !traits.movable)
}

/// Reads what was kept on the system with this root directory; `None` if there is nothing.
pub fn read(root: &Path) -> Option<Orders> {
    let path = root.join(PATH);
    // It is never larger; what is, is something else.
    let small = fs::metadata(&path).is_ok_and(|metadata| metadata.len() <= SIZE as u64);
    let text = small.then(|| fs::read_to_string(&path).ok()).flatten()?;
    let orders = Orders::parse(&text);
    if orders.is_none() {
        log::info!("{} can't be understood; it is as if it were not there", path.display());
    }
    orders
}

/// Keeps the file while a trace runs.
pub struct OrderStore {
    file: File,
    orders: Orders,
    changed: bool,
    written_ns: Option<u64>,
}

impl OrderStore {
    /// Opens the file, and goes on from what is in it.
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
        // Whatever was behind it.
        file.set_len(SIZE as u64)?;
        let mut keeper = Self { file, orders, changed: true, written_ns: None };
        // Now there is room for it.
        keeper.write()?;
        Ok(keeper)
    }

    /// Takes in what was seen.
    pub fn push(&mut self, event: &Event) {
        if self.orders.push(event, Timestamp::now()) {
            self.changed = true;
        }
    }

    /// Writes the file if it is time, at `now_ns` of `CLOCK_MONOTONIC`; at the end (`None`) in any
    /// case. Not if nothing changed.
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
        // Twenty orders fit by far.
        text.resize(SIZE - 1, b' ');
        text.push(b'\n');
        self.file.write_all_at(&text, 0)
    }
}

#[cfg(test)]
mod tests;
