//! The state of each camera, as the API shows it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::model::{Camera, CameraSlug, CameraState, Captured, Offline, UtcMillis, ViewProblem};

/// What is known about one camera.
#[derive(Debug, Clone)]
pub struct CameraStatus {
    /// Its identity.
    pub camera: Arc<Camera>,
    /// Whether it delivers pictures.
    pub state: CameraState,
    /// Since when it is in that state.
    pub since: UtcMillis,
    /// Pictures decoded since the agent started.
    pub frames_decoded: u64,
    /// When the last picture was decoded.
    pub last_frame: Option<UtcMillis>,
    /// Size of the last picture, px.
    pub size: Option<(usize, usize)>,
    /// What decodes its pictures.
    pub decoder: Option<&'static str>,
    /// What is wrong with what it shows.
    pub view: Option<ViewProblem>,
    /// Whether the main stream delivers, if there is one.
    pub main: Option<CameraState>,
    /// When it was last said to be offline: pictures from before do not disprove it.
    offline_at: Option<Instant>,
}

/// All cameras. Written by capture and decode, read by the API.
#[derive(Debug, Default)]
pub struct CameraBoard(Mutex<BTreeMap<CameraSlug, CameraStatus>>);

impl CameraBoard {
    /// Announces a camera.
    pub fn add(&self, camera: Arc<Camera>) {
        let status = CameraStatus {
            state: CameraState::Starting,
            since: UtcMillis::now(),
            frames_decoded: 0,
            last_frame: None,
            size: None,
            decoder: None,
            view: None,
            main: None,
            offline_at: None,
            camera: Arc::clone(&camera),
        };
        self.lock().insert(camera.slug.clone(), status);
    }

    /// A picture was decoded: the camera is online, whatever was said before. Only a file that has ended stays so: its last
    /// pictures are decoded after it was read.
    pub fn frame(&self, camera: &CameraSlug, taken: Captured, size: (usize, usize)) {
        if let Some(status) = self.lock().get_mut(camera) {
            status.frames_decoded += 1;
            status.last_frame = Some(taken.utc);
            status.size = Some(size);
            let news = status.offline_at.is_none_or(|offline| taken.at > offline);
            if news && !matches!(status.state, CameraState::Online | CameraState::Ended) {
                status.state = CameraState::Online;
                status.since = taken.utc;
                tracing::info!(camera = %camera, width = size.0, height = size.1, "camera online");
            }
        }
    }

    /// The camera delivers nothing. Counts the attempts since it last did.
    pub fn offline(&self, camera: &CameraSlug, reason: Offline, detail: String) {
        self.offline_at(camera, reason, detail, Instant::now());
    }

    /// The same, known from a packet of that time.
    pub fn offline_at(&self, camera: &CameraSlug, reason: Offline, detail: String, at: Instant) {
        if let Some(status) = self.lock().get_mut(camera) {
            let attempts = match &status.state {
                CameraState::Offline { attempts, .. } => attempts + 1,
                CameraState::Starting | CameraState::Online | CameraState::Ended => {
                    status.since = UtcMillis::now();
                    1
                }
            };
            status.state = CameraState::Offline { reason, detail, attempts };
            status.offline_at = Some(at);
        }
    }

    /// What decodes its pictures from now on.
    pub fn decoder(&self, camera: &CameraSlug, name: &'static str) {
        if let Some(status) = self.lock().get_mut(camera) {
            status.decoder = Some(name);
        }
    }

    /// The camera has a main stream, of which nothing is known yet.
    pub fn expect_main(&self, camera: &CameraSlug) {
        if let Some(status) = self.lock().get_mut(camera) {
            status.main = Some(CameraState::Starting);
        }
    }

    /// A key frame of the main stream has arrived.
    pub fn main_online(&self, camera: &CameraSlug) {
        if let Some(status) = self.lock().get_mut(camera)
            && status.main != Some(CameraState::Online)
        {
            status.main = Some(CameraState::Online);
            tracing::info!(%camera, "main stream online");
        }
    }

    /// The main stream delivers nothing; the camera's own state is another matter.
    pub fn main_offline(&self, camera: &CameraSlug, reason: Offline, detail: String) {
        if let Some(status) = self.lock().get_mut(camera) {
            let attempts = match &status.main {
                Some(CameraState::Offline { attempts, .. }) => attempts + 1,
                Some(CameraState::Starting | CameraState::Online | CameraState::Ended) | None => 1,
            };
            status.main = Some(CameraState::Offline { reason, detail, attempts });
        }
    }

    /// What is wrong with what the camera shows, if anything is.
    pub fn view(&self, camera: &CameraSlug, problem: Option<ViewProblem>) {
        if let Some(status) = self.lock().get_mut(camera) {
            status.view = problem;
        }
    }

    /// A file was read to its end. If its pictures could not be decoded, that stays to be seen.
    pub fn ended(&self, camera: &CameraSlug) {
        if let Some(status) = self.lock().get_mut(camera) {
            if let CameraState::Offline { reason: Offline::Codec | Offline::Decode, .. } = status.state {
                return;
            }
            status.state = CameraState::Ended;
            status.since = UtcMillis::now();
        }
    }

    /// All cameras by slug.
    #[must_use]
    pub fn all(&self) -> Vec<CameraStatus> {
        self.lock().values().cloned().collect()
    }

    /// One camera.
    #[must_use]
    pub fn get(&self, camera: &CameraSlug) -> Option<CameraStatus> {
        self.lock().get(camera).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<CameraSlug, CameraStatus>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::SourceType;

    #[test]
    fn a_picture_from_before_the_outage_does_not_end_it() {
        let slug = CameraSlug::parse("yard").expect("a slug");
        let camera = Camera {
            uuid: uuid::Uuid::nil(),
            slug: slug.clone(),
            name: "Yard".to_owned(),
            source_type: SourceType::Rtsp,
            customer: None,
        };
        let (board, before) = (CameraBoard::default(), Captured::now());
        let state = || board.get(&slug).expect("it was added").state.as_str();
        board.add(Arc::new(camera));
        board.frame(&slug, before, (4, 4));
        assert_eq!(state(), "online");
        board.offline(&slug, Offline::Refused, String::new());
        board.frame(&slug, before, (4, 4));
        assert_eq!(state(), "offline");
        board.frame(&slug, before.after(Duration::from_secs(60)), (4, 4));
        assert_eq!(state(), "online");
    }
}
