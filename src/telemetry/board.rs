//! The state of each camera, as the API shows it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::model::{Camera, CameraSlug, CameraState, Captured, Offline, Stream, UtcMillis, ViewProblem};

/// What is known about one camera.
#[derive(Debug, Clone)]
pub struct CameraStatus {
    /// Its identity.
    pub camera: Arc<Camera>,
    /// The stream that is watched: whether it delivers is whether the camera does.
    pub watched: StreamStatus,
    /// The main stream, if there is one.
    pub main: Option<StreamStatus>,
    /// Pictures decoded since the agent started.
    pub frames_decoded: u64,
    /// When the last picture was decoded.
    pub last_frame: Option<UtcMillis>,
    /// What is wrong with what it shows.
    pub view: Option<ViewProblem>,
    /// When it was last said to be offline: pictures from before do not disprove it.
    offline_at: Option<Instant>,
}

/// What is known about one of its streams.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamStatus {
    /// Whether it delivers pictures.
    pub state: CameraState,
    /// Since when it is in that state.
    pub since: UtcMillis,
    /// Sessions opened so far.
    pub sessions: u64,
    /// Size of its pictures, px: of the last one that was decoded, or what the stream says of itself.
    pub size: Option<(usize, usize)>,
    /// How many pictures a second arrive.
    pub fps: Option<f64>,
    /// What decodes its pictures.
    pub decoder: Option<&'static str>,
}

impl StreamStatus {
    fn new() -> Self {
        let state = CameraState::Starting;
        Self { state, since: UtcMillis::now(), sessions: 0, size: None, fps: None, decoder: None }
    }

    fn become_state(&mut self, state: CameraState, since: UtcMillis) {
        (self.state, self.since) = (state, since);
    }

    /// Counts the attempts since it last delivered. Whether the reason is news.
    fn offline(&mut self, reason: Offline, detail: String) -> bool {
        self.fps = None;
        let (before, attempts) = match &self.state {
            CameraState::Offline { reason, attempts, .. } => (Some(*reason), attempts + 1),
            CameraState::Starting | CameraState::Online | CameraState::Ended => {
                self.since = UtcMillis::now();
                (None, 1)
            }
        };
        self.state = CameraState::Offline { reason, detail, attempts };
        before != Some(reason)
    }
}

/// All cameras. Written by capture and decode, read by the API.
#[derive(Debug, Default)]
pub struct CameraBoard(Mutex<BTreeMap<CameraSlug, CameraStatus>>);

impl CameraBoard {
    /// Announces a camera.
    pub fn add(&self, camera: Arc<Camera>) {
        let status = CameraStatus {
            watched: StreamStatus::new(),
            main: None,
            frames_decoded: 0,
            last_frame: None,
            view: None,
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
            status.watched.size = Some(size);
            let news = status.offline_at.is_none_or(|offline| taken.at > offline);
            if news && !matches!(status.watched.state, CameraState::Online | CameraState::Ended) {
                status.watched.become_state(CameraState::Online, taken.utc);
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
            status.watched.offline(reason, detail);
            status.offline_at = Some(at);
        }
    }

    /// A session of a stream was opened.
    pub fn session(&self, camera: &CameraSlug, stream: Stream) {
        self.change(camera, stream, |status| status.sessions += 1);
    }

    /// How many sessions of its main stream were opened so far.
    #[must_use]
    pub fn main_sessions(&self, camera: &CameraSlug) -> u64 {
        let all = self.lock();
        all.get(camera).and_then(|status| status.main.as_ref()).map_or(0, |main| main.sessions)
    }

    /// How many pictures a second arrive.
    pub fn fps(&self, camera: &CameraSlug, stream: Stream, fps: f64) {
        self.change(camera, stream, |status| status.fps = Some(fps));
    }

    /// How large the pictures of a stream are.
    pub fn size(&self, camera: &CameraSlug, stream: Stream, size: (usize, usize)) {
        self.change(camera, stream, |status| status.size = Some(size));
    }

    /// What decodes the pictures of a stream from now on.
    pub fn decoder(&self, camera: &CameraSlug, stream: Stream, name: &'static str) {
        self.change(camera, stream, |status| status.decoder = Some(name));
    }

    /// The camera has a main stream, of which nothing is known yet.
    pub fn expect_main(&self, camera: &CameraSlug) {
        if let Some(status) = self.lock().get_mut(camera) {
            status.main = Some(StreamStatus::new());
        }
    }

    /// The main stream delivers pictures, as far as is known without decoding them.
    pub fn main_online(&self, camera: &CameraSlug) {
        self.change(camera, Stream::Main, |main| {
            if main.state != CameraState::Online {
                main.become_state(CameraState::Online, UtcMillis::now());
                tracing::info!(%camera, "main stream online");
            }
        });
    }

    /// The main stream delivers nothing of use; the camera's own state is another matter. Whether the reason is news.
    pub fn main_offline(&self, camera: &CameraSlug, reason: Offline, detail: String) -> bool {
        self.change(camera, Stream::Main, |main| main.offline(reason, detail)).unwrap_or(false)
    }

    /// What is wrong with what the camera shows, if anything is.
    pub fn view(&self, camera: &CameraSlug, problem: Option<ViewProblem>) {
        if let Some(status) = self.lock().get_mut(camera) {
            status.view = problem;
        }
    }

    /// A file was read to its end. If its pictures could not be decoded, that stays to be seen.
    pub fn ended(&self, camera: &CameraSlug) {
        self.change(camera, Stream::Watched, |status| match status.state {
            CameraState::Offline { reason: Offline::Codec | Offline::Decode, .. } => {}
            CameraState::Offline { .. }
            | CameraState::Starting
            | CameraState::Online
            | CameraState::Ended => {
                status.become_state(CameraState::Ended, UtcMillis::now());
            }
        });
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

    fn change<R>(
        &self,
        camera: &CameraSlug,
        stream: Stream,
        change: impl FnOnce(&mut StreamStatus) -> R,
    ) -> Option<R> {
        let mut all = self.lock();
        let status = all.get_mut(camera)?;
        match stream {
            Stream::Watched => Some(change(&mut status.watched)),
            Stream::Main => status.main.as_mut().map(change),
        }
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
        let state = || board.get(&slug).expect("it was added").watched.state.as_str();
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
