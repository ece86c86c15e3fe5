//! What systemd is sent (sd_notify(3)). Without systemd nothing is sent.
use std::{future, time::Duration};

use sd_notify::NotifyState;
use tokio::time::interval;

use super::shared::{Phase, Shared};

/// The state of the start: the hooks are in place.
pub(super) fn ready(hooks: usize) {
    let status = format!("watching container creations with {hooks} hooks");
    send(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// The end begins.
pub(super) fn stopping() {
    send(&[NotifyState::Stopping, NotifyState::Status("ending")]);
}

/// Keeps the watchdog quiet for as long as the loop is alive; never returns.
pub(super) async fn keep_alive(shared: &Shared) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return future::pending().await };
    let mut timer = interval((limit / 3).max(Duration::from_millis(100)));
    let mut failed = 0;
    loop {
        timer.tick().await;
        if shared.is_alive() {
            send(&[NotifyState::Watchdog]);
        }
        let now = shared.board().failed;
        if now != failed && shared.phase() == Phase::Watching {
            failed = now;
            let status = format!("watching container creations; {failed} failed so far");
            send(&[NotifyState::Status(&status)]);
        }
    }
}

fn send(state: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(state) {
        log::debug!("could not notify the service manager: {error}");
    }
}
