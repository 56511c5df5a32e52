//! systemd: ready, stopping, and a watchdog that is fed only while every worker moves. Silent where there is no systemd.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::telemetry::Telemetry;

/// No piece of work takes this long on the slowest board; a worker that does hangs, and systemd shall restart the agent.
const STUCK: Duration = Duration::from_secs(20);
/// Where systemd asks for nothing, stages are looked after this often.
const USUAL: Duration = Duration::from_secs(2);

/// Everything is set up.
pub(super) fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The drain has begun.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// How often [`feed`] must be called.
pub(super) fn interval() -> Duration {
    sd_notify::watchdog_enabled().map_or(USUAL, |limit| (limit / 4).min(USUAL))
}

/// Says "alive", unless a worker hangs.
pub(super) fn feed(telemetry: &Telemetry) {
    match telemetry.stuck(STUCK) {
        None => notify(&[NotifyState::Watchdog]),
        Some(worker) => tracing::error!(worker, "hangs; the watchdog is not fed"),
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd does not listen");
    }
}
