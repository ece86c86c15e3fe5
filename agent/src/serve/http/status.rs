//! `/status`: what `doctor` and `check` would say, and the state of `serve`.
use fragwatch_core::report::{
    escape,
    line::{check::Check, doctor::Doctor},
};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    check::view,
    serve::{
        shared::{Failure, Phase, Shared},
        trend::{Outlook, Trend},
    },
};

/// The object. Names are as in the report's lines.
#[derive(Serialize)]
struct Status {
    #[serde(rename = "type")]
    kind: &'static str,
    version: &'static str,
    state: Phase,
    started: Timestamp,
    /// How long ago the loop took its last turn.
    loop_silent_ms: u64,
    /// Failures since the start.
    failed: u64,
    /// Of these, in the last hour.
    failed_last_hour: u64,
    /// The last of them that were reported, the newest first.
    failures: Vec<Failure>,
    check: Option<Check>,
    /// What is left, and what was left up to an hour ago.
    trend: Vec<Trend>,
    /// How long each resource lasts.
    forecast: Vec<Outlook>,
    store: Option<Store>,
    doctor: Option<Doctor>,
}

#[derive(Serialize)]
struct Store {
    bytes: u64,
    max_bytes: u64,
    oldest: Option<Timestamp>,
    failing: bool,
    dropped: u64,
}

/// The object as JSON, in one line.
pub(super) fn json(shared: &Shared) -> String {
    let board = shared.board().clone();
    let status = Status {
        kind: "status",
        version: env!("CARGO_PKG_VERSION"),
        state: shared.phase(),
        started: shared.started,
        loop_silent_ms: u64::try_from(shared.silent_for().as_millis()).unwrap_or(u64::MAX),
        failed: board.failed,
        failed_last_hour: board.failed_last_hour(),
        failures: board.failures.into(),
        check: board.check.as_ref().map(|check| view::check(check, None)),
        trend: board.trend,
        forecast: board.outlooks,
        store: board.store.map(|store| Store {
            bytes: store.bytes,
            max_bytes: store.max_bytes,
            oldest: store.oldest(),
            failing: store.failing,
            dropped: store.dropped,
        }),
        doctor: board.doctor,
    };
    let json = serde_json::to_string(&status).unwrap_or_else(|error| {
        log::error!("could not write the status as JSON: {error}");
        "{}".to_owned()
    });
    escape(&json) + "\n"
}
