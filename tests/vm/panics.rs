//! Panics of tests: kept for the list of failures instead of printed at once.

use std::cell::RefCell;
use std::panic::{self, UnwindSafe};

thread_local! {
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Has each panic kept, with its place.
pub(crate) fn keep() {
    panic::set_hook(Box::new(|info| LAST.set(Some(info.to_string()))));
}

/// Runs a test. An error is the message of its panic.
pub(crate) fn caught(test: impl FnOnce() + UnwindSafe) -> Result<(), String> {
    panic::catch_unwind(test)
        .map_err(|_| LAST.take().unwrap_or_else(|| "it panicked without a message".to_owned()))
}
