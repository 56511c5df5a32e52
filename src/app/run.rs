//! The whole agent: cameras, pipeline, store, delivery, API; supervised, watched, drained.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use jiff::tz::TimeZone;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::access::{first_token, sign_pictures};
use super::connections::Connections;
use super::eyes::Eyes;
use super::pipeline::{CameraInput, Pipeline, Wishes};
use super::{face_seer, inspector_verifier, memory, report, watchdog};
use crate::api::{self, Access, ApiState, Services};
use crate::capture::Capture;
use crate::config::Config;
use crate::decode::main_stream;
use crate::delivery::{self, Health};
use crate::detect::WhenFull;
use crate::events::{Habits, close_interrupted};
use crate::live::Live;
use crate::model::{CameraSlug, Event, EventType, Habit, Label, Picture};
use crate::publish::Publisher;
use crate::store::{HabitBook, People, Reader, Store, StoreThread, Tokens};
use crate::telemetry::Telemetry;
use crate::webhooks::Manager;

/// Draining takes at most this long; below the stop time-out of the service unit.
const DRAIN: Duration = Duration::from_secs(10);

/// Runs until SIGTERM or SIGINT, or until a stage fails.
pub fn run(mut config: Config) -> Result<()> {
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("cannot make the data folder {}", config.data_dir.display()))?;
    sign_pictures(&mut config)?;
    // Two threads serve all sockets: they wait, the stages' own threads work.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(supervise(&config));
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

async fn supervise(config: &Config) -> Result<()> {
    let mut signals = Signals::new()?;
    for warning in &config.warnings {
        tracing::warn!(key = warning.key, "{}", warning.message);
    }
    let telemetry = Arc::new(Telemetry::default());
    let (store, reader, store_thread) = Store::open(&config.store, &config.data_dir, Arc::clone(&telemetry))?;
    let listener = api::bind(config.api.listen).await?;
    let (webhooks, registry, publisher) = Manager::open(config, store.clone(), &reader)?;
    close_open_events(&publisher, &reader).await?;
    let people = People::open(&config.data_dir)?;
    let known = Some(people.clone());
    let eyes = tokio::task::block_in_place(|| Eyes::open(config, &config.cameras, known, &telemetry))?;

    let cancel = CancellationToken::new();
    let mut services = JoinSet::new();
    let health = Health::new(registry.clone());
    let verifier = inspector_verifier(config);
    let tokens = Tokens::open(&config.data_dir)?;
    first_token(config, &tokens)?;
    let live = Live::default();
    let services_of_api = Services {
        live: live.clone(),
        access: Access::new(config, tokens, publisher.clone()),
        publisher: publisher.clone(),
        webhooks: webhooks.clone(),
        health: health.clone(),
        store: store.clone(),
        people,
        faces: face_seer(config.clone()),
    };
    let state = ApiState::new(config, reader, Arc::clone(&telemetry), verifier, services_of_api);
    services.spawn(service("api", api::serve(listener, state, cancel.clone())));
    let looking = health.run(cancel.clone());
    services.spawn(service("health", async {
        looking.await;
        anyhow::Ok(())
    }));
    let notices = operator_events(publisher.clone());
    let delivering = delivery::run(registry, store.clone(), Arc::clone(&telemetry), notices, cancel.clone());
    services.spawn(service("delivery", delivering));
    let reporting = report(
        config.clone(),
        config.data_dir.clone(),
        publisher.clone(),
        Arc::clone(&telemetry),
        cancel.clone(),
    );
    services.spawn(service("reporter", reporting));

    let (cameras, connections) = open_cameras(config, &telemetry);
    let (time_zone, book) = (TimeZone::system(), HabitBook::open(&config.data_dir)?);
    let habits = Some(Habits::new(time_zone.clone(), book.read()?));
    let wishes = Wishes { live: &live, marks: publisher.dwell_marks(), habits };
    let sink = publish_with(publisher, book, time_zone);
    let pipeline = Pipeline::start(config, cameras, WhenFull::NewestWins, eyes, &telemetry, wishes, sink)?;
    let capturing = connections.start(&cancel)?;
    tracing::info!(
        cameras = pipeline.cameras(),
        webhooks = webhooks.current().iter().count(),
        page = %config.api.public_base_url,
        data = %config.data_dir.display(),
        "running"
    );
    watchdog::ready(&format!("watching {} cameras", pipeline.cameras()));

    let reason = watch(&mut signals, &mut services, &pipeline, &store_thread, &telemetry).await;
    watchdog::stopping();
    cancel.cancel();
    let drained = tokio::select! {
        drained = drain(pipeline, capturing, services) => drained,
        () = signals.any() => bail!("stopped at once by a second signal"),
        () = tokio::time::sleep(DRAIN) => bail!("draining took longer than {DRAIN:?}; stopped"),
    };
    // The last handles: the store ends when nobody can ask it for anything.
    drop((store, webhooks));
    let stored = tokio::task::block_in_place(|| store_thread.join());
    let stored = stored.map_err(|_| anyhow::anyhow!("the store failed"))?.context("the store failed");
    stored.and(drained).and(reason)
}

/// Where delivery tells the operator what it has to say. Ends with its last sender.
fn operator_events(publisher: Publisher) -> mpsc::Sender<Event> {
    let (sender, mut events) = mpsc::channel(64);
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let Err(error) = publisher.publish(event, None).await {
                tracing::warn!(%error, "an event for the operator is lost");
            }
        }
    });
    sender
}

/// Events that were open when the agent was killed end when they were last heard of.
async fn close_open_events(publisher: &Publisher, reader: &Reader) -> Result<()> {
    for event in reader.open_events()? {
        publisher.publish(close_interrupted(event), None).await?;
    }
    Ok(())
}

fn open_cameras(config: &Config, telemetry: &Arc<Telemetry>) -> (Vec<CameraInput>, Connections) {
    let (mut inputs, mut connections) = (Vec::new(), Connections::default());
    for camera in config.cameras.iter().filter(|camera| camera.enabled) {
        telemetry.cameras.add(Arc::clone(&camera.camera));
        let capture = Capture::new(camera, Arc::clone(telemetry));
        let packets = connections.open(camera, capture, telemetry);
        let main = Capture::main(camera, Arc::clone(telemetry)).map(|capture| {
            telemetry.cameras.expect_main(camera.slug());
            let packets = connections.open(camera, capture, telemetry);
            let masks = camera.privacy_masks.clone();
            let (feed, pictures) = main_stream(&camera.camera, masks, camera.main_buffer_bytes, telemetry);
            connections.feed(feed, packets);
            pictures
        });
        inputs.push(CameraInput { config: camera.clone(), packets, wait: connections.wait(), main });
    }
    if inputs.is_empty() {
        tracing::warn!("there is no camera in the configuration; add a [[camera]]");
    }
    (inputs, connections)
}

/// Blocks the events thread until the state is on the disk: from here on nothing is lost.
fn publish_with(
    publisher: Publisher,
    mut book: HabitBook,
    time_zone: TimeZone,
) -> impl FnMut(Event, Option<Picture>) -> ControlFlow<()> + Send + 'static {
    move |event, picture| {
        let id = event.id;
        match publisher.publish_blocking(event, picture) {
            Ok(receipt) => {
                if let Some(habit) = habit_of(&receipt.event, &time_zone) {
                    book.note(habit);
                }
                let Event { camera, state, label, description, .. } = receipt.event;
                let (camera, state) = (camera.map(|camera| camera.id), state.as_str());
                // What is told of a face may say whose it is.
                let told = (label != Some(Label::Face)).then_some(&description);
                tracing::info!(camera, event = %id, state, description = told, "event");
                ControlFlow::Continue(())
            }
            Err(error) => {
                tracing::error!(event = %id, %error, "event lost: the store is gone");
                ControlFlow::Break(())
            }
        }
    }
}

/// The count that an event adds to, if it is the first of an object or a visitor, and how unusual it is was asked.
fn habit_of(event: &Event, time_zone: &TimeZone) -> Option<Habit> {
    let first = [EventType::OBJECT_DETECTED, EventType::FACE_DETECTED].contains(&event.kind);
    let _judged = event.anomaly.as_ref().filter(|_| first && event.seq == 1)?;
    let camera = CameraSlug::parse(&event.camera.as_ref()?.id).ok()?;
    Some(Habit::once(camera, event.label?, event.occurred_at, time_zone))
}

async fn service<E: Into<anyhow::Error>>(
    name: &'static str,
    body: impl Future<Output = Result<(), E>>,
) -> (&'static str, Result<()>) {
    (name, body.await.map_err(Into::into))
}

/// Returns when the agent is to stop: `Ok` on a signal, `Err` when something ended that must not.
async fn watch(
    signals: &mut Signals,
    services: &mut JoinSet<(&'static str, Result<()>)>,
    pipeline: &Pipeline,
    store: &StoreThread,
    telemetry: &Telemetry,
) -> Result<()> {
    let mut tick = tokio::time::interval(watchdog::interval());
    let mut give_back = tokio::time::interval(memory::GIVE_BACK_EVERY);
    loop {
        tokio::select! {
            () = signals.any() => {
                tracing::info!("stopping");
                return Ok(());
            }
            Some(ended) = services.join_next() => {
                let (name, outcome) = ended.context("a service failed")?;
                outcome.with_context(|| format!("the service {name} failed"))?;
                bail!("the service {name} ended");
            }
            _ = tick.tick() => {
                if let Some(name) = pipeline.ended(telemetry) {
                    bail!("the stage {name} ended");
                }
                if store.is_finished() {
                    bail!("the store ended");
                }
                watchdog::feed(telemetry);
            }
            _ = give_back.tick() => memory::give_back(),
        }
    }
}

/// Captures end and drop their senders; the stages drain one after the other; the store commits what comes.
async fn drain(
    pipeline: Pipeline,
    capturing: JoinHandle<()>,
    mut services: JoinSet<(&'static str, Result<()>)>,
) -> Result<()> {
    let started = Instant::now();
    let ended = tokio::task::spawn_blocking(|| capturing.join()).await.context("waiting for the cameras")?;
    ended.map_err(|_| anyhow::anyhow!("waiting for cameras failed"))?;
    tracing::debug!(elapsed = ?started.elapsed(), "captures ended");
    tokio::task::spawn_blocking(|| pipeline.join()).await.context("waiting for the stages")??;
    tracing::debug!(elapsed = ?started.elapsed(), "stages drained");
    while let Some(ended) = services.join_next().await {
        let (name, outcome) = ended.context("a service failed")?;
        outcome.with_context(|| format!("the service {name} failed"))?;
    }
    tracing::info!(elapsed = ?started.elapsed(), "stopped");
    Ok(())
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
