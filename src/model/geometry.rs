//! Boxes and polygons in normalised picture coordinates: x and y from 0 (left, top) to 1 (right, bottom).

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An axis-aligned box, normalised.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rect {
    /// Left edge.
    pub x1: f32,
    /// Top edge.
    pub y1: f32,
    /// Right edge.
    pub x2: f32,
    /// Bottom edge.
    pub y2: f32,
}

impl Rect {
    /// The whole picture.
    pub const FULL: Self = Self::new(0.0, 0.0, 1.0, 1.0);

    /// From the four edges.
    #[must_use]
    pub const fn new(x1: f32, y1: f32, x2: f32, y2: f32) -> Self {
        Self { x1, y1, x2, y2 }
    }

    /// Width, never negative.
    #[must_use]
    pub fn width(&self) -> f32 {
        (self.x2 - self.x1).max(0.0)
    }

    /// Height, never negative.
    #[must_use]
    pub fn height(&self) -> f32 {
        (self.y2 - self.y1).max(0.0)
    }

    /// Width times height.
    #[must_use]
    pub fn area(&self) -> f32 {
        self.width() * self.height()
    }

    /// The middle.
    #[must_use]
    pub fn center(&self) -> (f32, f32) {
        ((self.x1 + self.x2) / 2.0, (self.y1 + self.y2) / 2.0)
    }

    /// Where a standing object touches the ground: the middle of the lower edge.
    #[must_use]
    pub fn foot(&self) -> (f32, f32) {
        ((self.x1 + self.x2) / 2.0, self.y2)
    }

    /// The part inside the picture.
    #[must_use]
    pub fn clamped(&self) -> Self {
        let unit = |v: f32| v.clamp(0.0, 1.0);
        Self::new(unit(self.x1), unit(self.y1), unit(self.x2), unit(self.y2))
    }

    /// The common part; empty (zero area) if there is none.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self::new(self.x1.max(other.x1), self.y1.max(other.y1), self.x2.min(other.x2), self.y2.min(other.y2))
    }

    /// The smallest box around both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::new(self.x1.min(other.x1), self.y1.min(other.y1), self.x2.max(other.x2), self.y2.max(other.y2))
    }

    /// Intersection over union, 0..1.
    #[must_use]
    pub fn iou(&self, other: &Self) -> f32 {
        let common = self.intersection(other).area();
        let all = self.area() + other.area() - common;
        if all > 0.0 { common / all } else { 0.0 }
    }

    /// The share of this box that lies in `other`, 0..1.
    #[must_use]
    pub fn share_inside(&self, other: &Self) -> f32 {
        let area = self.area();
        if area > 0.0 { self.intersection(other).area() / area } else { 0.0 }
    }

    /// Whether the point lies inside.
    #[must_use]
    pub fn contains(&self, (x, y): (f32, f32)) -> bool {
        x >= self.x1 && x <= self.x2 && y >= self.y1 && y <= self.y2
    }

    /// Grown by `by` of its own size on each side, and clamped.
    #[must_use]
    pub fn grown(&self, by: f32) -> Self {
        let (dx, dy) = (self.width() * by, self.height() * by);
        Self::new(self.x1 - dx, self.y1 - dy, self.x2 + dx, self.y2 + dy).clamped()
    }

    /// Moved by a vector.
    #[must_use]
    pub fn shifted(&self, dx: f32, dy: f32) -> Self {
        Self::new(self.x1 + dx, self.y1 + dy, self.x2 + dx, self.y2 + dy)
    }
}

/// `[x1, y1, x2, y2]`, four decimals: a tenth of a pixel at full HD is below what any detector means.
impl Serialize for Rect {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [self.x1, self.y1, self.x2, self.y2].map(round4).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Rect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let [x1, y1, x2, y2] = <[f32; 4]>::deserialize(deserializer)?;
        Ok(Self { x1, y1, x2, y2 })
    }
}

/// Rounds to four decimals in `f64`, so that JSON shows `0.93` and not `0.9300000071525574`.
pub(super) fn round4(value: f32) -> f64 {
    (f64::from(value) * 1e4).round() / 1e4
}

/// A closed polygon of at least three corners, normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct Polygon {
    corners: Vec<(f32, f32)>,
}

impl Polygon {
    /// `None` with fewer than three corners, or with one outside the picture.
    #[must_use]
    pub fn new(corners: Vec<(f32, f32)>) -> Option<Self> {
        let inside = |&(x, y): &(f32, f32)| (0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y);
        (corners.len() >= 3 && corners.iter().all(inside)).then_some(Self { corners })
    }

    /// Even-odd rule.
    #[must_use]
    pub fn contains(&self, (x, y): (f32, f32)) -> bool {
        let mut inside = false;
        let mut previous = self.corners.len() - 1;
        for current in 0..self.corners.len() {
            let ((ax, ay), (bx, by)) = (self.corners[current], self.corners[previous]);
            if (ay > y) != (by > y) && x < (bx - ax) * (y - ay) / (by - ay) + ax {
                inside = !inside;
            }
            previous = current;
        }
        inside
    }

    /// Marks the cells of a `width` x `height` grid whose centres lie inside.
    pub fn rasterise(&self, width: usize, height: usize, mut mark: impl FnMut(usize, usize)) {
        for row in 0..height {
            for column in 0..width {
                let x = (column as f32 + 0.5) / width as f32;
                let y = (row as f32 + 0.5) / height as f32;
                if self.contains((x, y)) {
                    mark(column, row);
                }
            }
        }
    }
}

/// A line from one point to another, normalised. It has a side on its left and one on its right, as seen by somebody who walks
/// from the first point to the second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    from: (f32, f32),
    to: (f32, f32),
}

impl Line {
    /// `None` with points outside the picture, or twice the same one.
    #[must_use]
    pub fn new(from: (f32, f32), to: (f32, f32)) -> Option<Self> {
        let inside = |(x, y): (f32, f32)| (0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y);
        (inside(from) && inside(to) && from != to).then_some(Self { from, to })
    }

    /// How far a point is from the endless line: negative on the left, positive on the right.
    #[must_use]
    pub fn distance(&self, point: (f32, f32)) -> f32 {
        let (dx, dy) = (self.to.0 - self.from.0, self.to.1 - self.from.1);
        turn(self.from, self.to, point) / dx.hypot(dy)
    }

    /// Whether the straight way between two points, one on each side, leads between the ends of the line.
    #[must_use]
    pub fn is_between(&self, before: (f32, f32), after: (f32, f32)) -> bool {
        turn(before, after, self.from).signum() != turn(before, after, self.to).signum()
    }
}

/// Positive if `c` is on the right of the way from `a` to `b`. (On the screen: y grows downwards.)
fn turn(a: (f32, f32), b: (f32, f32), c: (f32, f32)) -> f32 {
    (b.0 - a.0) * (c.1 - a.1) - (b.1 - a.1) * (c.0 - a.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_left_and_a_right_and_two_ends() {
        let line = Line::new((0.2, 0.5), (0.6, 0.5)).expect("two points");
        assert!((line.distance((0.4, 0.7)) - 0.2).abs() < 1e-6, "below is right of a line that points right");
        assert!((line.distance((0.9, 0.3)) + 0.2).abs() < 1e-6);
        assert!(line.is_between((0.4, 0.3), (0.5, 0.7)));
        assert!(!line.is_between((0.7, 0.3), (0.7, 0.7)));
        assert!(Line::new((0.2, 0.5), (0.2, 0.5)).is_none());
        assert!(Line::new((0.2, 0.5), (0.2, 1.5)).is_none());
    }

    #[test]
    fn iou_of_half_overlapping_boxes_is_a_third() {
        let left = Rect::new(0.0, 0.0, 0.2, 0.2);
        let right = Rect::new(0.1, 0.0, 0.3, 0.2);
        assert!((left.iou(&right) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(left.iou(&Rect::new(0.5, 0.5, 0.6, 0.6)), 0.0);
    }

    #[test]
    fn a_box_is_four_rounded_numbers_in_json() {
        let json = serde_json::to_string(&Rect::new(0.1, 0.2, 0.93, 1.0)).expect("plain numbers");
        assert_eq!(json, "[0.1,0.2,0.93,1.0]");
    }

    #[test]
    fn a_polygon_knows_its_inside() {
        let triangle = Polygon::new(vec![(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)]).expect("three corners");
        assert!(triangle.contains((0.2, 0.2)));
        assert!(!triangle.contains((0.8, 0.8)));
        assert!(Polygon::new(vec![(0.0, 0.0), (1.0, 0.0)]).is_none());
        assert!(Polygon::new(vec![(0.0, 0.0), (1.0, 0.0), (0.0, 1.2)]).is_none());
    }
}
