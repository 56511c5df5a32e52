//! All tracks of one camera.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::associate::{Candidate, associate};
use super::object::{Object, in_motion};
use super::visit::Places;
use crate::config;
use crate::model::{
    Camera, Captured, Detection, DwellMark, Examination, Focus, Label, Rect, Shot, TrackChange, TrackId,
    TrackUpdate,
};

/// Frames at the start that are looked at as a whole, so that what is there already is known to be at rest.
const FIRST_LOOKS: u32 = 6;
/// At most this many lost resting objects are remembered.
const MOST_REMEMBERED: usize = 32;
/// A remembered object is the same if it is found again with this overlap.
const SAME_PLACE: f32 = 0.4;
/// A new thing that lies in a known one of its kind by this much is that thing, seen in parts.
const INSIDE_KNOWN: f32 = 0.7;

/// Follows the objects of one camera.
#[derive(Debug)]
pub struct Tracker {
    camera: Arc<Camera>,
    settings: config::Track,
    events: config::Events,
    places: Places,
    marks: Vec<DwellMark>,
    min_score: f32,
    objects: Vec<Object>,
    /// Lost at rest, oldest first.
    remembered: VecDeque<Object>,
    looks: u32,
    /// When the whole frame was last looked at.
    last_whole: Option<Instant>,
}

impl Tracker {
    /// `min_score` is the score from which a detection may start a track; fainter ones only keep one alive.
    #[must_use]
    pub fn new(
        camera: Arc<Camera>,
        places: Places,
        settings: config::Track,
        events: config::Events,
        min_score: f32,
    ) -> Self {
        Self {
            camera,
            settings,
            events,
            places,
            marks: Vec::new(),
            min_score,
            objects: Vec::new(),
            remembered: VecDeque::new(),
            looks: 0,
            last_whole: None,
        }
    }

    /// From now on these lengths of stay are news, as far as they are about this camera.
    pub fn set_dwell_marks(&mut self, marks: &[DwellMark]) {
        let here = |mark: &&DwellMark| mark.cameras.is_empty() || mark.cameras.contains(&self.camera.slug);
        self.marks = marks.iter().filter(here).cloned().collect();
    }

    /// What must be looked at in a frame taken at `at`.
    #[must_use]
    pub fn focus(&self, at: Instant) -> Focus {
        let moving = self.objects.iter().filter(|object| self.is_sought(object, at));
        let since = |last: Instant| at.saturating_duration_since(last);
        let recheck = |last| since(last) >= self.settings.stationary_recheck;
        let resting = self.objects.iter().any(|object| object.stationary);
        let whole = self.looks < FIRST_LOOKS || (resting && self.last_whole.is_none_or(recheck));
        let rects = moving.map(|object| object.expected(at).clamped()).collect();
        Focus { rects, whole, turn: self.looks }
    }

    /// Whether every frame from `at` on is needed: the scene is not known yet, or something in sight does not rest. What is out of
    /// sight is not looked for; it moves when it comes back.
    #[must_use]
    pub fn follows(&self, at: Instant) -> bool {
        self.looks < FIRST_LOOKS || self.objects.iter().any(|object| self.is_sought(object, at))
    }

    fn is_sought(&self, object: &Object, at: Instant) -> bool {
        !object.stationary && !object.is_hidden(&self.settings, at)
    }

    /// Takes in what was found in a frame, and says which objects are worth telling about.
    pub fn update(&mut self, examination: &Examination) -> Vec<TrackUpdate<Shot>> {
        let captured = examination.frame.captured;
        if !examination.examined.is_empty() {
            self.looks = self.looks.saturating_add(1);
            if examination.examined.contains(&Rect::FULL) {
                self.last_whole = Some(captured.at);
            }
            self.follow(examination);
            tracing::trace!(
                camera = %self.camera.slug,
                frame = examination.frame.number,
                detections = ?examination.detections.iter().map(brief).collect::<Vec<_>>(),
                objects = ?self.objects,
                "examined"
            );
        }
        self.bury(captured).into_iter().chain(self.tell(captured)).collect()
    }

    /// The people that were found in the frame taken at `at`, and where.
    #[must_use]
    pub fn people(&self, at: Instant) -> Vec<(TrackId, Rect)> {
        let somebody = self.objects.iter().filter(|object| object.is_somebody(&self.settings, at));
        somebody.map(|object| (object.id, object.rect.clamped())).collect()
    }

    /// Ends everything: the camera is gone or the agent stops.
    pub fn finish(&mut self, at: Captured) -> Vec<TrackUpdate<Shot>> {
        self.remembered.clear();
        let told: Vec<Object> = self.objects.drain(..).filter(Object::is_told).collect();
        told.into_iter().filter_map(|object| self.ended(object, at)).collect()
    }

    fn follow(&mut self, examination: &Examination) {
        let at = examination.frame.captured.at;
        let is = |detection: &&Detection, strong: bool| {
            detection.label.is_some() && (detection.score >= self.min_score) == strong
        };
        let all = || examination.detections.iter();
        let strong: Vec<&Detection> = all().filter(|detection| is(detection, true)).collect();
        let faint: Vec<&Detection> = all().filter(|detection| is(detection, false)).collect();
        let unnamed: Vec<&Detection> = all().filter(|detection| detection.label.is_none()).collect();
        let (hidden, mut visible): (Vec<usize>, Vec<usize>) =
            (0..self.objects.len()).partition(|&index| self.objects[index].is_hidden(&self.settings, at));

        // What is in sight comes first; what was out of sight may only be what nothing else explains.
        let mut left = self.pair(&mut visible, strong, examination);
        let mut weak = self.pair(&mut visible, faint, examination);
        weak.extend(self.pair(&mut visible, unnamed, examination));
        let mut missing = hidden;
        left = self.pair(&mut missing, left, examination);
        // What is not believed may still be the beginning of something, if it moves.
        left.extend(weak.into_iter().filter(|detection| in_motion(&detection.rect, examination)));
        missing.extend(visible);
        for index in missing {
            let expected = self.objects[index].expected(at).clamped();
            let looked = examination.examined.iter().any(|area| area.contains(expected.center()));
            if looked && !self.is_covered(index, &expected) {
                self.objects[index].missed();
            }
        }
        for detection in left {
            self.welcome(detection, examination);
        }
    }

    /// Pairs objects with detections; takes the paired ones out of `objects` and returns the detections that are left.
    fn pair<'d>(
        &mut self,
        objects: &mut Vec<usize>,
        detections: Vec<&'d Detection>,
        examination: &Examination,
    ) -> Vec<&'d Detection> {
        let at = examination.frame.captured.at;
        let tracks: Vec<Candidate> = objects.iter().map(|&index| self.candidate(index, at)).collect();
        let candidates: Vec<Candidate> = detections.iter().map(|detection| thing(detection)).collect();
        let pairs = associate(&tracks, &candidates);
        for &(track, detection) in &pairs {
            self.objects[objects[track]].found(
                detections[detection],
                examination,
                &self.settings,
                &self.places,
            );
        }
        let paired_objects: Vec<usize> = pairs.iter().map(|&(track, _)| objects[track]).collect();
        objects.retain(|index| !paired_objects.contains(index));
        let unpaired = |index: &usize| !pairs.iter().any(|(_, detection)| detection == index);
        (0..detections.len()).filter(unpaired).map(|index| detections[index]).collect()
    }

    fn candidate(&self, index: usize, at: Instant) -> Candidate {
        let object = &self.objects[index];
        Candidate { rect: object.expected(at), label: object.label(), reach: object.reach() }
    }

    /// A resting object behind another one is not gone.
    fn is_covered(&self, index: usize, place: &Rect) -> bool {
        self.objects[index].stationary
            && self.objects.iter().enumerate().any(|(other, object)| {
                other != index && !object.stationary && place.share_inside(&object.rect) > 0.3
            })
    }

    /// A detection that no track explains: something known that was lost, a part of something known, or something new.
    fn welcome(&mut self, detection: &Detection, examination: &Examination) {
        let thing = thing(detection);
        let believed = detection.label.is_some() && detection.score >= self.min_score;
        // What is not believed begins something only where there is nothing yet: next to somebody it is a shadow or a bag.
        let at = examination.frame.captured.at;
        let part_of_known = self.objects.iter().any(|object| match believed {
            true => {
                object.last_seen.at == at
                    && object.label() == thing.label
                    && thing.rect.share_inside(&object.rect) > INSIDE_KNOWN
                    && thing.rect.area() < 0.8 * object.rect.area()
            }
            false => thing.rect.intersection(&object.expected(at).grown(0.2)).area() > 0.0,
        });
        let ridden = matches!(&*detection.class, "bicycle" | "motorcycle")
            && self.objects.iter().any(|object| {
                object.label() == Some(Label::Person)
                    && !object.stationary
                    && thing.rect.share_inside(&object.expected(examination.frame.captured.at).grown(0.2))
                        > 0.25
            });
        if part_of_known || ridden {
            return;
        }
        let again = self
            .remembered
            .iter()
            .position(|object| object.label() == thing.label && object.rect.iou(&thing.rect) > SAME_PLACE);
        let object = match again.and_then(|index| self.remembered.remove(index)) {
            Some(mut known) => {
                known.found(detection, examination, &self.settings, &self.places);
                known
            }
            None => Object::new(detection, examination),
        };
        self.objects.push(object);
    }

    /// Removes what is gone. What was lost at rest is remembered, without a word: it may be found again.
    fn bury(&mut self, captured: Captured) -> Vec<TrackUpdate<Shot>> {
        let at = captured.at;
        let (gone, here): (Vec<Object>, Vec<Object>) =
            self.objects.drain(..).partition(|object| object.is_gone(&self.settings, at));
        self.objects = here;
        let mut updates = Vec::new();
        for object in gone {
            if object.stationary && object.is_born(&self.settings) {
                self.remembered.push_back(object);
            } else if object.is_told() {
                updates.extend(self.ended(object, captured));
            }
        }
        let remember: Duration = self.settings.remember;
        while self.remembered.front().is_some_and(|oldest| {
            self.remembered.len() > MOST_REMEMBERED
                || at.saturating_duration_since(oldest.last_seen.at) > remember
        }) {
            let forgotten = self.remembered.pop_front().filter(Object::is_told);
            updates.extend(forgotten.and_then(|object| self.ended(object, captured)));
        }
        updates
    }

    fn tell(&mut self, captured: Captured) -> Vec<TrackUpdate<Shot>> {
        let mut updates = Vec::new();
        for object in &mut self.objects {
            let Some(label) = object.label() else { continue };
            let wanted = self.events.labels.contains(&label) && object.is_believed(self.min_score);
            let new = !object.is_told() && object.moved && object.is_born(&self.settings);
            let change =
                match (wanted && new, object.has_news(self.events.update_interval, &self.marks, captured.at))
                {
                    (true, _) => TrackChange::Started,
                    (false, true) => TrackChange::Improved,
                    (false, false) => continue,
                };
            let shot = object.tell(label, captured.at);
            let track = object.snapshot(label);
            updates.push(TrackUpdate { camera: Arc::clone(&self.camera), change, track, shot, at: captured });
        }
        updates
    }

    /// The last word about an object that was told about (and so has a label).
    fn ended(&self, mut object: Object, at: Captured) -> Option<TrackUpdate<Shot>> {
        let label = object.label()?;
        let (camera, shot) = (Arc::clone(&self.camera), object.tell(label, at.at));
        let track = object.snapshot(label);
        Some(TrackUpdate { camera, change: TrackChange::Ended, track, shot, at })
    }
}

fn thing(detection: &Detection) -> Candidate {
    Candidate { rect: detection.rect, label: detection.label, reach: 0.0 }
}

/// For the trace: `car 0.45 [0.37 0.67 0.62 1.00]`.
fn brief(detection: &Detection) -> String {
    let Rect { x1, y1, x2, y2 } = detection.rect;
    format!("{} {:.2} [{x1:.2} {y1:.2} {x2:.2} {y2:.2}]", detection.class, detection.score)
}
