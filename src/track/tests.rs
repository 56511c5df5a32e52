//! Small scenes: who is told about, who is not.

use std::sync::Arc;

use super::*;
use crate::config::Config;
use crate::model::{
    Camera, CameraSlug, Captured, Detection, Direction, DwellMark, Examination, Frame, Line, MotionReport,
    Polygon, Rect, Shot, TrackChange, TrackUpdate, home_label,
};

const FRAME_MS: u64 = 200;

/// A camera at five frames a second.
struct Scene {
    tracker: Tracker,
    camera: Arc<Camera>,
    start: Captured,
    frame: u64,
    told: Vec<TrackUpdate<Shot>>,
}

impl Scene {
    fn new() -> Self {
        Self::with(Places::default())
    }

    fn with(places: Places) -> Self {
        let config = Config::parse("").expect("the defaults");
        let camera = Camera::for_tests("yard", "Yard");
        let tracker = Tracker::new(Arc::clone(&camera), places, config.track, config.events, 0.4);
        Self { tracker, camera, start: Captured::now(), frame: 0, told: Vec::new() }
    }

    /// One frame in which these things are found; what differs from the last frame moved.
    fn show(&mut self, things: &[(&str, f32, Rect)]) {
        self.step(Some(things), things.iter().map(|(_, _, rect)| *rect).collect());
    }

    /// A frame in which things are found although nothing moves.
    fn show_still(&mut self, things: &[(&str, f32, Rect)]) {
        self.step(Some(things), Vec::new());
    }

    fn step(&mut self, things: Option<&[(&str, f32, Rect)]>, moving: Vec<Rect>) {
        let captured = self.start.after(std::time::Duration::from_millis(FRAME_MS * self.frame));
        self.frame += 1;
        let planes = [vec![0; 4], vec![0], vec![0]];
        let frame =
            Frame::new(Arc::clone(&self.camera), self.frame, captured, (2, 2), planes).expect("planes fit");
        let detection = |&(class, score, rect): &(&str, f32, Rect)| Detection {
            rect,
            score,
            class_id: 0,
            class: class.into(),
            label: home_label(class),
        };
        let examination = Examination {
            frame: Arc::new(frame),
            motion: MotionReport { active: !moving.is_empty(), boxes: moving, ..MotionReport::default() },
            examined: if things.is_some() { vec![Rect::FULL] } else { Vec::new() },
            detections: things.unwrap_or_default().iter().map(detection).collect(),
        };
        self.told.extend(self.tracker.update(&examination));
    }

    fn changes(&self) -> Vec<(TrackChange, &str)> {
        self.told.iter().map(|update| (update.change, &*update.track.class)).collect()
    }

    fn count(&self, change: TrackChange) -> usize {
        self.told.iter().filter(|update| update.change == change).count()
    }
}

fn person(x: f32) -> Rect {
    Rect::new(x, 0.4, x + 0.05, 0.6)
}

const CAR: Rect = Rect::new(0.4, 0.4, 0.6, 0.55);

#[test]
fn somebody_who_walks_through_is_one_object_with_start_and_end() {
    let mut scene = Scene::new();
    for step in 0..30 {
        scene.show(&[("person", 0.8, person(0.1 + 0.02 * step as f32))]);
    }
    for _ in 0..40 {
        scene.show(&[]);
    }
    assert_eq!(scene.count(TrackChange::Started), 1);
    assert_eq!(scene.count(TrackChange::Ended), 1);
    let ids: std::collections::HashSet<_> = scene.told.iter().map(|update| update.track.id).collect();
    assert_eq!(ids.len(), 1);
    assert!(scene.told[0].shot.is_some(), "the first word comes with a picture");
}

#[test]
fn a_parked_car_is_never_told() {
    let mut scene = Scene::new();
    for step in 0..200 {
        let tremble = 0.01 * ((step % 3) as f32 - 1.0);
        scene.show_still(&[("car", 0.7, CAR.shifted(tremble, -tremble))]);
    }
    assert_eq!(scene.changes(), []);
}

#[test]
fn a_parked_car_behind_walkers_is_never_told() {
    let mut scene = Scene::new();
    for _ in 0..30 {
        scene.show_still(&[("car", 0.7, CAR)]);
    }
    // Somebody walks before it: the car's box loses its left part, then its right part, then is lost.
    for step in 0..20 {
        let x = 0.35 + 0.0125 * step as f32;
        let visible = match step {
            0..8 => Rect::new(0.46, 0.4, 0.6, 0.55),
            8..14 => Rect::new(0.4, 0.4, 0.53, 0.55),
            _ => CAR,
        };
        scene.show(&[("person", 0.8, person(x)), ("car", 0.5, visible)]);
    }
    assert!(scene.changes().iter().all(|(_, class)| *class == "person"), "{:?}", scene.changes());
}

#[test]
fn a_car_that_arrives_and_parks_alerts_once_however_often_it_is_lost() {
    let mut scene = Scene::new();
    for step in 0..20 {
        scene.show(&[("car", 0.7, CAR.shifted(-0.4 + 0.02 * step as f32, 0.0))]);
    }
    for _ in 0..5 {
        for _ in 0..40 {
            scene.show_still(&[("car", 0.7, CAR)]);
        }
        for _ in 0..150 {
            scene.show_still(&[]);
        }
    }
    assert_eq!(scene.count(TrackChange::Started), 1, "{:?}", scene.changes());
    assert_eq!(scene.count(TrackChange::Ended), 0, "{:?}", scene.changes());
}

#[test]
fn a_parked_car_that_leaves_is_told() {
    let mut scene = Scene::new();
    for _ in 0..50 {
        scene.show_still(&[("car", 0.7, CAR)]);
    }
    for step in 0..20 {
        scene.show(&[("car", 0.7, CAR.shifted(0.02 * step as f32, 0.0))]);
    }
    assert_eq!(scene.count(TrackChange::Started), 1);
}

#[test]
fn two_flickers_are_nothing() {
    let mut scene = Scene::new();
    scene.show(&[("person", 0.8, person(0.1))]);
    scene.show(&[("person", 0.8, person(0.14))]);
    for _ in 0..20 {
        scene.show(&[]);
    }
    assert_eq!(scene.changes(), []);
}

#[test]
fn misses_and_faint_boxes_do_not_split_an_object() {
    let mut scene = Scene::new();
    for step in 0..40 {
        let rect = person(0.1 + 0.015 * step as f32);
        match step % 7 {
            3 | 4 => scene.show(&[]),
            5 => scene.show(&[("person", 0.25, rect)]),
            _ => scene.show(&[("person", 0.7, rect)]),
        }
    }
    assert_eq!(scene.count(TrackChange::Started), 1, "{:?}", scene.changes());
    assert_eq!(scene.count(TrackChange::Ended), 0, "{:?}", scene.changes());
}

#[test]
fn somebody_who_passes_behind_a_post_stays_one() {
    let mut scene = Scene::new();
    for step in 0..40 {
        match step {
            15..35 => scene.show(&[]),
            _ => scene.show(&[("person", 0.8, person(0.2 + 0.01 * step.min(20) as f32))]),
        }
    }
    assert_eq!(scene.count(TrackChange::Started), 1, "{:?}", scene.changes());
    assert_eq!(scene.count(TrackChange::Ended), 0, "{:?}", scene.changes());
}

#[test]
fn a_car_that_the_model_takes_for_something_else_at_times_stays_one() {
    let mut scene = Scene::new();
    for step in 0..12 {
        let class = if !(2..=9).contains(&step) { "car" } else { "cell phone" };
        scene.show(&[(class, 0.5, Rect::new(0.2, 0.04 * step as f32, 0.35, 0.04 * step as f32 + 0.4))]);
    }
    assert_eq!(scene.changes(), [(TrackChange::Started, "car")]);
}

#[test]
fn the_class_is_what_was_seen_most() {
    let mut scene = Scene::new();
    for step in 0..20 {
        let class = if step % 4 == 0 { "truck" } else { "car" };
        scene.show(&[(class, 0.7, CAR.shifted(-0.4 + 0.02 * step as f32, 0.0))]);
    }
    assert_eq!(scene.changes()[0], (TrackChange::Started, "car"));
}

#[test]
fn two_people_who_meet_stay_two() {
    let mut scene = Scene::new();
    for step in 0..40 {
        let (left, right) =
            (person(0.2 + 0.01 * step as f32), person(0.6 - 0.01 * step as f32).shifted(0.0, 0.02));
        scene.show(&[("person", 0.8, left), ("person", 0.75, right)]);
    }
    assert_eq!(scene.count(TrackChange::Started), 2, "{:?}", scene.changes());
}

#[test]
fn nothing_is_looked_for_when_all_is_known_and_still() {
    let mut scene = Scene::new();
    for _ in 0..40 {
        scene.show_still(&[("car", 0.7, CAR)]);
    }
    let now = scene.start.after(std::time::Duration::from_millis(FRAME_MS * scene.frame)).at;
    let focus = scene.tracker.focus(now);
    assert!(focus.rects.is_empty() && !focus.whole, "{focus:?}");
    assert!(!scene.tracker.follows(now), "what rests is not followed");
    let later = now + std::time::Duration::from_secs(60);
    assert!(scene.tracker.focus(later).whole, "a resting object is looked for now and then");
}

#[test]
fn stopping_ends_what_was_told_and_nothing_else() {
    let mut scene = Scene::new();
    for step in 0..20 {
        scene.show(&[("person", 0.8, person(0.1 + 0.02 * step as f32)), ("car", 0.7, CAR)]);
    }
    let ended = scene.tracker.finish(Captured::now());
    let classes: Vec<&str> = ended.iter().map(|update| &*update.track.class).collect();
    assert_eq!(classes, ["person"]);
}

/// The zone is the right half of the picture; the gate stands at a quarter of its width, its right side in the west.
fn drawn() -> Places {
    let east = vec![(0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)];
    Places {
        zones: [("east".to_owned(), Polygon::new(east).expect("four corners"))].into(),
        lines: [("gate".to_owned(), Line::new((0.25, 0.0), (0.25, 1.0)).expect("two points"))].into(),
    }
}

#[test]
fn a_zone_entered_and_a_line_crossed_are_news() {
    let mut scene = Scene::with(drawn());
    for step in 0..50 {
        scene.show(&[("person", 0.8, person(0.02 + 0.012 * step as f32))]);
    }
    let news: Vec<_> = scene
        .told
        .iter()
        .map(|update| (update.track.crossed.len(), update.track.zones.entered.len()))
        .collect();
    assert_eq!(news, [(0, 0), (1, 0), (1, 1)], "the start, the gate, the zone");
    let crossing = &scene.told[1].track.crossed[0];
    assert_eq!(
        (crossing.line.as_str(), crossing.direction),
        ("gate", Direction::Out),
        "from west to east is to the left"
    );
    assert_eq!(crossing.at, scene.told[1].at.utc);
}

#[test]
fn a_length_of_stay_that_somebody_waits_for_is_news_once_even_when_nothing_moves() {
    let mark = |zones: &[&str], seconds| DwellMark {
        cameras: vec![],
        zones: zones.iter().map(ToString::to_string).collect(),
        after: std::time::Duration::from_secs(seconds),
    };
    let elsewhere = DwellMark { cameras: vec![CameraSlug::parse("porch").expect("a slug")], ..mark(&[], 7) };
    let mut scene = Scene::with(drawn());
    scene.tracker.set_dwell_marks(&[mark(&[], 10), mark(&["east"], 15), elsewhere]);
    for step in 0..25 {
        scene.show(&[("person", 0.8, person(0.3 + 0.012 * step as f32))]);
    }
    for _ in 0..25 {
        scene.show_still(&[("person", 0.8, person(0.6))]);
    }
    scene.told.clear();
    for _ in 0..100 {
        scene.step(None, Vec::new());
    }
    let stays: Vec<_> = scene.told.iter().map(|update| &update.track.dwell).collect();
    let [in_picture, in_zone] = stays[..] else { unreachable!("two marks, not {stays:?}") };
    assert_eq!(in_picture.picture, std::time::Duration::from_secs(10));
    assert_eq!(in_zone.zones["east"], std::time::Duration::from_secs(15));
}
