//! Whether a camera's view is any good: dark, obstructed, blurred, frozen, or too restless to see anything in. Pure.
//!
//! Judged on the small luma picture and on how sharp the whole one is, and told only when it has lasted: a moth on the lens is no
//! news. What a good view is, is learned from the camera itself where there is no absolute measure (sharpness).

use std::time::{Duration, Instant};

use super::grid::Grid;
use crate::model::{Frame, MotionReport, ViewProblem};

/// A problem is told when it has lasted this long ...
const LASTS: Duration = Duration::from_secs(20);
/// ... and is over when it has been so for half of that. Frozen and noisy are matters of minutes.
const LASTS_LONGER: Duration = Duration::from_secs(120);
/// A mean grey level below this is dark (16 is black; the empty street of the test clips has 118, a yard at night under its own
/// infra-red lamp 40 and more) ...
const DARK_MEAN: f32 = 26.0;
/// ... if nothing in it is brighter than this.
const DARK_BRIGHTEST: u8 = 70;
/// Grey levels by which cells differ from their mean, less than which is a wall before the lens. (Street: 40.)
const FLAT: f32 = 5.0;
/// Sharpness below this share of the usual is a blurred view: out of focus by a blur of 4 px at 768x576 it is 0.3.
const BLURRED: f32 = 0.4;
/// What is usual follows this slowly, and not while the view is blurred.
const USUAL: Duration = Duration::from_secs(600);
/// The lines of which sharpness is measured: each so many-th.
const EVERY_LINE: usize = 8;
/// A share of cells that may differ by one level in a frozen picture that is coded again.
const RECODED: f32 = 0.002;
/// Something moves in this share of the frames of a noisy view, and nothing is ever found.
const RESTLESS: f32 = 0.9;

/// The judge of one camera's view.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    usual_sharpness: Option<f32>,
    sharpness_at: Option<Instant>,
    frozen: Option<(Vec<u8>, Instant)>,
    restless: f32,
    restless_at: Option<Instant>,
    restless_since: Option<Instant>,
    /// What was seen last, and since when.
    seen: Option<(Option<ViewProblem>, Instant)>,
    told: Option<ViewProblem>,
}

impl View {
    /// Takes a frame; `followed`: objects are found in it. What is wrong with the view, as long as it is.
    pub(super) fn judge(
        &mut self,
        frame: &Frame,
        grid: &Grid,
        report: &MotionReport,
        followed: bool,
    ) -> Option<ViewProblem> {
        let at = frame.captured.at;
        let now = self.problem(frame, grid, report, followed);
        let since = match self.seen {
            Some((seen, since)) if seen == now => since,
            Some(_) | None => at,
        };
        self.seen = Some((now, since));
        let patience = if now.is_some() { LASTS } else { LASTS / 2 };
        if at.saturating_duration_since(since) >= patience {
            self.told = now;
        }
        self.told
    }

    fn problem(
        &mut self,
        frame: &Frame,
        grid: &Grid,
        report: &MotionReport,
        followed: bool,
    ) -> Option<ViewProblem> {
        let at = frame.captured.at;
        let (mean, spread) = mean_and_spread(&grid.cells);
        // Both go on in any light: what follows needs them when it is light again.
        let restless = self.is_restless(at, report, followed);
        let frozen = self.is_frozen(at, grid);
        if mean < DARK_MEAN && grid.cells.iter().all(|&cell| cell < DARK_BRIGHTEST) {
            return Some(ViewProblem::Dark);
        }
        if spread < FLAT {
            return Some(ViewProblem::Obstructed);
        }
        if frozen {
            return Some(ViewProblem::Frozen);
        }
        if self.is_blurred(at, sharpness(frame) / spread) {
            return Some(ViewProblem::Blurred);
        }
        restless.then_some(ViewProblem::Noisy)
    }

    /// A sensor's noise moves some cells from one picture to the next, even at rest.
    fn is_frozen(&mut self, at: Instant, grid: &Grid) -> bool {
        let same = |cells: &[u8]| {
            let differences = || cells.iter().zip(&grid.cells).map(|(a, b)| a.abs_diff(*b));
            cells.len() == grid.cells.len()
                && differences().all(|by| by <= 1)
                && differences().map(u32::from).sum::<u32>() as f32 <= RECODED * cells.len() as f32
        };
        match &mut self.frozen {
            Some((cells, since)) if same(cells) => at.saturating_duration_since(*since) >= LASTS_LONGER,
            Some((cells, since)) => {
                cells.clone_from(&grid.cells);
                *since = at;
                false
            }
            none => {
                *none = Some((grid.cells.clone(), at));
                false
            }
        }
    }

    fn is_blurred(&mut self, at: Instant, sharpness: f32) -> bool {
        let usual = *self.usual_sharpness.get_or_insert(sharpness);
        if sharpness < BLURRED * usual {
            return true;
        }
        let elapsed =
            self.sharpness_at.replace(at).map_or(Duration::ZERO, |last| at.saturating_duration_since(last));
        let share = 1.0 - (-elapsed.as_secs_f32() / USUAL.as_secs_f32()).exp();
        self.usual_sharpness = Some(usual + share * (sharpness - usual));
        false
    }

    fn is_restless(&mut self, at: Instant, report: &MotionReport, followed: bool) -> bool {
        let elapsed =
            self.restless_at.replace(at).map_or(Duration::ZERO, |last| at.saturating_duration_since(last));
        // Long gaps are those of a quiet scene.
        let share = 1.0 - (-elapsed.as_secs_f32() * 6.0 / LASTS_LONGER.as_secs_f32()).exp();
        let moves = f32::from(u8::from(!report.boxes.is_empty() && !followed));
        self.restless += share * (moves - self.restless);
        if self.restless < RESTLESS {
            self.restless_since = None;
            return false;
        }
        at.saturating_duration_since(*self.restless_since.get_or_insert(at)) >= LASTS_LONGER
    }
}

/// The mean, and by how much cells differ from it in the mean. In whole numbers as far as there are many of them: a sum of
/// floating-point numbers is no vector loop.
fn mean_and_spread(cells: &[u8]) -> (f32, f32) {
    let count = cells.len().max(1) as f32;
    let mean = cells.iter().map(|&cell| u32::from(cell)).sum::<u32>() as f32 / count;
    // What is above the mean is as far from it, taken together, as what is below.
    let floor = mean as u8;
    let above = cells.iter().map(|&cell| u32::from(cell > floor)).sum::<u32>() as f32;
    let over = cells.iter().map(|&cell| u32::from(cell.saturating_sub(floor))).sum::<u32>() as f32;
    (mean, 2.0 * (over - above * (mean - f32::from(floor))) / count)
}

/// How much neighbours differ, of what is in the picture to differ: contrast of edges, mean over some lines.
fn sharpness(frame: &Frame) -> f32 {
    let (mut sum, mut count) = (0_u64, 0_u64);
    for line in frame.y().chunks_exact(frame.width()).step_by(EVERY_LINE) {
        let differences = line.iter().zip(&line[2.min(line.len())..]).map(|(a, b)| u32::from(a.abs_diff(*b)));
        sum += u64::from(differences.sum::<u32>());
        count += line.len() as u64;
    }
    sum as f32 / count.max(1) as f32
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::model::{Camera, Captured, Rect};

    const SIZE: (usize, usize) = (320, 180);

    struct Yard {
        view: View,
        start: Captured,
        number: u64,
    }

    impl Yard {
        fn new() -> Self {
            Self { view: View::default(), start: Captured::now(), number: 0 }
        }

        /// Shows pictures for so many seconds, five a second; what is said about the last.
        fn show(
            &mut self,
            secs: u64,
            moves: bool,
            luma: impl Fn(usize, usize, u64) -> u8,
        ) -> Option<ViewProblem> {
            let mut said = None;
            for _ in 0..secs * 5 {
                self.number += 1;
                let camera = Camera::for_tests("yard", "Yard");
                let (width, height) = SIZE;
                let pixels = (0..width * height).map(|i| luma(i % width, i / width, self.number)).collect();
                let chroma = vec![128; width / 2 * (height / 2)];
                let at = self.start.after(Duration::from_millis(200 * self.number));
                let planes = [pixels, chroma.clone(), chroma];
                let frame = Frame::new(camera, self.number, at, SIZE, planes).expect("planes fit");
                let mut grid = Grid::new(width, height);
                grid.fill(frame.y(), width);
                let boxes = if moves { vec![Rect::new(0.1, 0.1, 0.3, 0.3)] } else { Vec::new() };
                let report = MotionReport { boxes, ..MotionReport::default() };
                said = self.view.judge(&frame, &grid, &report, false);
            }
            said
        }
    }

    fn noise(x: usize, y: usize, number: u64) -> u8 {
        let mixed = (x as u64 * 7919 + y as u64 * 104_729 + number * 15_485_863).wrapping_mul(2_654_435_761);
        ((mixed >> 24) % 7) as u8
    }

    /// Stripes of 24 px, with noise.
    fn street(x: usize, y: usize, number: u64) -> u8 {
        (if (x / 24 + y / 24).is_multiple_of(2) { 60 } else { 160 }) + noise(x, y, number)
    }

    /// The same through a lens with a drop on it.
    fn soft(x: usize, y: usize, _: u64) -> u8 {
        let wave = ((x as f32 / 48.0).sin() * (y as f32 / 48.0).sin() * 60.0) as i32;
        (110 + wave).clamp(0, 255) as u8
    }

    #[test]
    fn a_good_view_is_no_news() {
        assert_eq!(Yard::new().show(200, false, street), None);
    }

    #[test]
    fn each_problem_is_told_when_it_lasts_and_over_when_it_is() {
        let dark = |x, y, number| 17 + noise(x, y, number);
        let wall = |x, y, number| 120 + noise(x, y, number) / 3;
        type Picture = fn(usize, usize, u64) -> u8;
        for (picture, problem) in [
            (dark as Picture, ViewProblem::Dark),
            (wall as Picture, ViewProblem::Obstructed),
            (soft as Picture, ViewProblem::Blurred),
        ] {
            let mut camera = Yard::new();
            camera.show(30, false, street);
            assert_eq!(camera.show(10, false, picture), None, "{problem:?} too early");
            assert_eq!(camera.show(15, false, picture), Some(problem));
            assert_eq!(camera.show(5, false, street), Some(problem), "a short clearing");
            assert_eq!(camera.show(15, false, street), None);
        }
    }

    #[test]
    fn the_same_picture_for_minutes_is_frozen() {
        let mut camera = Yard::new();
        assert_eq!(camera.show(100, false, |x, y, _| street(x, y, 1)), None);
        assert_eq!(camera.show(60, false, |x, y, _| street(x, y, 1)), Some(ViewProblem::Frozen));
        assert_eq!(camera.show(15, false, street), None);
    }

    #[test]
    fn what_always_moves_and_is_nothing_is_too_noisy() {
        let mut camera = Yard::new();
        assert_eq!(camera.show(100, true, street), None);
        assert_eq!(camera.show(120, true, street), Some(ViewProblem::Noisy));
        assert_eq!(camera.show(60, false, street), None);
    }

    #[test]
    fn mean_and_spread_are_what_their_names_say() {
        let cells: Vec<u8> = (0..997_u32).map(|i| (i * i % 251) as u8).collect();
        let mean = cells.iter().map(|&cell| f32::from(cell)).sum::<f32>() / 997.0;
        let spread = cells.iter().map(|&cell| (f32::from(cell) - mean).abs()).sum::<f32>() / 997.0;
        let (m, s) = mean_and_spread(&cells);
        assert!((m - mean).abs() < 0.01 && (s - spread).abs() < 0.01, "{m} {mean}, {s} {spread}");
        assert_eq!(mean_and_spread(&[7; 5]), (7.0, 0.0));
    }
}
