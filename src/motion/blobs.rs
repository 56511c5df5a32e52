//! Groups of changed cells as boxes.

use crate::model::Rect;

/// More boxes than this are one restless scene, not so many things.
const MOST_BOXES: usize = 16;
/// Cells this far apart still belong together: a person's legs and trunk often show as separate spots.
const REACH: usize = 2;

/// The boxes around groups of at least `smallest` changed cells, largest group first.
pub(super) fn boxes(changed: &[bool], width: usize, height: usize, smallest: usize) -> Vec<Rect> {
    let mut runs = Runs::default();
    for (y, row) in changed.chunks_exact(width).enumerate() {
        runs.add_row(y, row);
    }
    let mut groups = runs.groups();
    groups.retain(|group| group.cells >= smallest);
    groups.sort_by_key(|group| std::cmp::Reverse(group.cells));
    groups.truncate(MOST_BOXES);
    groups.iter().map(|group| group.rect(width, height)).collect()
}

/// What belongs together within a row, row by row.
#[derive(Debug, Default)]
struct Runs {
    runs: Vec<Group>,
    /// For each run an earlier one of its group, or itself.
    earlier: Vec<usize>,
}

impl Runs {
    fn add_row(&mut self, y: usize, row: &[bool]) {
        let begin = self.runs.len();
        let mut x = 0;
        while let Some(ahead) = row[x..].iter().position(|&changed| changed) {
            x += ahead;
            match self.runs[begin..].last_mut() {
                Some(run) if run.right + REACH >= x => run.join(&Group::at(x, y)),
                Some(_) | None => {
                    self.earlier.push(self.runs.len());
                    self.runs.push(Group::at(x, y));
                }
            }
            x += 1;
        }
        let above =
            self.runs[..begin].iter().rposition(|run| run.bottom + REACH < y).map_or(0, |far| far + 1);
        for run in begin..self.runs.len() {
            for other in above..begin {
                // A run has no gap through which the other one would go.
                let (one, two) = (&self.runs[run], &self.runs[other]);
                if one.left <= two.right + REACH && two.left <= one.right + REACH {
                    let (one, two) = (self.first(run), self.first(other));
                    self.earlier[one.max(two)] = one.min(two);
                }
            }
        }
    }

    /// The first run of the group.
    fn first(&self, mut run: usize) -> usize {
        while self.earlier[run] != run {
            run = self.earlier[run];
        }
        run
    }

    /// In the order of their first cells.
    fn groups(mut self) -> Vec<Group> {
        for run in (0..self.runs.len()).rev() {
            let earlier = self.earlier[run];
            if earlier != run {
                let part = std::mem::take(&mut self.runs[run]);
                self.runs[earlier].join(&part);
            }
        }
        self.runs.retain(|run| run.cells > 0);
        self.runs
    }
}

#[derive(Debug, Default)]
struct Group {
    cells: usize,
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
}

impl Group {
    fn at(x: usize, y: usize) -> Self {
        Self { cells: 1, left: x, top: y, right: x, bottom: y }
    }

    fn join(&mut self, other: &Self) {
        self.cells += other.cells;
        self.left = self.left.min(other.left);
        self.top = self.top.min(other.top);
        self.right = self.right.max(other.right);
        self.bottom = self.bottom.max(other.bottom);
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

    #[test]
    fn groups_are_those_of_a_search_from_cell_to_cell() {
        let (width, height) = (24, 16);
        let mut random = fastrand::Rng::with_seed(5);
        for round in 0..200 {
            let changed: Vec<bool> = (0..width * height).map(|_| random.u8(..100) < round % 40).collect();
            let mut left = changed.clone();
            let mut sizes = Vec::new();
            for start in 0..left.len() {
                let mut open: Vec<usize> =
                    std::mem::take(&mut left[start]).then_some(start).into_iter().collect();
                let mut size = 0;
                while let Some(cell) = open.pop() {
                    size += 1;
                    let (x, y) = (cell % width, cell / width);
                    open.extend((0..left.len()).filter(|other| {
                        (other % width).abs_diff(x) <= REACH
                            && (other / width).abs_diff(y) <= REACH
                            && std::mem::take(&mut left[*other])
                    }));
                }
                sizes.extend((size > 0).then_some(size));
            }
            let mut runs = Runs::default();
            changed.chunks_exact(width).enumerate().for_each(|(y, row)| runs.add_row(y, row));
            let found: Vec<usize> = runs.groups().iter().map(|group| group.cells).collect();
            assert_eq!(found, sizes, "round {round}");
        }
    }
}
