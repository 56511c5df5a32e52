//! What the agent reports about itself: what became of its configuration since the last run, of its cameras, its disk and its pace.
//!
//! Two deciding parts without a clock ([`snapshot`], [`watch`]) and this loop around them. What telemetry knows is looked at, never
//! changed. Events of what cameras see are made elsewhere.

mod snapshot;
mod watch;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::model::{CameraState, Event, EventType, UtcMillis};
use crate::publish::{Publisher, Reported};
use crate::telemetry::Telemetry;
use snapshot::Snapshot;
use watch::{Seen, Watch};

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// One piece of work that takes longer than this is worth telling ...
const SLOW: Duration = Duration::from_secs(10);
/// ... and than this will hardly end; as long as the watchdog waits.
const HUNG: Duration = Duration::from_secs(20);

/// Reports until `cancel`. `data_dir` holds what is remembered from run to run.
pub async fn report(
    config: Config,
    data_dir: impl AsRef<Path>,
    publisher: Publisher,
    telemetry: Arc<Telemetry>,
    cancel: CancellationToken,
) -> Result<()> {
    let data_dir = data_dir.as_ref();
    report_configuration(&config, data_dir, &publisher).await?;
    let began = Instant::now();
    let mut watch = Watch::new(config.store.min_free_bytes);
    let mut looks = tokio::time::interval(INTERVAL);
    let mut heartbeat = config.reporter.heartbeat.map(tokio::time::interval);
    loop {
        let events = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            _ = looks.tick() => watch.look(&look(data_dir, &telemetry)),
            () = next(&mut heartbeat) => vec![alive(&telemetry, began.elapsed())],
        };
        publish(&publisher, events).await?;
    }
}

/// Tells what is new, then remembers it: a crash between the two tells it twice.
async fn report_configuration(config: &Config, data_dir: &Path, publisher: &Publisher) -> Result<()> {
    let now = Snapshot::of(config);
    let before = Snapshot::load(data_dir);
    publish(publisher, now.compare(before.as_ref(), UtcMillis::now())).await?;
    now.save(data_dir).with_context(|| format!("cannot write to {}", data_dir.display()))
}

async fn publish(publisher: &Publisher, events: Vec<Event>) -> Result<()> {
    if !events.is_empty() {
        let reported = events.into_iter().map(|event| Reported { event, key: None });
        publisher.publish_all(reported.collect()).await?;
    }
    Ok(())
}

fn look(data_dir: &Path, telemetry: &Telemetry) -> Seen {
    let disk = rustix::fs::statvfs(data_dir).ok();
    let free_bytes = disk.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    if let Some(free) = free_bytes {
        telemetry.metrics.disk_free_bytes.set(i64::try_from(free).unwrap_or(i64::MAX));
    }
    Seen {
        at: UtcMillis::now(),
        cameras: telemetry.cameras.all(),
        free_bytes,
        slow: telemetry.stuck(SLOW),
        hung: telemetry.stuck(HUNG),
        removed: telemetry.metrics.removed(),
    }
}

async fn next(heartbeat: &mut Option<tokio::time::Interval>) {
    match heartbeat {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

fn alive(telemetry: &Telemetry, uptime: Duration) -> Event {
    let cameras = telemetry.cameras.all();
    let online = cameras.iter().filter(|status| status.watched.state == CameraState::Online).count();
    let mut event = Event::new(EventType::HEARTBEAT, UtcMillis::now());
    event.description = format!("Alive: {online} of {} cameras online", cameras.len());
    for (key, number) in [("cameras", cameras.len()), ("cameras_online", online)] {
        event.data.insert(key.to_owned(), number.into());
    }
    event.data.insert("uptime_s".to_owned(), uptime.as_secs().into());
    event.data.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
    event
}
