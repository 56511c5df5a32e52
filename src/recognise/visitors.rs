//! Whom to look at, and which face is whose. Pure: frames' boxes and looks in, news out; the networks are asked elsewhere.
//!
//! A visitor is a tracked person, or, at cameras that look for faces always (door bells), a face alone. Looking is budgeted: until
//! the verdict stands each frame counts, afterwards a look now and then is enough.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::gallery::Gallery;
use super::verdict::{Looks, Verdict};
use crate::config::FaceMode;
use crate::model::{
    Camera, CameraSlug, Captured, FaceFlaw, FaceLook, Person, PersonId, Recognition, Rect, Sighting, TrackId,
    VisitorChange,
};
use crate::pixels::RgbImage;

/// Looks before a visitor without a verdict is looked at less often: six seconds at five frames a second ...
const EAGER_LOOKS: u32 = 30;
/// ... which is then this often, ...
const PATIENT: Duration = Duration::from_secs(1);
/// ... as often as somebody whose verdict stands is looked at.
const SETTLED: Duration = Duration::from_secs(5);
/// People in one frame whose faces are looked for at most; the others' turn comes in the next. Each costs 15 to 40 ms.
const MOST_AREAS: usize = 3;
/// Somebody narrower than this many times the least distance between the eyes has no usable face: heads are 2.4 times as wide.
const NARROW: f32 = 2.4;
/// Where a camera always looks for faces: the whole picture this often while something moves. Faces alone are followed by it.
const WHOLE: Duration = Duration::from_millis(190);
/// A face alone that is not seen for this long has gone.
const FACE_GONE: Duration = Duration::from_secs(3);
/// A visitor whose track says nothing more (it was never told about) is forgotten after this.
const FORGOTTEN: Duration = Duration::from_secs(30);
/// A better picture of a face is one whose quality is this many times the last.
const BETTER: f32 = 1.15;
/// Two boxes are of the same face from this overlap on.
const SAME_FACE: f32 = 0.35;

/// Everybody in front of the cameras.
#[derive(Debug, Default)]
pub struct Visitors {
    modes: HashMap<CameraSlug, FaceMode>,
    /// Pixels, below which no face is usable.
    min_eye_distance: f32,
    visitors: Vec<Visitor>,
    /// When the whole picture was looked at last.
    whole: HashMap<CameraSlug, Instant>,
}

/// One of them.
#[derive(Debug)]
struct Visitor {
    camera: Arc<Camera>,
    track: TrackId,
    /// No person is tracked there.
    alone: bool,
    looks: Looks,
    looked: u32,
    due: Instant,
    /// Where the face was.
    rect: Option<Rect>,
    first_seen: Captured,
    last_seen: Captured,
    best: Option<Portrait>,
    /// What was said last, if anything.
    told: Option<VisitorChange>,
    stranger: Option<Arc<Person>>,
}

/// The best picture of a face.
#[derive(Debug, Clone)]
pub struct Portrait {
    /// The face and a little around it.
    pub image: RgbImage,
    /// Where the face is in it.
    pub rect: Rect,
    /// The look.
    pub look: FaceLook,
    /// Where the face is in the camera's picture, px.
    pub corners: [f32; 4],
}

/// Something to tell.
#[derive(Debug)]
pub struct Insight {
    /// Whose camera.
    pub camera: Arc<Camera>,
    /// Who.
    pub track: TrackId,
    /// What happened.
    pub change: VisitorChange,
    /// Who it is.
    pub recognition: Recognition,
    /// The enrolled person, or the stranger who has been here before.
    pub person: Option<Arc<Person>>,
    /// The stranger it was taken for in this visit, who does not exist.
    pub mistaken: Option<PersonId>,
    /// The best picture.
    pub portrait: Portrait,
    /// When the visitor was first seen.
    pub first_seen: Captured,
    /// When this was found out.
    pub at: Captured,
}

impl Visitors {
    /// From now on these cameras are watched, in these ways.
    pub fn watch(&mut self, modes: HashMap<CameraSlug, FaceMode>, min_eye_distance: f32) {
        self.modes = modes;
        self.min_eye_distance = min_eye_distance;
        self.whole.clear();
    }

    /// Which areas of a frame are worth a look, in a picture that is `width` pixels wide. None when nobody is there, or all verdicts
    /// stand.
    pub fn plan(&mut self, sighting: &Sighting, width: usize) -> Vec<Rect> {
        let (camera, captured) = (&sighting.frame.camera, sighting.frame.captured);
        let mode = self.modes.get(&camera.slug).copied().unwrap_or(FaceMode::Off);
        let mut areas = Vec::new();
        if mode == FaceMode::Off {
            return areas;
        }
        let narrow = NARROW * self.min_eye_distance / width as f32;
        let mut due = Vec::new();
        for (track, rect) in &sighting.people {
            let visitor = self.visitor_of(*track, rect, camera, captured);
            visitor.last_seen = captured;
            if rect.width() < narrow {
                visitor.looks.reject(FaceFlaw::TooSmall);
            } else if captured.at >= visitor.due {
                due.push((visitor.due, visitor.looked, *track, upper_body(rect)));
            }
        }
        // Who has waited longest comes first; of those who came together, who was looked at less.
        due.sort_by_key(|(since, looked, ..)| (*since, *looked));
        for (_, _, track, area) in due.into_iter().take(MOST_AREAS) {
            if let Some(visitor) = self.visitors.iter_mut().find(|visitor| visitor.track == track) {
                visitor.looked_at(captured.at);
            }
            areas.push(area);
        }
        if mode == FaceMode::Always && sighting.moving {
            let of_camera = || self.visitors.iter().filter(|visitor| visitor.camera.slug == camera.slug);
            let settled =
                of_camera().count() > 0 && of_camera().all(|visitor| visitor.looks.verdict().stands());
            let pause = if settled { PATIENT } else { WHOLE };
            let last = self.whole.get(&camera.slug);
            if last.is_none_or(|last| captured.at.saturating_duration_since(*last) >= pause) {
                self.whole.insert(camera.slug.clone(), captured.at);
                areas.push(Rect::FULL);
            }
        }
        areas
    }

    /// Takes in the faces that were found in the planned areas. `portrait` cuts a face out of the frame.
    pub fn take_in(
        &mut self,
        sighting: &Sighting,
        faces: Vec<FaceLook>,
        gallery: &Gallery,
        portrait: impl Fn(&FaceLook) -> Portrait,
    ) -> Vec<Insight> {
        let (camera, captured) = (&sighting.frame.camera, sighting.frame.captured);
        for face in once_each(faces) {
            let Some(index) = self.whose(&face, sighting) else { continue };
            let visitor = &mut self.visitors[index];
            visitor.last_seen = captured;
            visitor.rect = Some(face.face.rect);
            visitor.looks.add(&face);
            let best = visitor.best.as_ref().map_or(0.0, |best| best.look.quality.weight * BETTER);
            if face.embedding.is_ok() && face.quality.weight > best {
                visitor.best = Some(portrait(&face));
            }
        }
        self.tick_of(Some(&camera.slug), captured, gallery)
    }

    /// Whether there is somebody whom [`Self::tick`] may have news of.
    #[must_use]
    pub fn are_there(&self) -> bool {
        !self.visitors.is_empty()
    }

    /// What became known by waiting; forgets who has gone.
    pub fn tick(&mut self, now: Captured, gallery: &Gallery) -> Vec<Insight> {
        self.tick_of(None, now, gallery)
    }

    fn tick_of(&mut self, camera: Option<&CameraSlug>, now: Captured, gallery: &Gallery) -> Vec<Insight> {
        let mut insights = Vec::new();
        for visitor in &mut self.visitors {
            if camera.is_none_or(|slug| visitor.camera.slug == *slug) {
                let gone =
                    visitor.alone && now.at.saturating_duration_since(visitor.last_seen.at) >= FACE_GONE;
                insights.extend(visitor.news(gallery, now, gone));
            }
        }
        self.visitors.retain(|visitor| {
            let patience = if visitor.alone { FACE_GONE } else { FORGOTTEN };
            now.at.saturating_duration_since(visitor.last_seen.at) < patience
        });
        insights
    }

    /// A track has ended: the last word about its visitor, who is forgotten.
    pub fn end(
        &mut self,
        track: TrackId,
        at: Captured,
        gallery: &Gallery,
    ) -> (Vec<Insight>, Option<Recognition>) {
        let Some(index) = self.visitors.iter().position(|visitor| visitor.track == track) else {
            return (Vec::new(), None);
        };
        let mut visitor = self.visitors.swap_remove(index);
        let insights = visitor.news(gallery, at, true);
        (insights, Some(visitor.looks.verdict().recognition()))
    }

    /// Everybody goes.
    pub fn finish(&mut self, at: Captured, gallery: &Gallery) -> Vec<Insight> {
        self.visitors.drain(..).flat_map(|mut visitor| visitor.news(gallery, at, true)).collect()
    }

    /// Who a tracked object is; `None` when nobody has looked.
    #[must_use]
    pub fn recognition(&self, track: TrackId) -> Option<Recognition> {
        let visitor = self.visitors.iter().find(|visitor| visitor.track == track)?;
        Some(visitor.looks.verdict().recognition())
    }

    /// A stranger has a number now.
    pub fn is_called(&mut self, track: TrackId, person: Arc<Person>) {
        if let Some(visitor) = self.visitors.iter_mut().find(|visitor| visitor.track == track) {
            visitor.stranger = Some(person);
        }
    }

    /// The visitor of a person; who was a face alone until now is that visitor.
    fn visitor_of(
        &mut self,
        track: TrackId,
        rect: &Rect,
        camera: &Arc<Camera>,
        captured: Captured,
    ) -> &mut Visitor {
        let known = self.visitors.iter().position(|visitor| visitor.track == track);
        let known = known.or_else(|| {
            let body = upper_body(rect);
            let alone = self.visitors.iter().position(|visitor| {
                let inside = visitor.rect.is_some_and(|face| body.contains(face.center()));
                visitor.alone && visitor.camera.slug == camera.slug && inside
            })?;
            let visitor = &mut self.visitors[alone];
            (visitor.track, visitor.alone) = (track, false);
            Some(alone)
        });
        let index = known.unwrap_or_else(|| {
            self.visitors.push(Visitor::new(track, camera, captured, false));
            self.visitors.len() - 1
        });
        &mut self.visitors[index]
    }

    /// The visitor whose face it is: of the person in whose upper half it lies, else of a face that was there before, else a new
    /// one, if the camera cares for faces alone.
    fn whose(&mut self, face: &FaceLook, sighting: &Sighting) -> Option<usize> {
        let (camera, captured) = (&sighting.frame.camera, sighting.frame.captured);
        let center = face.face.rect.center();
        // Of two people one behind the other it is the one whose head is where the face is.
        let head = |rect: &Rect| ((rect.x1 + rect.x2) / 2.0, rect.y1 + 0.15 * rect.height());
        let distance = |rect: &Rect| {
            let (x, y) = head(rect);
            (center.0 - x).hypot(center.1 - y)
        };
        let people = sighting.people.iter().filter(|(_, rect)| upper_body(rect).contains(center));
        let nearest = people.min_by(|(_, a), (_, b)| distance(a).total_cmp(&distance(b)));
        let alone = self.visitors.iter().position(|visitor| {
            visitor.alone && visitor.camera.slug == camera.slug && visitor.is_near(&face.face.rect)
        });
        if let Some((track, _)) = nearest {
            return self.visitors.iter().position(|visitor| visitor.track == *track);
        }
        if alone.is_some() || self.modes.get(&camera.slug) != Some(&FaceMode::Always) {
            return alone;
        }
        self.visitors.push(Visitor::new(TrackId::new(captured.utc), camera, captured, true));
        Some(self.visitors.len() - 1)
    }
}

impl Visitor {
    fn new(track: TrackId, camera: &Arc<Camera>, captured: Captured, alone: bool) -> Self {
        Self {
            camera: Arc::clone(camera),
            track,
            alone,
            looks: Looks::default(),
            looked: 0,
            due: captured.at,
            rect: None,
            first_seen: captured,
            last_seen: captured,
            best: None,
            told: None,
            stranger: None,
        }
    }

    /// Says when the next look is due.
    fn looked_at(&mut self, at: Instant) {
        self.looked = self.looked.saturating_add(1);
        let pause = match self.looks.verdict() {
            Verdict::Known { .. } | Verdict::Stranger { .. } => SETTLED,
            Verdict::Undecided(_) if self.looked > EAGER_LOOKS => PATIENT,
            Verdict::Undecided(_) => Duration::ZERO,
        };
        self.due = at + pause;
    }

    fn is_near(&self, rect: &Rect) -> bool {
        self.rect.is_some_and(|before| before.iou(rect) > 0.1 || before.grown(0.5).contains(rect.center()))
    }

    /// What is new since something was told last.
    fn news(&mut self, gallery: &Gallery, at: Captured, over: bool) -> Vec<Insight> {
        let Some(portrait) = self.best.clone() else {
            // No usable face: nothing to tell, but the doubt has its reason.
            self.looks.judge(gallery, at.at);
            return Vec::new();
        };
        let verdict = match over {
            true => self.looks.conclude(gallery),
            false => self.looks.judge(gallery, at.at),
        };
        let (change, person) = match verdict {
            Verdict::Known { person, .. } => (VisitorChange::Recognized, Some(Arc::clone(person))),
            Verdict::Stranger { .. } => (VisitorChange::Stranger, None),
            Verdict::Undecided(_) => (VisitorChange::Face, None),
        };
        let recognition = verdict.recognition();
        let person = person.or_else(|| {
            let again = || gallery.stranger(&self.looks.mean()?).map(|(person, _)| person);
            (change == VisitorChange::Stranger).then(|| self.stranger.clone().or_else(again)).flatten()
        });
        let mut changes = Vec::new();
        if self.told.is_none() {
            changes.push(VisitorChange::Face);
        }
        if change != VisitorChange::Face && self.told != Some(change) {
            changes.push(change);
        }
        if let Some(last) = changes.last() {
            self.told = Some(*last);
        }
        let recognized = changes.contains(&VisitorChange::Recognized);
        let mistaken = self.stranger.take_if(|_| recognized).map(|stranger| stranger.id);
        let insight = |change| Insight {
            camera: Arc::clone(&self.camera),
            track: self.track,
            change,
            recognition: recognition.clone(),
            person: person.clone().filter(|_| change != VisitorChange::Face),
            mistaken: mistaken.filter(|_| change == VisitorChange::Recognized),
            portrait: portrait.clone(),
            first_seen: self.first_seen,
            at,
        };
        changes.into_iter().map(insight).collect()
    }
}

/// Where a person's face is looked for: the upper half and some room around the head. Of somebody so close that the picture cuts the
/// legs off, more.
fn upper_body(person: &Rect) -> Rect {
    let share = if person.y2 > 0.97 { 0.85 } else { 0.5 };
    let (dx, dy) = (0.15 * person.width(), 0.1 * person.height());
    Rect::new(person.x1 - dx, person.y1 - dy, person.x2 + dx, person.y1 + share * person.height()).clamped()
}

/// A face in two areas is one face; the better look at it counts.
fn once_each(mut faces: Vec<FaceLook>) -> Vec<FaceLook> {
    let worth = |look: &FaceLook| look.quality.weight + f32::from(u8::from(look.embedding.is_ok()));
    faces.sort_by(|a, b| worth(b).total_cmp(&worth(a)));
    let mut kept: Vec<FaceLook> = Vec::new();
    for face in faces {
        if kept.iter().all(|other| other.face.rect.iou(&face.face.rect) < SAME_FACE) {
            kept.push(face);
        }
    }
    kept
}

#[cfg(test)]
#[path = "visitors_tests.rs"]
mod tests;
