//! The thread `analyse`: pictures are compressed, faces are looked at, and what is found goes to the events.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use anyhow::Result;

use super::faces::load_faces;
use super::mains::Mains;
use super::register::Register;
use crate::config::{CameraConfig, Config, FaceMode};
use crate::inference::{InferenceError, Library, Runtime};
use crate::model::{
    Captured, EnrolledFace, Finding, KnownFace, Shot, Sighting, TrackChange, TrackUpdate, VisitorChange,
    VisitorNews,
};
use crate::pixels::{Area, Picture, View};
use crate::recognise::{FaceReader, Gallery, Insight, Lead, Leads, Next, Photographer, Visitors, portrait};
use crate::store::{People, StoreError};
use crate::telemetry::{Stage, Telemetry};

/// How long a stranger who no longer shows a face waits for a verdict beyond its time.
const TICK: Duration = Duration::from_millis(250);

/// Owns the face networks, and remembers who is there.
#[derive(Debug)]
pub(crate) struct Analyst {
    photographer: Photographer,
    mains: Mains,
    faces: Option<FaceDesk>,
    /// Whether time goes on by itself: in a replay it does with the pictures.
    live: bool,
}

#[derive(Debug)]
struct FaceDesk {
    reader: FaceReader,
    min_eye_distance: f32,
    visitors: Visitors,
    register: Register,
    gallery: Gallery,
}

/// The face networks that the configuration names.
pub(crate) fn open_reader(config: &Config, telemetry: &Arc<Telemetry>) -> Result<FaceReader> {
    let library = Library::find(&config.models)?;
    let runtime = Runtime::load(&config.models, &library)?;
    load_faces(config, &library, &runtime, telemetry.worker(Stage::Faces, "faces"))
}

impl Analyst {
    /// For these cameras; loads the face networks only if one of them looks for faces. `people`: of the running agent.
    pub(crate) fn new<'c>(
        config: &Config,
        cameras: impl IntoIterator<Item = &'c CameraConfig>,
        people: Option<People>,
        telemetry: &Arc<Telemetry>,
    ) -> Result<Self> {
        let wanted = cameras.into_iter().any(|camera| camera.enabled && camera.faces != FaceMode::Off);
        let live = people.is_some();
        let faces = match wanted {
            true => {
                let mut reader = open_reader(config, telemetry)?;
                let register = match people {
                    Some(people) => Register::of_agent(config, people, &mut reader)?,
                    None => Register::of_replay(config, &mut reader)?,
                };
                let gallery = register.gallery()?;
                tracing::info!(model = reader.embedder(), people = gallery.len(), "faces ready");
                let min_eye_distance = config.faces.min_eye_distance;
                Some(FaceDesk { reader, min_eye_distance, visitors: Visitors::default(), register, gallery })
            }
            false => None,
        };
        let worker = telemetry.worker(Stage::Analyse, "analyse");
        let photographer = Photographer::new((&config.events).into(), worker);
        Ok(Self { photographer, mains: Mains::default(), faces, live })
    }

    /// From now on these cameras are watched, some of them with a main stream.
    pub(crate) fn watch<'c>(&mut self, cameras: impl IntoIterator<Item = &'c CameraConfig>, mains: Mains) {
        self.mains = mains;
        if let Some(desk) = &mut self.faces {
            let modes: HashMap<_, _> =
                cameras.into_iter().map(|camera| (camera.slug().clone(), camera.faces)).collect();
            desk.visitors.watch(modes, desk.min_eye_distance);
        }
    }

    /// Until nothing comes any more, or nobody wants findings. An error of a network ends it.
    pub(crate) fn run(&mut self, leads: &Leads, out: &SyncSender<Finding>) -> Result<()> {
        let mut last = Captured::now();
        loop {
            self.mains.rest();
            let findings = match leads.next(self.awaits_time().then_some(TICK)) {
                Next::Lead(Lead::News(update)) => {
                    last = update.at;
                    self.develop(*update)
                }
                Next::Lead(Lead::Sighting(sighting)) => {
                    last = sighting.frame.captured;
                    match &mut self.faces {
                        Some(desk) => {
                            let insights = desk.look(&sighting, &mut self.mains)?;
                            self.findings(insights)
                        }
                        None => Vec::new(),
                    }
                }
                Next::Idle if self.live => {
                    last = Captured::now();
                    let insights = self.faces.as_mut().map(|desk| desk.visitors.tick(last, &desk.gallery));
                    self.findings(insights.unwrap_or_default())
                }
                Next::Idle => Vec::new(),
                Next::Over => {
                    let insights = self.faces.as_mut().map(|desk| desk.visitors.finish(last, &desk.gallery));
                    let findings = self.findings(insights.unwrap_or_default());
                    // The receiver is gone only when its stage has failed, which the pipeline reports.
                    findings.into_iter().for_each(|finding| drop(out.send(finding)));
                    return Ok(());
                }
            };
            if findings.into_iter().any(|finding| out.send(finding).is_err()) {
                return Ok(());
            }
        }
    }

    /// Whether something is to be done although nothing comes: a quiet house wakes nobody up.
    fn awaits_time(&self) -> bool {
        self.mains.are_used() || self.faces.as_ref().is_some_and(|desk| desk.visitors.are_there())
    }

    fn develop(&mut self, mut update: TrackUpdate<Shot>) -> Vec<Finding> {
        if let Some(shot) = &mut update.shot {
            shot.frame = self.mains.sharpest(&shot.frame);
        }
        let (mut findings, mut recognition) = (Vec::new(), None);
        if let Some(desk) = &mut self.faces {
            if update.change == TrackChange::Ended {
                let (insights, last_word) = desk.visitors.end(update.track.id, update.at, &desk.gallery);
                recognition = last_word;
                findings = self.findings(insights);
            } else {
                recognition = desk.visitors.recognition(update.track.id);
            }
        }
        findings.push(Finding::Track(self.photographer.develop(update), recognition));
        findings
    }

    fn findings(&mut self, insights: Vec<Insight>) -> Vec<Finding> {
        let Self { photographer, faces: Some(desk), .. } = self else { return Vec::new() };
        insights.into_iter().map(|insight| Finding::Visitor(desk.news(insight, photographer))).collect()
    }
}

impl FaceDesk {
    fn look(&mut self, sighting: &Sighting, mains: &mut Mains) -> Result<Vec<Insight>, InferenceError> {
        match self.register.changed() {
            Ok(Some(gallery)) => self.gallery = gallery,
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "cannot read who is enrolled; those known so far stay"),
        }
        let areas = self.visitors.plan(sighting, mains.width(&sighting.frame));
        if areas.is_empty() {
            return Ok(Vec::new());
        }
        let frame = &*mains.sharpest(&sighting.frame);
        let pixels = |rect: crate::model::Rect| {
            let (w, h) = (frame.width() as f32, frame.height() as f32);
            let (x, y) = ((rect.x1 * w) as usize, (rect.y1 * h) as usize);
            let (right, bottom) = ((rect.x2 * w).ceil() as usize, (rect.y2 * h).ceil() as usize);
            Area {
                x: x.min(frame.width() - 1),
                y: y.min(frame.height() - 1),
                width: right.saturating_sub(x).max(1),
                height: bottom.saturating_sub(y).max(1),
            }
        };
        let picture = Picture::Frame(frame);
        let views: Vec<View<'_>> =
            areas.into_iter().map(|rect| View { picture, area: pixels(rect) }).collect();
        let looks = self.reader.look(&views, sighting.frame.captured)?;
        let faces = looks.into_iter().flatten().collect();
        let told = (sighting.frame.width(), sighting.frame.height());
        Ok(self.visitors.take_in(sighting, faces, &self.gallery, |look| portrait(picture, look, told)))
    }

    /// A stranger who was never here before gets a number, and the best picture is printed.
    fn news(&mut self, insight: Insight, photographer: &Photographer) -> VisitorNews {
        let Insight { camera, track, change, recognition, mut person, mistaken, portrait, first_seen, at } =
            insight;
        if let Some(Err(error)) = mistaken.map(|stranger| self.register.forget(stranger)) {
            say_not_kept(&error);
        }
        let shot = photographer.print(&portrait);
        let again = change == VisitorChange::Stranger && person.is_some();
        let outcome = match (&person, change, &shot, &portrait.look.embedding) {
            (Some(person), _, _, _) => self.register.seen(person.id, at.utc),
            (None, VisitorChange::Stranger, Some(shot), Ok(embedding)) => {
                let face = EnrolledFace {
                    source: format!("camera:{}", camera.slug),
                    picture: Arc::clone(&shot.jpeg),
                    face: KnownFace {
                        embedding: embedding.clone(),
                        eye_distance: portrait.look.quality.eye_distance,
                    },
                    sharpness: portrait.look.quality.sharpness,
                    embedder: self.reader.embedder().to_owned(),
                };
                self.register.remember(face, at.utc).map(|stranger| {
                    self.visitors.is_called(track, Arc::clone(&stranger));
                    person = Some(stranger);
                })
            }
            (None, _, _, _) => Ok(()),
        };
        if let Err(error) = outcome {
            say_not_kept(&error);
        }
        VisitorNews {
            face: (portrait.look.face.score, portrait.corners),
            camera,
            track,
            change,
            recognition,
            person,
            again,
            shot,
            first_seen,
            at,
        }
    }
}

fn say_not_kept(error: &StoreError) {
    tracing::warn!(%error, "a visitor is not remembered");
}
