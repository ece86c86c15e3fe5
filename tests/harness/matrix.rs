//! Scenarios on kernels, and logs with labels, as tables: what fragwatch reported, and where it
//! differs from what is true.

pub mod kernels;
pub mod labelled_logs;
pub mod truth;

use comfy_table::{ContentArrangement, Table, presets};

/// An empty table in the style of all of them.
pub(crate) fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table
}
