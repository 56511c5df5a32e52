//! Where an object has been in the places that the user drew: zones, how long in each, and lines. Judged by the point where the
//! object touches the ground.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Crossing, Direction, Dwell, Line, Polygon, Rect, UtcMillis, Zones};

/// A foot counts as past a line when it is this far from it, in the object's own height: boxes tremble.
const PAST: f32 = 0.05;
/// Crossings kept of one object. A branch in the wind on a line would make them without end.
const MOST_CROSSINGS: usize = 32;

/// What the user drew into the picture of a camera.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Named areas.
    pub zones: BTreeMap<String, Polygon>,
    /// Named lines.
    pub lines: BTreeMap<String, Line>,
}

/// One object among the places.
#[derive(Debug, Default)]
pub(super) struct Visit {
    zones: Zones,
    /// Until it was last seen.
    stays: BTreeMap<String, Duration>,
    /// Where the foot last was clearly on one side of each line.
    sides: BTreeMap<String, (f32, f32)>,
    crossed: Vec<Crossing>,
    news: bool,
}

impl Visit {
    /// The object went from one box to the next within `elapsed`, and was there at `at`.
    pub(super) fn went(
        &mut self,
        places: &Places,
        (from, to): (&Rect, &Rect),
        elapsed: Duration,
        at: UtcMillis,
    ) {
        let inside = places.zones.iter().filter(|(_, polygon)| polygon.contains(to.foot()));
        let now: Vec<String> = inside.map(|(name, _)| name.clone()).collect();
        for name in now.iter().filter(|name| self.zones.current.contains(name)) {
            *self.stays.entry(name.clone()).or_default() += elapsed;
        }
        self.zones.current = now;
        for name in &self.zones.current {
            if !self.zones.entered.contains(name) {
                self.zones.entered.push(name.clone());
                self.news = true;
            }
        }
        for (name, line) in &places.lines {
            if let Some(direction) = self.cross(name, line, from, to) {
                if self.crossed.len() == MOST_CROSSINGS {
                    self.crossed.remove(0);
                }
                self.crossed.push(Crossing { line: name.clone(), direction, at });
                self.news = true;
            }
        }
    }

    fn cross(&mut self, name: &str, line: &Line, from: &Rect, to: &Rect) -> Option<Direction> {
        let side = |rect: &Rect| {
            let distance = line.distance(rect.foot());
            (distance.abs() > PAST * rect.height()).then_some(distance)
        };
        let now = side(to)?;
        let before = match self.sides.insert(name.to_owned(), to.foot()) {
            Some(before) => before,
            None => side(from).map(|_| from.foot())?,
        };
        let other_side = line.distance(before).signum() != now.signum();
        let direction = if now > 0.0 { Direction::In } else { Direction::Out };
        (other_side && line.is_between(before, to.foot())).then_some(direction)
    }

    /// Whether a zone was entered or a line crossed since the last [`Self::tell`].
    pub(super) fn has_news(&self) -> bool {
        self.news
    }

    /// The news are told.
    pub(super) fn tell(&mut self) {
        self.news = false;
    }

    pub(super) fn zones(&self) -> &Zones {
        &self.zones
    }

    pub(super) fn crossed(&self) -> &[Crossing] {
        &self.crossed
    }

    /// How long it has been where, `picture` in all, if it has stayed where it is for `since` after it was last seen.
    pub(super) fn dwell(&self, picture: Duration, since: Duration) -> Dwell {
        let mut zones = self.stays.clone();
        for name in &self.zones.current {
            *zones.entry(name.clone()).or_default() += since;
        }
        Dwell { picture, zones }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(200);

    /// A person of 0.2 height, the foot at this point.
    fn at(x: f32, y: f32) -> Rect {
        Rect::new(x - 0.05, y - 0.2, x + 0.05, y)
    }

    fn places() -> Places {
        let porch = vec![(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)];
        Places {
            zones: [("porch".to_owned(), Polygon::new(porch).expect("four corners"))].into(),
            lines: [("gate".to_owned(), Line::new((0.2, 0.5), (0.8, 0.5)).expect("two points"))].into(),
        }
    }

    fn walk(path: &[(f32, f32)]) -> Visit {
        let mut visit = Visit::default();
        for (index, step) in path.windows(2).enumerate() {
            let boxes = (&at(step[0].0, step[0].1), &at(step[1].0, step[1].1));
            visit.went(&places(), boxes, STEP, UtcMillis(i64::try_from(index).expect("few")));
        }
        visit
    }

    fn directions(path: &[(f32, f32)]) -> Vec<Direction> {
        walk(path).crossed().iter().map(|crossing| crossing.direction).collect()
    }

    #[test]
    fn a_line_is_crossed_in_and_out() {
        assert_eq!(directions(&[(0.5, 0.4), (0.5, 0.6)]), [Direction::In]);
        assert_eq!(directions(&[(0.5, 0.6), (0.5, 0.4)]), [Direction::Out]);
        assert_eq!(
            directions(&[(0.5, 0.4), (0.5, 0.6), (0.5, 0.7), (0.5, 0.4)]),
            [Direction::In, Direction::Out]
        );
    }

    #[test]
    fn who_walks_slowly_over_a_line_crosses_it_once() {
        let path: Vec<(f32, f32)> = (0..100_u8).map(|step| (0.5, 0.4 + 0.002 * f32::from(step))).collect();
        assert_eq!(directions(&path), [Direction::In]);
    }

    #[test]
    fn who_stands_on_a_line_does_not_cross_it() {
        let path: Vec<(f32, f32)> =
            (0..50_u8).map(|step| (0.5, 0.5 + 0.008 * (f32::from(step % 3) - 1.0))).collect();
        assert_eq!(directions(&path), []);
    }

    #[test]
    fn who_walks_around_the_end_of_a_line_does_not_cross_it() {
        assert_eq!(directions(&[(0.7, 0.4), (0.9, 0.4), (0.9, 0.6), (0.7, 0.6)]), []);
    }

    #[test]
    fn a_zone_is_news_once_and_counts_the_time_in_it() {
        let mut visit = walk(&[(0.7, 0.9), (0.4, 0.9), (0.3, 0.9), (0.7, 0.9), (0.3, 0.9), (0.2, 0.9)]);
        assert_eq!(visit.zones().entered, ["porch"]);
        assert!(visit.has_news());
        visit.tell();
        assert!(!visit.has_news());
        let dwell = visit.dwell(STEP * 5, STEP);
        assert_eq!(dwell.zones["porch"], STEP * 3, "two steps inside, and the time since");
    }
}
