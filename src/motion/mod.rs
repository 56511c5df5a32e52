//! Finds what moved, on a small luma picture. Pure: a frame in, a [`MotionReport`] out; no clock, no I/O.
//!
//! The luma plane is averaged down to about 160 columns and compared with a background that follows slowly. A change of the
//! light shifts all differences alike and is taken out; a change that a shift does not explain and that covers most of the
//! picture (lamp, infra-red switch) becomes the new background at once. What the moving thing *is*, others say.

mod background;
mod blobs;
mod grid;
mod view;

use std::time::Instant;

use background::Background;
use grid::Grid;
use view::View;

use crate::config;
use crate::model::{Frame, MotionReport, Polygon, ViewProblem};

/// The motion stage of one camera.
#[derive(Debug, Clone)]
pub struct MotionDetector {
    settings: config::Motion,
    masks: Vec<Polygon>,
    state: Option<State>,
    /// Consecutive frames with changes.
    streak: u32,
    active: bool,
    last_motion: Option<Instant>,
}

#[derive(Debug, Clone)]
struct State {
    frame_size: (usize, usize),
    grid: Grid,
    masked: Vec<bool>,
    background: Background,
    view: View,
}

impl MotionDetector {
    /// `masks` are areas where motion does not count.
    #[must_use]
    pub fn new(settings: config::Motion, masks: Vec<Polygon>) -> Self {
        Self { settings, masks, state: None, streak: 0, active: false, last_motion: None }
    }

    /// Compares a frame with what this camera usually shows.
    pub fn update(&mut self, frame: &Frame) -> MotionReport {
        let frame_size = (frame.width(), frame.height());
        let at = frame.captured.at;
        let state = match &mut self.state {
            Some(state) if state.frame_size == frame_size => state,
            outdated => outdated.insert(State::new(frame_size, &self.masks)),
        };
        state.grid.fill(frame.y(), frame.width());
        let change = state.background.update(&state.grid, &state.masked, self.settings.threshold, at);
        let mut report =
            MotionReport { changed: change.share, light_change: change.light, ..MotionReport::default() };
        if !change.light {
            let smallest = (self.settings.min_area * state.grid.cells.len() as f32).max(1.0) as usize;
            report.boxes =
                blobs::boxes(state.background.changed(), state.grid.width, state.grid.height, smallest);
        }
        report.active = self.hysteresis(!report.boxes.is_empty(), at);
        report
    }

    /// Judges the view by the frame of the last [`Self::update`]. `followed`: objects are followed in it. Returns what is wrong, as
    /// long as it is.
    pub fn judge_view(
        &mut self,
        frame: &Frame,
        report: &MotionReport,
        followed: bool,
    ) -> Option<ViewProblem> {
        let state = self.state.as_mut()?;
        state.view.judge(frame, &state.grid, report, followed)
    }

    /// A scene starts to move after a few frames in a row, and is still again after a quiet while.
    fn hysteresis(&mut self, moving: bool, at: Instant) -> bool {
        self.streak = if moving { self.streak + 1 } else { 0 };
        if self.streak >= self.settings.start_frames {
            self.active = true;
        }
        if moving {
            self.last_motion = Some(at);
        }
        let quiet = self.last_motion.is_none_or(|last| at.duration_since(last) >= self.settings.quiet);
        if !moving && quiet {
            self.active = false;
        }
        self.active
    }
}

impl State {
    fn new(frame_size: (usize, usize), masks: &[Polygon]) -> Self {
        let grid = Grid::new(frame_size.0, frame_size.1);
        let mut masked = vec![false; grid.cells.len()];
        for mask in masks {
            mask.rasterise(grid.width, grid.height, |x, y| masked[y * grid.width + x] = true);
        }
        Self { frame_size, background: Background::default(), masked, grid, view: View::default() }
    }
}

#[cfg(test)]
mod tests;
