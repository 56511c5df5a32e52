//! Groups of changed cells as boxes.

use crate::model::Rect;

/// More boxes than this are one restless scene, not so many things.
const MOST_BOXES: usize = 16;
/// Cells this far apart still belong together: a person's legs and trunk often show as separate spots.
const REACH: usize = 2;

/// The boxes around groups of at least `smallest` changed cells, largest group first.
pub(super) fn boxes(changed: &[bool], width: usize, height: usize, smallest: usize) -> Vec<Rect> {
    // Cells that belong to no group yet.
    let mut left = changed.to_vec();
    let mut groups = Vec::new();
    let mut open = Vec::new();
    for start in 0..left.len() {
        if !std::mem::take(&mut left[start]) {
            continue;
        }
        let mut group = Group::at(start % width, start / width);
        open.push((start % width, start / width));
        while let Some((x, y)) = open.pop() {
            group.add(x, y);
            let near = x.saturating_sub(REACH)..(x + REACH + 1).min(width);
            for ny in y.saturating_sub(REACH)..(y + REACH + 1).min(height) {
                let row = &mut left[ny * width..][near.clone()];
                for (nx, cell) in near.clone().zip(row) {
                    if std::mem::take(cell) {
                        open.push((nx, ny));
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
