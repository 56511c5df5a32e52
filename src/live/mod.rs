//! Live pictures: what a camera sees now, for whoever watches it.
//!
//! The decode threads offer every frame, masks painted ([`Offers`]); the API watches ([`Viewer`]). Between them is one slot a camera,
//! newest wins, and it is filled only while somebody watches: nobody watching costs nothing. A frame is encoded once for all
//! viewers of one size, one frame at a time, so that viewers never take more than one core from the detector. Who is slow
//! skips frames and holds up nobody.
//!
//! How pictures travel (multipart, snapshot) is the API's business.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore, watch};

use crate::model::{CameraSlug, Frame, UtcMillis};
use crate::pixels::{JpegError, encode_jpeg};

/// Viewers of all cameras at the same time.
pub const SEATS: usize = 16;
/// Of live pictures; they are gone in a moment.
const QUALITY: u8 = 75;

/// The live pictures of all cameras. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Live(Arc<Shared>);

type Slot = watch::Sender<Option<Arc<Shown>>>;

#[derive(Debug)]
struct Shared {
    /// Weak: a camera that has ended ends its viewers.
    cameras: Mutex<BTreeMap<CameraSlug, Weak<Slot>>>,
    seats: Arc<Semaphore>,
    encoder: Arc<Semaphore>,
    began: Instant,
}

/// Why a camera cannot be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotShown {
    /// It is off, has ended, or was never there.
    #[error("the camera delivers no pictures")]
    Dark,
    /// [`SEATS`] are taken.
    #[error("{SEATS} programs are watching already; close one of them")]
    Full,
}

/// What a viewer wants.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Pictures a second at most.
    pub fps: u32,
    /// Pixels; a picture is scaled down to it, never up. `None`: as the camera delivers.
    pub width: Option<usize>,
}

impl Default for Live {
    fn default() -> Self {
        Self(Arc::new(Shared {
            cameras: Mutex::default(),
            seats: Arc::new(Semaphore::new(SEATS)),
            encoder: Arc::new(Semaphore::new(1)),
            began: Instant::now(),
        }))
    }
}

impl Live {
    /// The end of a camera that offers frames. Dropping it ends the camera's viewers.
    #[must_use]
    pub fn camera(&self, camera: CameraSlug) -> Offers {
        let slot = Arc::new(watch::Sender::new(None));
        self.lock().insert(camera, Arc::downgrade(&slot));
        Offers(slot)
    }

    /// Begins to watch.
    pub fn watch(&self, camera: &CameraSlug, view: View) -> Result<Viewer, NotShown> {
        let seat = Arc::clone(&self.0.seats).try_acquire_owned().map_err(|_| NotShown::Full)?;
        let slot = self.lock().get(camera).and_then(Weak::upgrade).ok_or(NotShown::Dark)?;
        Ok(Viewer {
            slot: slot.subscribe(),
            view,
            beat: None,
            began: self.0.began,
            encoder: Arc::clone(&self.0.encoder),
            _seat: seat,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<CameraSlug, Weak<Slot>>> {
        self.0.cameras.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the decode thread of a camera shows its frames.
#[derive(Debug)]
pub struct Offers(Arc<Slot>);

impl Offers {
    /// Whether somebody watches.
    #[must_use]
    pub fn watched(&self) -> bool {
        self.0.receiver_count() > 0
    }

    /// Shows a frame, if somebody watches. Never waits.
    pub fn offer(&self, frame: &Arc<Frame>) {
        if self.watched() {
            self.0.send_replace(Some(Arc::new(Shown::new(Arc::clone(frame)))));
        } else if self.0.borrow().is_some() {
            // What the last viewer left behind.
            self.0.send_replace(None);
        }
    }
}

/// A frame with the pictures made of it.
#[derive(Debug)]
struct Shown {
    frame: Arc<Frame>,
    offered: Instant,
    stills: Mutex<BTreeMap<usize, Arc<OnceCell<Still>>>>,
}

impl Shown {
    fn new(frame: Arc<Frame>) -> Self {
        Self { frame, offered: Instant::now(), stills: Mutex::default() }
    }

    /// The picture of that width, made by the first who asks.
    async fn still(&self, width: Option<usize>, encoder: &Arc<Semaphore>) -> Result<Still, String> {
        let width = width.map_or(self.frame.width(), |width| width.min(self.frame.width()));
        let still = {
            let mut stills = self.stills.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(stills.entry(width).or_default())
        };
        let encoded = still.get_or_try_init(|| async {
            // A viewer that leaves meanwhile does not free the encoder: the thread keeps the permit to its end.
            let turn = Arc::clone(encoder).acquire_owned().await.expect("the semaphore is never closed");
            let frame = Arc::clone(&self.frame);
            let encoding = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                Still::of(&frame, width)
            });
            let still = encoding.await.map_err(|error| error.to_string())?;
            still.map_err(|error| error.to_string())
        });
        encoded.await.cloned()
    }
}

/// An encoded picture.
#[derive(Clone)]
pub struct Still {
    /// Its file.
    pub jpeg: Arc<[u8]>,
    /// When the camera delivered it.
    pub taken: UtcMillis,
}

impl std::fmt::Debug for Still {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Still({} bytes, {})", self.jpeg.len(), self.taken)
    }
}

impl Still {
    fn of(frame: &Frame, width: usize) -> Result<Self, JpegError> {
        let (across, down) = (frame.width(), frame.height());
        let long_side = if across >= down { width } else { (width * down + across / 2) / across };
        let (jpeg, _) = encode_jpeg(frame, long_side, QUALITY)?;
        Ok(Self { jpeg: jpeg.into(), taken: frame.captured.utc })
    }
}

/// One who watches a camera. Dropping it frees the seat.
#[derive(Debug)]
pub struct Viewer {
    slot: watch::Receiver<Option<Arc<Shown>>>,
    view: View,
    /// Time is cut into pieces of one picture each; the last one that had its picture.
    beat: Option<u128>,
    began: Instant,
    encoder: Arc<Semaphore>,
    _seat: OwnedSemaphorePermit,
}

impl Viewer {
    /// The next picture that is due; `None` when the camera has ended. Can be dropped while waiting.
    pub async fn next(&mut self) -> Option<Still> {
        loop {
            self.slot.changed().await.ok()?;
            let Some(shown) = self.slot.borrow_and_update().clone() else { continue };
            // Counted from a common beginning, so that all viewers of one rate take the same frames.
            let passed = shown.offered.saturating_duration_since(self.began);
            let beat = passed.as_micros() * u128::from(self.view.fps) / 1_000_000;
            if self.beat == Some(beat) {
                continue;
            }
            match shown.still(self.view.width, &self.encoder).await {
                Ok(still) => {
                    self.beat = Some(beat);
                    return Some(still);
                }
                Err(error) => tracing::debug!(%error, "live picture left out"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{Camera, Captured, SourceType};

    fn slug() -> CameraSlug {
        CameraSlug::parse("yard").expect("a slug")
    }

    fn frame(width: usize, height: usize) -> Arc<Frame> {
        let camera = Camera {
            uuid: uuid::Uuid::from_u128(1),
            slug: slug(),
            name: "Yard".to_owned(),
            source_type: SourceType::File,
            customer: None,
        };
        let planes = [vec![90; width * height], vec![128; width * height / 4], vec![128; width * height / 4]];
        let captured = Captured { at: Instant::now(), utc: UtcMillis(1_795_348_800_000) };
        Arc::new(Frame::new(Arc::new(camera), 1, captured, (width, height), planes).expect("planes fit"))
    }

    const EVERY: View = View { fps: 1000, width: Some(64) };

    #[test]
    fn nobody_watching_keeps_and_encodes_nothing() {
        let live = Live::default();
        let (offers, frame) = (live.camera(slug()), frame(128, 64));
        offers.offer(&frame);
        assert_eq!(Arc::strong_count(&frame), 1);
        let viewer = live.watch(&slug(), EVERY).expect("a seat");
        offers.offer(&frame);
        assert_eq!(Arc::strong_count(&frame), 2);
        drop(viewer);
        offers.offer(&frame);
        assert_eq!(Arc::strong_count(&frame), 1, "the last picture goes with the last viewer");
    }

    #[tokio::test]
    async fn one_encoding_serves_all_viewers_of_one_size() {
        let live = Live::default();
        let offers = live.camera(slug());
        let [mut one, mut other] = [(); 2].map(|()| live.watch(&slug(), EVERY).expect("a seat"));
        let mut large = live.watch(&slug(), View { width: None, ..EVERY }).expect("a seat");
        offers.offer(&frame(128, 64));
        let (one, other) = (one.next().await.expect("a picture"), other.next().await.expect("a picture"));
        assert!(Arc::ptr_eq(&one.jpeg, &other.jpeg));
        let size =
            |still: &Still| image::load_from_memory(&still.jpeg).map(|jpeg| (jpeg.width(), jpeg.height()));
        assert_eq!(size(&one).expect("a JPEG"), (64, 32));
        assert_eq!(size(&large.next().await.expect("a picture")).expect("a JPEG"), (128, 64));
    }

    #[tokio::test]
    async fn a_portrait_has_the_width_that_was_asked_for_and_is_never_scaled_up() {
        let live = Live::default();
        let offers = live.camera(slug());
        for (asked, given) in [(60, (60, 120)), (4000, (64, 128))] {
            let view = View { width: Some(asked), ..EVERY };
            let mut viewer = live.watch(&slug(), view).expect("a seat");
            offers.offer(&frame(64, 128));
            let still = viewer.next().await.expect("a picture");
            let jpeg = image::load_from_memory(&still.jpeg).expect("a JPEG");
            assert_eq!((jpeg.width(), jpeg.height()), given);
        }
    }

    #[tokio::test]
    async fn a_viewer_gets_no_more_pictures_than_it_asked_for() {
        let live = Live::default();
        let offers = live.camera(slug());
        let mut viewer = live.watch(&slug(), View { fps: 10, width: Some(16) }).expect("a seat");
        let (frame, began) = (frame(16, 16), Instant::now());
        let offering = std::thread::spawn(move || {
            while began.elapsed() < Duration::from_millis(950) {
                offers.offer(&frame);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let mut pictures = 0;
        while viewer.next().await.is_some() {
            pictures += 1;
        }
        offering.join().expect("no panic");
        assert!((3..=11).contains(&pictures), "{pictures} pictures in a second");
    }

    #[tokio::test]
    async fn viewers_end_with_their_camera_and_seats_are_limited() {
        let live = Live::default();
        assert_eq!(live.watch(&slug(), EVERY).err(), Some(NotShown::Dark));
        let offers = live.camera(slug());
        let mut viewers: Vec<Viewer> = (0..SEATS).map_while(|_| live.watch(&slug(), EVERY).ok()).collect();
        assert_eq!((viewers.len(), live.watch(&slug(), EVERY).err()), (SEATS, Some(NotShown::Full)));
        drop(offers);
        assert!(viewers.pop().expect("a viewer").next().await.is_none());
        assert_eq!(
            live.watch(&slug(), EVERY).err(),
            Some(NotShown::Dark),
            "its seat is free, but the camera is not"
        );
    }
}
