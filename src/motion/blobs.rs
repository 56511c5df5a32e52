//! Groups of changed cells as boxes.

use crate::model::Rect;

/// More boxes than this are one restless scene, not so many things.
const MOST_BOXES: usize = 16;
/// Cells this far apart still belong together: a person's legs and trunk often show as separate spots.
const REACH: usize = 2;

/// The boxes around groups of at least `smallest` changed cells, largest group first.
pub(super) fn boxes(changed: &[bool], width: usize, height: usize, smallest: usize) -> Vec<Rect> {
    let mut group_of = vec![false; changed.len()];
    let mut groups = Vec::new();
    let mut open = Vec::new();
    for start in 0..changed.len() {
        if !changed[start] || group_of[start] {
            continue;
        }
        let mut group = Group::at(start % width, start / width);
        group_of[start] = true;
        open.push(start);
        while let Some(cell) = open.pop() {
            let (x, y) = (cell % width, cell / width);
            group.add(x, y);
            for ny in y.saturating_sub(REACH)..=(y + REACH).min(height - 1) {
                for nx in x.saturating_sub(REACH)..=(x + REACH).min(width - 1) {
                    let near = ny * width + nx;
                    if changed[near] && !group_of[near] {
                        group_of[near] = true;
                        open.push(near);
                    }
                }
            }
        }
        if group.cells >= smallest {
            groups.push(group);
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.cells));
    groups.truncate(MOST_BOXES);
    groups.iter().map(|group| group.rect(width, height)).collect()
}

#[derive(Debug)]
struct Group {
    cells: usize,
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
}

impl Group {
    fn at(x: usize, y: usize) -> Self {
        Self { cells: 0, left: x, top: y, right: x, bottom: y }
    }

    fn add(&mut self, x: usize, y: usize) {
        self.cells += 1;
        self.left = self.left.min(x);
        self.right = self.right.max(x);
        self.top = self.top.min(y);
        self.bottom = self.bottom.max(y);
    }

    fn rect(&self, width: usize, height: usize) -> Rect {
        let (width, height) = (width as f32, height as f32);
        Rect::new(
            self.left as f32 / width,
            self.top as f32 / height,
            (self.right + 1) as f32 / width,
            (self.bottom + 1) as f32 / height,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_spots_are_one_box_and_specks_are_none() {
        let (width, height) = (20, 10);
        let mut changed = vec![false; width * height];
        for (x, y) in [(2, 2), (3, 2), (3, 4), (15, 8)] {
            changed[y * width + x] = true;
        }
        let found = boxes(&changed, width, height, 2);
        assert_eq!(found, [Rect::new(0.1, 0.2, 0.2, 0.5)]);
    }
}
