//! Pictures in display order, without waiting longer than needed.
//!
//! H.264 decoders give pictures in decode order; with B frames that is not the order in which they are shown. A picture number
//! (`PicOrderCnt`) tells the order, from 0 at each IDR picture. The stream may say how many pictures must be held back
//! (`max_num_reorder_frames`), but many cameras do not, and what the standard then allows (up to 16) would delay every alert of
//! a camera that has no B frames at all. So a picture leaves as soon as one of these holds:
//!
//! - it is the first after an IDR picture (an IDR picture is shown before everything that follows it),
//! - its number is the one after the last that left: nothing can come between. Frames count by two; streams that count by one
//!   are recognised by their first odd number,
//! - more pictures are held than the stream allows, or, if it does not say, than it may refer to,
//! - the stream does not say, and its first pictures came in order.
//!
//! A stream without B frames thus never waits, whatever it says. Source: ITU-T H.264, sections 8.2.1 and C.4.5.3.

use super::sps::Sps;
use crate::model::Frame;

/// Pictures that must have come in order before a stream that says nothing is believed to have no B frames.
const TRUSTED_AFTER: u32 = 30;
/// A number so far below the last was no latecomer: numbering has begun anew without an IDR picture (memory operation 5).
const RESTART: i32 = 64;

/// Holds pictures back until their turn.
#[derive(Debug, Default)]
pub(super) struct Reorder {
    limits: Sps,
    held: Vec<(i32, Frame)>,
    last: Option<i32>,
    /// 2, until an odd number was seen.
    counts_by_one: bool,
    arrived: u32,
    highest: i32,
    out_of_order: bool,
}

impl Reorder {
    /// An IDR picture follows: everything held is shown before it.
    pub(super) fn begin(&mut self, limits: Option<Sps>, out: &mut Vec<Frame>) {
        self.flush(out);
        self.limits = limits.unwrap_or(self.limits);
    }

    /// Takes a picture with its number. False: it came too late for its place and is dropped.
    pub(super) fn push(&mut self, order: i32, frame: Frame, out: &mut Vec<Frame>) -> bool {
        self.counts_by_one |= order % 2 != 0;
        self.arrived = self.arrived.saturating_add(1);
        self.out_of_order |= self.last.is_some() && order < self.highest;
        self.highest = if self.last.is_none() { order } else { self.highest.max(order) };
        match self.last {
            Some(last) if order < last && last.saturating_sub(order) > RESTART => self.flush(out),
            Some(last) if order < last => return false,
            Some(_) | None => {}
        }
        let place = self.held.partition_point(|(other, _)| *other <= order);
        self.held.insert(place, (order, frame));
        while let Some((first, _)) = self.held.first() {
            let is_next = self
                .last
                .is_none_or(|last| first.saturating_sub(last) <= if self.counts_by_one { 1 } else { 2 });
            if !is_next && self.held.len() <= self.depth() {
                break;
            }
            self.show_first(out);
        }
        true
    }

    /// Shows everything that is held.
    pub(super) fn flush(&mut self, out: &mut Vec<Frame>) {
        while !self.held.is_empty() {
            self.show_first(out);
        }
        self.last = None;
    }

    /// Pictures that may be held.
    fn depth(&self) -> usize {
        match self.limits.reorder_frames {
            Some(said) => said,
            None if self.arrived > TRUSTED_AFTER && !self.out_of_order => 0,
            None => self.limits.reference_frames,
        }
    }

    fn show_first(&mut self, out: &mut Vec<Frame>) {
        let (order, frame) = self.held.remove(0);
        self.last = Some(order);
        out.push(frame);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{Camera, Captured};

    fn frame(start: Captured, order: i32) -> Frame {
        let camera = Camera::for_tests("door", "Door");
        let at = start.after(Duration::from_millis(u64::try_from(order + 1000).unwrap_or(0) * 20));
        let luma = u8::try_from(order.rem_euclid(256)).unwrap_or(0);
        Frame::new(camera, 0, at, (2, 2), [vec![luma; 4], vec![0], vec![0]]).expect("planes fit")
    }

    /// What leaves after each picture.
    fn shown(sps: Sps, orders: &[i32]) -> Vec<Vec<u8>> {
        let start = Captured::now();
        let mut reorder = Reorder::default();
        let mut steps = Vec::new();
        for &order in orders {
            let mut out = Vec::new();
            if order == 0 {
                reorder.begin(Some(sps), &mut out);
            }
            reorder.push(order, frame(start, order), &mut out);
            steps.push(out.iter().map(|frame| frame.y()[0]).collect());
        }
        let mut out = Vec::new();
        reorder.flush(&mut out);
        steps.push(out.iter().map(|frame| frame.y()[0]).collect());
        steps
    }

    fn silent(reference_frames: usize) -> Sps {
        Sps { reorder_frames: None, reference_frames, ..Sps::default() }
    }

    #[test]
    fn a_stream_without_b_frames_never_waits() {
        let in_order: Vec<Vec<u8>> = vec![vec![0], vec![2], vec![4], vec![6], vec![0], vec![2], vec![]];
        for sps in [
            silent(4),
            Sps { reorder_frames: Some(2), ..silent(4) },
            Sps { reorder_frames: Some(0), ..silent(1) },
        ] {
            assert_eq!(shown(sps, &[0, 2, 4, 6, 0, 2]), in_order);
        }
        // Counting by one.
        assert_eq!(shown(silent(4), &[0, 1, 2, 3]), [vec![0], vec![1], vec![2], vec![3], vec![]]);
    }

    #[test]
    fn b_frames_come_out_in_display_order_as_early_as_possible() {
        let steps = shown(Sps { reorder_frames: Some(2), ..silent(4) }, &[0, 8, 4, 2, 6, 16, 12, 10, 14]);
        let expected: [&[u8]; 10] = [&[0], &[], &[], &[2, 4], &[6, 8], &[], &[], &[10, 12], &[14, 16], &[]];
        assert_eq!(steps, expected);
        // The same without being told.
        assert_eq!(shown(silent(4), &[0, 8, 4, 2, 6, 16, 12, 10, 14]), expected);
    }

    #[test]
    fn an_idr_picture_shows_all_before_it() {
        let steps = shown(silent(4), &[0, 8, 4, 0, 2]);
        let expected: [&[u8]; 6] = [&[0], &[], &[], &[4, 8, 0], &[2], &[]];
        assert_eq!(steps, expected);
    }

    #[test]
    fn a_missing_picture_holds_up_no_longer_than_allowed() {
        let steps = shown(Sps { reorder_frames: Some(1), ..silent(4) }, &[0, 2, 6, 8, 10]);
        let expected: [&[u8]; 6] = [&[0], &[2], &[], &[6, 8], &[10], &[]];
        assert_eq!(steps, expected);
    }

    #[test]
    fn frames_skipped_by_the_camera_wait_only_until_it_is_trusted() {
        let orders: Vec<i32> = (0..60).map(|i| i * 4).collect();
        let steps = shown(silent(2), &orders);
        assert!(steps[10].len() <= 1);
        assert!(steps[40..60].iter().all(|step| step.len() == 1), "{steps:?}");
    }

    #[test]
    fn numbers_that_start_again_do_not_silence_the_camera() {
        let steps = shown(silent(1), &[0, 100, 102, 4, 6, 8]);
        let all: Vec<u8> = steps.concat();
        assert_eq!(all, [0, 100, 102, 4, 6, 8]);
    }
}
