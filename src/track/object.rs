//! One track: where it is, where it is going, whether it rests, and its best picture.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::displacement::displacement;
use super::visit::{Places, Visit};
use crate::config;
use crate::model::{
    Captured, Detection, Dwell, DwellMark, Examination, Label, Rect, Shot, TrackId, TrackSnapshot,
};

/// An object has moved when it is this far (in its own size) from where it was born ...
const MOVED: f32 = 0.5;
/// ... in this many detections in a row.
const MOVED_HITS: u32 = 2;
/// The scores of its label add up to at least this before an object has a name: three believable looks, or two good ones among
/// others in which the model had no word for it.
const EVIDENCE: f32 = 1.0;
/// An object that rests may tremble by this much.
const REST: f32 = 0.2;
/// Weight of the newest detection in the position.
const FRESH: f32 = 0.6;
/// A resting object is gone after it was looked for in vain this often, over at least [`GONE_AFTER`]: small models lose a
/// parked car for seconds, whenever somebody walks before it.
const VAIN_LOOKS: u32 = 8;
/// See [`VAIN_LOOKS`].
const GONE_AFTER: Duration = Duration::from_secs(20);
/// A picture is clearly better when its quality is this many times the one that was sent.
const CLEARLY_BETTER: f32 = 1.3;

/// A tracked thing.
pub(super) struct Object {
    pub(super) id: TrackId,
    /// Sum of scores by home class: the model's opinion over the whole life.
    votes: BTreeMap<(Label, Arc<str>), f32>,
    pub(super) rect: Rect,
    /// Per second.
    velocity: (f32, f32),
    /// Where it was born: the mean of its first boxes.
    birth: Rect,
    pub(super) hits: u32,
    first_seen: Captured,
    pub(super) last_seen: Captured,
    /// Looked for and not found since `last_seen`.
    vain_looks: u32,
    /// Detections in a row away from the place of birth.
    away: u32,
    /// Detections with motion in the box.
    with_motion: u32,
    pub(super) moved: bool,
    rest_place: Rect,
    rest_since: Instant,
    pub(super) stationary: bool,
    top_score: f32,
    visit: Visit,
    best: Option<(f32, Shot)>,
    sent_quality: f32,
    sent_score: f32,
    sent_at: Option<Instant>,
    sent_dwell: Dwell,
    told_as: Option<Label>,
}

impl Object {
    pub(super) fn new(detection: &Detection, examination: &Examination) -> Self {
        let captured = examination.frame.captured;
        let mut object = Self {
            id: TrackId::new(captured.utc),
            votes: BTreeMap::new(),
            rect: detection.rect,
            velocity: (0.0, 0.0),
            birth: detection.rect,
            hits: 0,
            first_seen: captured,
            last_seen: captured,
            vain_looks: 0,
            away: 0,
            with_motion: 0,
            moved: false,
            rest_place: detection.rect,
            rest_since: captured.at,
            stationary: false,
            top_score: 0.0,
            visit: Visit::default(),
            best: None,
            sent_quality: 0.0,
            sent_score: 0.0,
            sent_at: None,
            sent_dwell: Dwell::default(),
            told_as: None,
        };
        object.count(detection, examination);
        object
    }

    /// Where it should be at `at`. A guess is trusted for a second; then the thing is as likely to have stopped.
    pub(super) fn expected(&self, at: Instant) -> Rect {
        if self.stationary {
            return self.rect;
        }
        let elapsed = at.saturating_duration_since(self.last_seen.at).as_secs_f32().min(1.0);
        self.rect.shifted(self.velocity.0 * elapsed, self.velocity.1 * elapsed)
    }

    /// How far from there it may be, in its own size: young tracks have no known velocity.
    pub(super) fn reach(&self) -> f32 {
        match self.hits {
            _ if self.stationary => 0.5,
            1 => 1.6,
            2 => 1.3,
            _ => 1.0,
        }
    }

    /// It was found.
    pub(super) fn found(
        &mut self,
        detection: &Detection,
        examination: &Examination,
        settings: &config::Track,
        places: &Places,
    ) {
        let captured = examination.frame.captured;
        let at = captured.at;
        let since = at.saturating_duration_since(self.last_seen.at);
        let elapsed = since.as_secs_f32();
        let before = self.rect;
        let blend = |old: f32, new: f32| old + FRESH * (new - old);
        let expected = self.expected(at);
        self.rect = Rect::new(
            blend(expected.x1, detection.rect.x1),
            blend(expected.y1, detection.rect.y1),
            blend(expected.x2, detection.rect.x2),
            blend(expected.y2, detection.rect.y2),
        );
        if elapsed > 0.0 {
            let ((x0, y0), (x1, y1)) = (before.center(), self.rect.center());
            let measured = ((x1 - x0) / elapsed, (y1 - y0) / elapsed);
            let trust = if self.hits == 1 { 1.0 } else { 0.5 };
            self.velocity.0 += trust * (measured.0 - self.velocity.0);
            self.velocity.1 += trust * (measured.1 - self.velocity.1);
        }
        self.last_seen = captured;
        self.vain_looks = 0;
        self.count(detection, examination);
        self.judge_movement(settings, at);
        self.visit.went(places, (&before, &self.rect), since, captured.utc);
        self.offer(detection, examination);
    }

    fn count(&mut self, detection: &Detection, examination: &Examination) {
        self.hits += 1;
        if let Some(label) = detection.label {
            self.top_score = self.top_score.max(detection.score);
            *self.votes.entry((label, Arc::clone(&detection.class))).or_default() += detection.score;
        }
        self.with_motion += u32::from(in_motion(&detection.rect, examination));
    }

    fn judge_movement(&mut self, settings: &config::Track, at: Instant) {
        if self.hits <= settings.birth_hits {
            let share = 1.0 / self.hits as f32;
            let mean = |old: f32, new: f32| old + share * (new - old);
            let (birth, now) = (self.birth, self.rect);
            self.birth = Rect::new(
                mean(birth.x1, now.x1),
                mean(birth.y1, now.y1),
                mean(birth.x2, now.x2),
                mean(birth.y2, now.y2),
            );
        }
        self.away = if displacement(&self.birth, &self.rect) > MOVED { self.away + 1 } else { 0 };
        if self.away >= MOVED_HITS && self.with_motion >= MOVED_HITS {
            self.moved = true;
        }
        if displacement(&self.rest_place, &self.rect) > REST {
            self.rest_place = self.rect;
            self.rest_since = at;
            self.stationary = false;
        } else if at.saturating_duration_since(self.rest_since) >= settings.stationary_after {
            self.stationary = true;
            self.velocity = (0.0, 0.0);
        }
    }

    /// Keeps the frame if it shows the object best. What has not begun to move needs no picture, and would hold a whole frame
    /// in memory for each parked car.
    fn offer(&mut self, detection: &Detection, examination: &Examination) {
        let begun = self.moved || displacement(&self.birth, &self.rect) > MOVED / 2.0;
        let quality = quality(detection);
        let begun = begun && detection.label.is_some();
        if begun && self.best.as_ref().is_none_or(|(best, _)| quality > *best) && quality > self.sent_quality
        {
            let frame = Arc::clone(&examination.frame);
            self.best = Some((quality, Shot { frame, rect: detection.rect, score: detection.score }));
        }
    }

    /// It was looked for and not found.
    pub(super) fn missed(&mut self) {
        self.vain_looks += 1;
    }

    /// Whether it is to be given up at `at`.
    pub(super) fn is_gone(&self, settings: &config::Track, at: Instant) -> bool {
        let unseen = at.saturating_duration_since(self.last_seen.at);
        if !self.is_born(settings) {
            let old = at.saturating_duration_since(self.first_seen.at) > settings.birth_window;
            return self.vain_looks > 0 && unseen > settings.birth_window / 2
                || old && self.with_motion * 2 < self.hits;
        }
        if self.stationary {
            return self.vain_looks >= VAIN_LOOKS && unseen >= GONE_AFTER;
        }
        let patience =
            if leaves_picture(&self.expected(at)) { settings.lost_after } else { settings.hidden_for };
        self.vain_looks >= 2 && unseen >= settings.lost_after.max(patience)
    }

    /// Whether it is out of sight for longer than a missed detection or two.
    pub(super) fn is_hidden(&self, settings: &config::Track, at: Instant) -> bool {
        !self.stationary && at.saturating_duration_since(self.last_seen.at) > settings.lost_after / 2
    }

    /// Whether it has been found often enough to exist, and surely enough to have a name.
    pub(super) fn is_born(&self, settings: &config::Track) -> bool {
        self.hits >= settings.birth_hits && self.evidence() >= EVIDENCE
    }

    /// Whether it is somebody whose face is worth a look: a person that was seen just now and moves at least a little, so no poster.
    pub(super) fn is_somebody(&self, settings: &config::Track, at: Instant) -> bool {
        let alive = self.is_told() || (self.is_born(settings) && self.with_motion >= MOVED_HITS);
        alive && self.label() == Some(Label::Person) && self.last_seen.at == at
    }

    /// Whether one look at least was believable.
    pub(super) fn is_believed(&self, min_score: f32) -> bool {
        self.top_score >= min_score
    }

    /// What it was told to be, else the home label with the most votes, if there is any vote.
    pub(super) fn label(&self) -> Option<Label> {
        self.told_as.or_else(|| self.favourite())
    }

    fn favourite(&self) -> Option<Label> {
        self.labels().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(label, _)| label)
    }

    fn evidence(&self) -> f32 {
        self.labels().map(|(_, sum)| sum).fold(0.0, f32::max)
    }

    fn labels(&self) -> impl Iterator<Item = (Label, f32)> {
        let sum = |label| self.votes.iter().filter(|((l, _), _)| *l == label).map(|(_, sum)| sum).sum();
        Label::ALL.into_iter().map(move |label| (label, sum(label))).filter(|(_, sum)| *sum > 0.0)
    }

    /// Whether this object has become an event.
    pub(super) fn is_told(&self) -> bool {
        self.sent_at.is_some()
    }

    /// Whether there is something new to tell: a clearly better picture (not too often), a zone, a line, a length of stay.
    pub(super) fn has_news(&self, interval: Duration, marks: &[DwellMark], at: Instant) -> bool {
        let Some(sent_at) = self.sent_at else { return false };
        let due = at.saturating_duration_since(sent_at) >= interval;
        let dwell = self.dwell(at);
        let reached = |mark: &DwellMark| mark.is_reached(&dwell) && !mark.is_reached(&self.sent_dwell);
        self.visit.has_news() || marks.iter().any(reached) || (due && self.has_better_picture())
    }

    /// How long it has been where. What is not looked for, because nothing moves, is still there.
    fn dwell(&self, at: Instant) -> Dwell {
        let until = if self.vain_looks == 0 { at } else { self.last_seen.at };
        let since = until.saturating_duration_since(self.last_seen.at);
        self.visit.dwell(until.saturating_duration_since(self.first_seen.at), since)
    }

    fn has_better_picture(&self) -> bool {
        self.best.as_ref().is_some_and(|(quality, _)| *quality > self.sent_quality * CLEARLY_BETTER)
    }

    /// Marks the news as told and hands out the best picture, if it is clearly better than the last one or the first: each costs
    /// milliseconds to encode, and a file.
    pub(super) fn tell(&mut self, label: Label, at: Instant) -> Option<Shot> {
        self.told_as = Some(label);
        self.sent_at = Some(at);
        self.sent_dwell = self.dwell(at);
        self.visit.tell();
        if !self.has_better_picture() {
            return None;
        }
        let (quality, shot) = self.best.take()?;
        self.sent_quality = quality;
        self.sent_score = shot.score;
        Some(shot)
    }

    /// The class with the most votes within a label.
    fn class(&self, label: Label) -> Arc<str> {
        let of_label = self.votes.iter().filter(|((l, _), _)| *l == label);
        let top = of_label.max_by(|a, b| a.1.total_cmp(b.1));
        top.map_or_else(|| label.as_str().into(), |((_, class), _)| Arc::clone(class))
    }

    /// The object as others know it, as of the last [`Self::tell`]. `label` is [`Self::label`], which an object that is told about has.
    pub(super) fn snapshot(&self, label: Label) -> TrackSnapshot {
        TrackSnapshot {
            id: self.id,
            label,
            class: self.class(label),
            score: self.sent_score,
            top_score: self.top_score,
            rect: self.rect.clamped(),
            stationary: self.stationary,
            zones: self.visit.zones().clone(),
            dwell: self.sent_dwell.clone(),
            crossed: self.visit.crossed().to_vec(),
            first_seen: self.first_seen,
            last_seen: self.last_seen,
        }
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rect { x1, y1, x2, y2 } = self.rect;
        let id = self.id.to_string();
        let label = self.label().map_or("something", Label::as_str);
        write!(f, "{label} {} [{x1:.2} {y1:.2} {x2:.2} {y2:.2}]", &id[id.len() - 4..])?;
        write!(
            f,
            " hits {} motion {} away {} vain {}",
            self.hits, self.with_motion, self.away, self.vain_looks
        )?;
        let flags = [(self.moved, " moved"), (self.stationary, " at rest"), (self.is_told(), " told")];
        flags.iter().filter(|(set, _)| *set).try_for_each(|(_, flag)| f.write_str(flag))
    }
}

/// Whether a good part of the box moves.
pub(super) fn in_motion(rect: &Rect, examination: &Examination) -> bool {
    let touched = |moving: &Rect| {
        let common = moving.intersection(rect).area();
        common > 0.1 * rect.area() || common > 0.5 * moving.area()
    };
    examination.motion.boxes.iter().any(touched)
}

/// What goes out of sight here has left.
fn leaves_picture(rect: &Rect) -> bool {
    rect.x1 < 0.02 || rect.y1 < 0.02 || rect.x2 > 0.98 || rect.y2 > 0.98
}

/// Score times side length: sure and large. Cut off by the picture's edge counts less.
fn quality(detection: &Detection) -> f32 {
    let rect = detection.rect;
    let cut = rect.x1 <= 0.005 || rect.y1 <= 0.005 || rect.x2 >= 0.995 || rect.y2 >= 0.995;
    detection.score * rect.area().sqrt() * if cut { 0.6 } else { 1.0 }
}
