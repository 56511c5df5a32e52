//! From what the network found in several views to what is there: one box a thing. Pure.

use crate::model::{Detection, Label, Rect};

/// What was found in one part of a frame.
#[derive(Debug)]
pub(super) struct Found {
    /// The part, normalised.
    pub(super) area: Rect,
    /// In coordinates of the whole frame.
    pub(super) detections: Vec<Detection>,
}

/// Boxes of one home label that overlap more are the same thing, whatever class the model gave them: small models confuse car,
/// truck and bus, or cat and dog.
const SAME_THING: f32 = 0.55;
/// Two views often disagree on the size; a box that lies in another of its label by this share is a part of it ...
const PART_OF: f32 = 0.85;
/// ... if it is at most this much smaller. (A child before its mother is smaller, and another person.)
const PART_SIZE: f32 = 0.5;
/// A bicycle under a person by this share of its own area is being ridden (or pushed): it comes and goes with its rider.
const RIDDEN: f32 = 0.25;
/// Edges of a crop cut through things: boxes this near to one (in parts of the crop) are seen whole elsewhere, or not at all.
const CUT_EDGE: f32 = 0.01;

/// Puts the views of one frame together, clamps to the picture, and leaves out what home users would not call a thing of its
/// own. Boxes without a home label stay in where nothing else is: they say that *something* is there. Best first.
pub(super) fn merge(views: Vec<Found>) -> Vec<Detection> {
    let mut all: Vec<Detection> = Vec::new();
    for Found { area, detections } in views {
        let whole = |detection: &Detection| !cut_by(&detection.rect, &area);
        all.extend(detections.into_iter().filter(whole));
    }
    for detection in &mut all {
        detection.rect = detection.rect.clamped();
    }
    all.retain(|detection| detection.rect.area() > 0.0);
    // What has a home label comes before what has none, whatever the scores: seen from above, a car is a "cell phone" to the
    // model in one frame and a car in the next.
    all.sort_by(|a, b| b.label.is_some().cmp(&a.label.is_some()).then(b.score.total_cmp(&a.score)));
    let mut kept: Vec<Detection> = Vec::new();
    for candidate in all {
        if !kept.iter().any(|other| same_thing(other, &candidate)) {
            kept.push(candidate);
        }
    }
    let persons: Vec<Rect> = rects(&kept, Label::Person);
    let vehicles: Vec<Rect> = rects(&kept, Label::Vehicle);
    kept.retain(|detection| match detection.label {
        Some(Label::Vehicle) => !is_ridden(detection, &persons),
        Some(Label::Package) => !persons.iter().any(|p| detection.rect.share_inside(p) > RIDDEN),
        Some(Label::Person) => !vehicles.iter().any(|vehicle| sits_in(&detection.rect, vehicle)),
        Some(Label::Animal | Label::Face) | None => true,
    });
    kept
}

fn rects(detections: &[Detection], label: Label) -> Vec<Rect> {
    detections.iter().filter(|d| d.label == Some(label)).map(|d| d.rect).collect()
}

fn cut_by(rect: &Rect, area: &Rect) -> bool {
    let (dx, dy) = (area.width() * CUT_EDGE, area.height() * CUT_EDGE);
    (area.x1 > 0.0 && rect.x1 < area.x1 + dx)
        || (area.y1 > 0.0 && rect.y1 < area.y1 + dy)
        || (area.x2 < 1.0 && rect.x2 > area.x2 - dx)
        || (area.y2 < 1.0 && rect.y2 > area.y2 - dy)
}

fn same_thing(better: &Detection, other: &Detection) -> bool {
    (better.label == other.label || other.label.is_none())
        && (better.rect.iou(&other.rect) > SAME_THING
            || (other.rect.share_inside(&better.rect) > PART_OF
                && other.rect.area() > better.rect.area() * PART_SIZE)
            || (better.rect.share_inside(&other.rect) > PART_OF
                && better.rect.area() > other.rect.area() * PART_SIZE))
}

fn is_ridden(detection: &Detection, persons: &[Rect]) -> bool {
    matches!(&*detection.class, "bicycle" | "motorcycle")
        && persons.iter().any(|person| detection.rect.share_inside(person) > RIDDEN)
}

/// Driver and passengers: well inside a vehicle, and not standing before it.
fn sits_in(person: &Rect, vehicle: &Rect) -> bool {
    person.share_inside(vehicle) > 0.95
        && person.y2 < vehicle.y2 - 0.15 * vehicle.height()
        && person.area() < 0.4 * vehicle.area()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::home_label;

    fn detection(class: &str, score: f32, rect: Rect) -> Detection {
        Detection { rect, score, class_id: 0, class: class.into(), label: home_label(class) }
    }

    fn classes(views: Vec<Found>) -> Vec<String> {
        merge(views).iter().map(|d| format!("{} {}", d.class, d.score)).collect()
    }

    fn whole(detections: Vec<Detection>) -> Found {
        Found { area: Rect::FULL, detections }
    }

    #[test]
    fn car_and_truck_in_one_place_are_one_vehicle() {
        let rect = Rect::new(0.1, 0.1, 0.4, 0.3);
        let found =
            whole(vec![detection("car", 0.6, rect), detection("truck", 0.5, rect.shifted(0.01, 0.0))]);
        assert_eq!(classes(vec![found]), ["car 0.6"]);
    }

    #[test]
    fn a_thing_seen_in_two_views_is_one_and_a_cut_thing_is_left_to_the_other_view() {
        let crop = Rect::new(0.2, 0.2, 0.6, 0.6);
        let person = Rect::new(0.3, 0.3, 0.35, 0.45);
        let cut = Rect::new(0.2, 0.3, 0.25, 0.5);
        let found = vec![
            whole(vec![
                detection("person", 0.5, person),
                detection("person", 0.6, Rect::new(0.15, 0.3, 0.25, 0.5)),
            ]),
            Found {
                area: crop,
                detections: vec![detection("person", 0.8, person), detection("person", 0.9, cut)],
            },
        ];
        assert_eq!(classes(found), ["person 0.8", "person 0.6"]);
    }

    #[test]
    fn a_rider_is_one_person_and_a_bicycle_alone_is_a_vehicle() {
        let rider = Rect::new(0.4, 0.3, 0.5, 0.7);
        let ridden = Rect::new(0.38, 0.5, 0.52, 0.8);
        let alone = Rect::new(0.8, 0.5, 0.9, 0.6);
        let found = whole(vec![
            detection("person", 0.7, rider),
            detection("bicycle", 0.9, ridden),
            detection("bicycle", 0.5, alone),
        ]);
        assert_eq!(classes(vec![found]), ["person 0.7", "bicycle 0.5"]);
    }

    #[test]
    fn a_driver_is_part_of_the_car_and_a_person_before_it_is_not() {
        let car = Rect::new(0.2, 0.4, 0.6, 0.8);
        let driver = Rect::new(0.3, 0.45, 0.36, 0.58);
        let before = Rect::new(0.45, 0.45, 0.52, 0.79);
        let found = whole(vec![
            detection("car", 0.9, car),
            detection("person", 0.6, driver),
            detection("person", 0.5, before),
        ]);
        assert_eq!(classes(vec![found]), ["car 0.9", "person 0.5"]);
    }

    #[test]
    fn a_home_label_wins_over_a_better_score_without_one() {
        let seen_from_above = Rect::new(0.4, 0.3, 0.6, 0.8);
        let found = whole(vec![
            detection("cell phone", 0.6, seen_from_above),
            detection("car", 0.3, seen_from_above.shifted(0.01, 0.0)),
            detection("chair", 0.5, Rect::new(0.0, 0.0, 0.1, 0.1)),
        ]);
        assert_eq!(classes(vec![found]), ["car 0.3", "chair 0.5"]);
    }

    #[test]
    fn boxes_are_clamped_to_the_picture() {
        let found = whole(vec![detection("dog", 0.5, Rect::new(-0.1, 0.5, 0.2, 1.2))]);
        assert_eq!(merge(vec![found])[0].rect, Rect::new(0.0, 0.5, 0.2, 1.0));
    }
}
