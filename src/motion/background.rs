//! What a camera usually shows, and how noisy each spot is.

use std::time::{Duration, Instant};

use super::grid::Grid;

/// A spot that looks as usual follows the picture within this time ...
const FOLLOW: Duration = Duration::from_secs(4);
/// ... and a changed one within this: a car that parks is background a minute later, a person who pauses is not.
const ABSORB: Duration = Duration::from_secs(40);
/// Above this share of changed cells no object explains the change: it is the light.
const LIGHT_SHARE: f32 = 0.6;
/// A spot must differ by this many times its usual noise.
const NOISE_FACTOR: f32 = 3.0;

/// The usual brightness and noise of each cell, 0..255.
#[derive(Debug, Default)]
pub(super) struct Background {
    mean: Vec<f32>,
    noise: Vec<f32>,
    changed: Vec<bool>,
    updated: Option<Instant>,
}

/// How a frame differs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Change {
    /// Share of the unmasked cells that changed.
    pub(super) share: f32,
    /// The light changed.
    pub(super) light: bool,
}

impl Background {
    /// Which cells changed in the last update.
    pub(super) fn changed(&self) -> &[bool] {
        &self.changed
    }

    pub(super) fn update(&mut self, grid: &Grid, masked: &[bool], threshold: u8, at: Instant) -> Change {
        let Some(before) = self.updated.replace(at) else {
            self.restart(grid);
            return Change { share: 0.0, light: false };
        };
        let elapsed = at.saturating_duration_since(before);
        let shift = self.common_shift(grid, masked);
        let (mut changed, mut watched) = (0_usize, 0_usize);
        for (cell, flag) in self.changed.iter_mut().enumerate() {
            let difference = (f32::from(grid.cells[cell]) - self.mean[cell] - shift).abs();
            let limit = f32::from(threshold) + NOISE_FACTOR * self.noise[cell];
            *flag = !masked[cell] && difference > limit;
            changed += usize::from(*flag);
            watched += usize::from(!masked[cell]);
        }
        let share = changed as f32 / watched.max(1) as f32;
        if share > LIGHT_SHARE {
            self.restart(grid);
            return Change { share, light: true };
        }
        self.follow(grid, elapsed);
        Change { share, light: false }
    }

    fn restart(&mut self, grid: &Grid) {
        self.mean = grid.cells.iter().map(|&cell| f32::from(cell)).collect();
        self.noise.resize(grid.cells.len(), 0.0);
        self.changed = vec![false; grid.cells.len()];
    }

    /// The median difference: what the light, or the camera's exposure, did to everything alike.
    fn common_shift(&self, grid: &Grid, masked: &[bool]) -> f32 {
        let mut histogram = [0_u32; 511];
        let mut watched = 0;
        for ((&now, &mean), &masked) in grid.cells.iter().zip(&self.mean).zip(masked) {
            if !masked {
                let difference = f32::from(now) - mean;
                histogram[(difference.round() as i32 + 255).clamp(0, 510) as usize] += 1;
                watched += 1;
            }
        }
        let mut below = 0;
        for (bin, &count) in histogram.iter().enumerate() {
            below += count;
            if below * 2 >= watched {
                return bin as f32 - 255.0;
            }
        }
        0.0
    }

    /// Exponential forgetting by elapsed time, so that it does not depend on the frame rate.
    fn follow(&mut self, grid: &Grid, elapsed: Duration) {
        let rate = |constant: Duration| 1.0 - (-elapsed.as_secs_f32() / constant.as_secs_f32()).exp();
        let (follow, absorb) = (rate(FOLLOW), rate(ABSORB));
        let cells = self.mean.iter_mut().zip(&mut self.noise).zip(&grid.cells).zip(&self.changed);
        for (((mean, noise), &now), &changed) in cells {
            let difference = f32::from(now) - *mean;
            if changed {
                *mean += absorb * difference;
            } else {
                *mean += follow * difference;
                *noise += follow * (difference.abs() - *noise);
            }
        }
    }
}
