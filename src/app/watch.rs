//! The body of a camera's thread `decode-<camera>`: decodes what the plan says, shows it to viewers, finds what moves, and leaves it
//! for the detector.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::pace::Pace;
use super::pipeline::CameraInput;
use crate::config::CameraConfig;
use crate::decode::{Plan, Step, Video};
use crate::detect::Slot;
use crate::live::Offers;
use crate::model::{CameraSlug, Frame, MotionReport, Observation, Packet, ViewProblem};
use crate::motion::MotionDetector;
use crate::telemetry::{Stage, Telemetry, Worker};

/// What waits is looked at when a live camera sends nothing for this long: whoever cuts the cable was seen before.
const SILENCE: Duration = Duration::from_millis(1500);
/// Packets that may arrive while the detector is shown how something began: 6 s at 25 a second. Then it is shown the newest, as
/// always when it cannot keep up.
const MOST_EARLY: usize = 150;

/// Runs until the camera's packets end, or until nobody takes observations.
pub(super) fn watch_camera(
    camera: CameraInput,
    live: bool,
    slot: &Slot,
    offers: &Offers,
    telemetry: &Telemetry,
) {
    let CameraInput { config, packets, .. } = camera;
    let mut video = Video::new(&config.camera, config.privacy_masks.clone(), config.hardware, telemetry);
    let mut plan = Plan::new(config.decode);
    let mut eye = Eye::new(&config, live, slot, offers, telemetry);
    // A replay goes by the packets only, not by when they come.
    let mut packets = Arrivals::new(packets, live.then_some(SILENCE));
    loop {
        let end = match packets.next(video.waits()) {
            Arrival::Packet(packet) => match plan.next(&packet, || eye.is_wanted()) {
                Step::Keep => {
                    video.keep(packet);
                    continue;
                }
                Step::Decode => {
                    video.keep(packet);
                    false
                }
                Step::Glimpse => {
                    if video.glimpse(packet).is_some_and(|frame| !eye.would_move(frame)) {
                        video.skip_to_glimpse();
                    }
                    false
                }
            },
            Arrival::Silence => false,
            Arrival::End => true,
        };
        while let Some(frames) = video.decode_next() {
            packets.fetch();
            let behind = end || packets.are_behind(video.waits());
            if frames.into_iter().try_for_each(|frame| eye.see(frame, behind)).is_break() {
                return;
            }
        }
        if end {
            // Nobody is left who could be told to stop.
            let _ = video.flush().into_iter().try_for_each(|frame| eye.see(frame, true));
            return;
        }
        plan.caught_up(eye.saw_motion());
    }
}

/// A restless view in which nothing is ever found is looked at only this often: people stay longer, and once one is found, every
/// frame counts again.
const NOISY_PACE: f64 = 1.0;

/// What looks at the frames of one camera before the detector does.
struct Eye<'a> {
    camera: &'a CameraSlug,
    pace: Pace,
    /// For a live camera with a restless view.
    slow_pace: Option<Pace>,
    motion: MotionDetector,
    view: Option<ViewProblem>,
    worker: Worker,
    slot: &'a Slot,
    offers: &'a Offers,
    telemetry: &'a Telemetry,
    /// Whether something moved in the last frame that was examined, or in one since [`Self::saw_motion`] was asked.
    moved: bool,
    examined: bool,
}

impl<'a> Eye<'a> {
    fn new(
        config: &'a CameraConfig,
        live: bool,
        slot: &'a Slot,
        offers: &'a Offers,
        telemetry: &'a Telemetry,
    ) -> Self {
        Self {
            camera: config.slug(),
            pace: Pace::new(config.fps),
            slow_pace: live.then(|| Pace::new(config.fps.min(NOISY_PACE))),
            view: None,
            telemetry,
            motion: MotionDetector::new(config.motion, config.motion_masks.clone()),
            worker: telemetry.worker(Stage::Motion, format!("motion-{}", config.slug())),
            slot,
            offers,
            moved: true,
            examined: false,
        }
    }

    /// Whether somebody needs every frame.
    fn is_wanted(&self) -> bool {
        self.offers.watched() || self.slot.follows()
    }

    /// Whether something moves in a frame whose turn has not come.
    fn would_move(&self, frame: &Frame) -> bool {
        let _busy = self.worker.busy();
        shows_motion(&self.motion.clone().update(frame))
    }

    /// Takes a frame in its turn. `wait`: the detector is to see it, even if it is busy.
    fn see(&mut self, frame: Frame, wait: bool) -> ControlFlow<()> {
        let frame = Arc::new(frame);
        self.offers.offer(&frame);
        if !self.pace.is_due(frame.captured.at) {
            return ControlFlow::Continue(());
        }
        let followed = self.slot.followed();
        let motion = {
            let _busy = self.worker.busy();
            let motion = self.motion.update(&frame);
            let view = self.motion.judge_view(&frame, &motion, followed);
            if view != self.view {
                self.telemetry.cameras.view(self.camera, view);
                self.view = view;
            }
            motion
        };
        self.moved = shows_motion(&motion) || (self.examined && self.moved);
        self.examined = true;
        if self.view == Some(ViewProblem::Noisy)
            && !followed
            && self.slow_pace.as_mut().is_some_and(|pace| !pace.is_due(frame.captured.at))
        {
            self.telemetry.metrics.dropped(self.camera.as_str(), "noisy", true);
            return ControlFlow::Continue(());
        }
        let observation = Observation { frame, motion };
        if self.slot.put(observation, wait) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Whether something moved in the frames since this was last asked; if none was examined, in the last one.
    fn saw_motion(&mut self) -> bool {
        self.examined = false;
        self.moved
    }
}

/// One frame with a change is enough, unlike for an event.
fn shows_motion(report: &MotionReport) -> bool {
    report.active || report.light_change || !report.boxes.is_empty()
}

/// The packets of a camera, also those that arrive while others are decoded.
struct Arrivals {
    queue: mpsc::Receiver<Packet>,
    early: VecDeque<Packet>,
    /// So many came early that the detector cannot be waited for.
    hurry: bool,
    silence: Option<Duration>,
}

enum Arrival {
    Packet(Packet),
    /// None came for a while.
    Silence,
    End,
}

impl Arrivals {
    fn new(queue: mpsc::Receiver<Packet>, silence: Option<Duration>) -> Self {
        Self { queue, early: VecDeque::new(), hurry: false, silence }
    }

    /// Waits for the next packet; if others `wait` for what it shows, not for ever.
    fn next(&mut self, wait: bool) -> Arrival {
        if let Some(packet) = self.early.pop_front() {
            return Arrival::Packet(packet);
        }
        let received = match self.silence.filter(|_| wait) {
            None => self.queue.blocking_recv(),
            Some(silence) => match receive_within(&mut self.queue, silence) {
                Poll::Pending => return Arrival::Silence,
                Poll::Ready(received) => received,
            },
        };
        received.map_or(Arrival::End, Arrival::Packet)
    }

    /// Takes what has arrived out of the queue, which is short: a full one would lose packets.
    fn fetch(&mut self) {
        while self.early.len() < MOST_EARLY
            && let Ok(packet) = self.queue.try_recv()
        {
            self.early.push_back(packet);
        }
    }

    /// Whether what is decoded now belongs to the past, with time left to show all of it to the detector. `more` of it waits.
    fn are_behind(&mut self, more: bool) -> bool {
        let behind = more || !self.early.is_empty();
        self.hurry = behind && (self.hurry || self.early.len() >= MOST_EARLY);
        behind && !self.hurry
    }
}

/// `blocking_recv` with a limit, which the queue has not. Pending: nothing came in time.
fn receive_within<T>(queue: &mut mpsc::Receiver<T>, limit: Duration) -> Poll<Option<T>> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let deadline = Instant::now() + limit;
    loop {
        if let Poll::Ready(received) = queue.poll_recv(&mut Context::from_waker(&waker)) {
            return Poll::Ready(received);
        }
        match deadline.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => std::thread::park_timeout(left),
            Some(_) | None => return Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_ends_the_wait_and_nothing_is_lost_by_it() {
        let (sender, mut queue) = mpsc::channel(4);
        assert_eq!(receive_within(&mut queue, Duration::from_millis(20)), Poll::Pending);
        let late = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            sender.blocking_send(7)
        });
        assert_eq!(receive_within(&mut queue, Duration::from_secs(20)), Poll::Ready(Some(7)));
        late.join().expect("it sends").expect("somebody receives");
        assert_eq!(receive_within(&mut queue, Duration::from_secs(20)), Poll::Ready(None));
    }

    #[test]
    fn who_is_too_far_behind_does_not_wait_until_all_is_shown() {
        let (_sender, queue) = mpsc::channel(1);
        let mut packets = Arrivals::new(queue, None);
        assert!(!packets.are_behind(false) && packets.are_behind(true));
        packets.hurry = true;
        assert!(!packets.are_behind(true), "still behind");
        assert!(!packets.are_behind(false) && packets.are_behind(true), "caught up in between");
    }
}
