//! Network cameras over RTSP, through `retina`.
//!
//! Only the video stream is set up; audio and metadata are none of our business, and each further stream is one more thing a
//! camera can get wrong. Settings are tolerant where cameras are known to be odd.
//!
//! Exactly one session per stream: cameras have few places, some only two, and keep a place until its time-out when a client goes
//! without `TEARDOWN`. [`Sessions`] remembers those whose end the camera has not confirmed; a new one waits for that first.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use retina::client::{
    Credentials, Demuxed, InitialSequenceNumberPolicy, InitialTimestampPolicy, PlayOptions, Session,
    SessionGroup, SessionIdPolicy, SessionOptions, SetupOptions, TeardownPolicy, Transport,
    UnassignedChannelDataPolicy, UnknownRtcpSsrcPolicy,
};
use retina::codec::{CodecItem, FrameFormat, ParametersRef, VideoFrame, VideoParameters};
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use super::clock::CaptureClock;
use super::queue::Closed;
use super::rtsp_error::{Phase, classify, redact};
use super::{Capture, End, Failure, PacketSender, USER_AGENT, annexb};
use crate::config::{RtspSource, Transport as ConfiguredTransport};
use crate::model::{Camera, Captured, Codec, Offline, Packet};

/// The answer to a `SETUP` with a transport that the camera does not offer (RFC 2326, section 11.3.14).
const UNSUPPORTED_TRANSPORT: u16 = 461;

/// How long the end of the agent waits for a camera to confirm the end of its session: well below the time all stages have for
/// their ends together.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The sessions of one camera that may still be open on its side.
pub(super) struct Sessions(Arc<SessionGroup>);

impl Sessions {
    pub(super) fn new(camera: &Camera) -> Self {
        Self(Arc::new(SessionGroup::default().named(camera.slug.to_string())))
    }

    /// Until the camera has answered the `TEARDOWN` of every earlier session, or an attempt to tell it has failed, but no longer
    /// than `limit`. Attempts go on in the background until the session would have timed out.
    async fn ended(&self, limit: Duration) {
        let camera = self.0.name().unwrap_or_default();
        match tokio::time::timeout(limit, self.0.await_teardown()).await {
            Ok(Ok(())) => {}
            // Some servers forget a session with its connection, and then answer 404 or nothing at all.
            Ok(Err(_)) | Err(_) => {
                tracing::debug!(camera, "the camera does not confirm the end of a session")
            }
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sessions").field(&self.0.name()).finish()
    }
}

pub(super) async fn run_once(
    capture: &Capture,
    source: &RtspSource,
    out: &PacketSender,
    cancel: &CancellationToken,
) -> Result<End, Failure> {
    let result = tokio::select! {
        biased;
        () = cancel.cancelled() => Ok(End::Cancelled),
        () = out.closed() => Ok(End::Unwanted),
        result = run_session(capture, source, out) => result,
    };
    // The session was dropped, which sends TEARDOWN; that this arrives before the process ends (or the next session begins) is
    // what is waited for here.
    let limit = capture.patience.teardown;
    let limit = if cancel.is_cancelled() { limit.min(LAST_WORDS) } else { limit };
    capture.sessions.ended(limit).await;
    result
}

async fn run_session(capture: &Capture, source: &RtspSource, out: &PacketSender) -> Result<End, Failure> {
    let credentials = source.credentials.as_ref().map(|credentials| Credentials {
        username: credentials.username.clone(),
        password: credentials.password.expose_secret().to_owned(),
    });
    let wait = capture.naps.wait();
    let mut playing = Playing::open(capture, source, credentials).await?;
    tracing::debug!(camera = %capture.camera.slug, "session opened");

    let mut arrivals = capture.arrivals();
    // What the session's description says; parameters that come with the pictures may say it later, or otherwise.
    let mut news = true;
    let mut clock = CaptureClock::default();
    let (began, mut bytes) = (Instant::now(), 0);
    loop {
        let frame = playing.next_frame().await?;
        news |= frame.has_new_parameters();
        let id = frame.stream_id();
        if std::mem::take(&mut news)
            && let Some(size) = playing.parameters(id).and_then(size)
        {
            arrivals.size(size);
        }
        let captured = clock.captured(pts(&frame), Captured::now(), capture.naps.lateness());
        let mut packet = packet(&capture.camera, playing.codec, captured, frame);
        if playing.tcp {
            bytes += packet.data.len() as u64;
            wait.set_by_rate(bytes, began.elapsed());
        }
        // The library adds them itself, but not where pictures that are shown earlier may follow (H.265's "clean random access").
        if packet.key
            && packet.codec == Codec::H265
            && let Some(video) = playing.parameters(id)
        {
            annexb::complete(packet.codec, &mut packet.data, video.extra_data());
        }
        arrivals.picture(packet.captured.at);
        if out.offer(packet) == Err(Closed) {
            return Ok(End::Unwanted);
        }
    }
}

/// A session that plays.
struct Playing<'c> {
    capture: &'c Capture,
    /// For what must not be said of an error.
    credentials: Option<Credentials>,
    stream: Demuxed,
    codec: Codec,
    tcp: bool,
}

impl<'c> Playing<'c> {
    async fn open(
        capture: &'c Capture,
        source: &RtspSource,
        credentials: Option<Credentials>,
    ) -> Result<Self, Failure> {
        let limit = capture.patience.connect;
        let opened = tokio::time::timeout(limit, open(capture, source, credentials.clone())).await;
        let Ok(opened) = opened else {
            let detail = format!(
                "the camera does not answer within {} s; check its power, cable and address",
                limit.as_secs_f32().ceil()
            );
            return Err(Failure::new(Offline::Unreachable, detail));
        };
        let (stream, codec, tcp) = opened?;
        Ok(Self { capture, credentials, stream, codec, tcp })
    }

    /// Liveness is video frames: a camera may go on answering keep-alives, or sending audio, for ever.
    async fn next_frame(&mut self) -> Result<VideoFrame, Failure> {
        let stall = self.capture.patience.stall;
        match tokio::time::timeout(stall, next_frame(&mut self.stream)).await {
            Ok(Some(Ok(frame))) => Ok(frame),
            Ok(Some(Err(error))) => {
                let (camera, credentials) = (&self.capture.camera.slug, self.credentials.as_ref());
                tracing::debug!(%camera, error = redact(&error.to_string(), credentials), "session failed");
                Err(classify(&error, Phase::Play, credentials))
            }
            Ok(None) => Err(Failure::new(Offline::Protocol, "the camera ended the stream")),
            Err(_) => {
                let secs = stall.as_secs_f32();
                let detail =
                    format!("connected, but no video for {secs} s; restart the camera if this does not pass");
                Err(Failure::new(Offline::Stalled, detail))
            }
        }
    }

    /// What the stream has said of itself.
    fn parameters(&self, id: usize) -> Option<&VideoParameters> {
        match self.stream.streams().get(id)?.parameters()? {
            ParametersRef::Video(video) => Some(video),
            ParametersRef::Audio(_) | ParametersRef::Message(_) => None,
        }
    }
}

/// How large the pictures are, px.
fn size(video: &VideoParameters) -> Option<(usize, usize)> {
    let (width, height) = video.pixel_dimensions();
    Some((usize::try_from(width).ok()?, usize::try_from(height).ok()?))
}

/// The stream, its codec, and whether it comes over TCP.
async fn open(
    capture: &Capture,
    source: &RtspSource,
    credentials: Option<Credentials>,
) -> Result<(Demuxed, Codec, bool), Failure> {
    let camera = &capture.camera.slug;
    let failed = |error: retina::Error| {
        tracing::debug!(%camera, error = redact(&error.to_string(), credentials.as_ref()), "cannot open a session");
        classify(&error, Phase::Open, credentials.as_ref())
    };
    let options = SessionOptions::default()
        .creds(credentials.clone())
        .user_agent(USER_AGENT.to_owned())
        .session_group(Arc::clone(&capture.sessions.0))
        .teardown(TeardownPolicy::Always)
        // Cameras that change the id between two SETUPs, and cameras that send audio nobody asked for.
        .session_id(SessionIdPolicy::UseFirst)
        .unassigned_channel_data(UnassignedChannelDataPolicy::Ignore);
    let mut session = Session::describe(source.url.clone(), options).await.map_err(failed)?;
    let (stream, codec) = video_stream(&session)?;
    let setup = |transport| SetupOptions::default().transport(transport).frame_format(FrameFormat::SIMPLE);
    let over_tcp = || setup(Transport::Tcp(Default::default()));
    let over_udp = || setup(Transport::Udp(Default::default()));
    let tcp = match source.transport {
        ConfiguredTransport::Tcp => session.setup(stream, over_tcp()).await.map(|()| true),
        ConfiguredTransport::Udp => session.setup(stream, over_udp()).await.map(|()| false),
        // TCP first: over UDP, packets are lost even on the way from the kernel to here, and nothing puts them into order.
        ConfiguredTransport::Auto => match session.setup(stream, over_tcp()).await {
            Err(error) if error.status_code() == Some(UNSUPPORTED_TRANSPORT) => {
                tracing::debug!(%camera, "the camera refuses tcp; trying udp");
                session.setup(stream, over_udp()).await.map(|()| false)
            }
            outcome => outcome.map(|()| true),
        },
    };
    let tcp = tcp.map_err(failed)?;
    let play = PlayOptions::default()
        // With one stream there is nothing to align, and many cameras send a wrong `RTP-Info`.
        .initial_timestamp(InitialTimestampPolicy::Ignore)
        .initial_seq(InitialSequenceNumberPolicy::Ignore)
        .unknown_rtcp_ssrc(UnknownRtcpSsrcPolicy::DropPackets);
    let stream = session.play(play).await.map_err(failed)?.demuxed().map_err(failed)?;
    Ok((stream, codec, tcp))
}

fn video_stream<S: retina::client::State>(session: &Session<S>) -> Result<(usize, Codec), Failure> {
    let video = || session.streams().iter().enumerate().filter(|(_, stream)| stream.media() == "video");
    for (name, codec) in [("h264", Codec::H264), ("h265", Codec::H265), ("jpeg", Codec::Jpeg)] {
        if let Some((index, _)) = video().find(|(_, stream)| stream.encoding_name() == name) {
            return Ok((index, codec));
        }
    }
    let offered: Vec<String> = video().map(|(_, stream)| stream.encoding_name().to_uppercase()).collect();
    let detail = if offered.is_empty() {
        "the camera offers no video at this address; check the path in source".to_owned()
    } else {
        format!("the camera sends {}; set its video encoding to H.264 or H.265", offered.join(" and "))
    };
    Err(Failure::new(Offline::Codec, detail))
}

async fn next_frame(stream: &mut Demuxed) -> Option<Result<VideoFrame, retina::Error>> {
    loop {
        match stream.next().await? {
            Ok(CodecItem::VideoFrame(frame)) => return Some(Ok(frame)),
            // Sender reports; and only the video stream was set up.
            Ok(_) => {}
            Err(error) => return Some(Err(error)),
        }
    }
}

fn pts(frame: &VideoFrame) -> Duration {
    Duration::try_from_secs_f64(frame.timestamp().elapsed_secs()).unwrap_or_default()
}

fn packet(camera: &Arc<Camera>, codec: Codec, captured: Captured, frame: VideoFrame) -> Packet {
    let (pts, gap) = (pts(&frame), frame.loss() > 0);
    let data = frame.into_data();
    Packet { camera: Arc::clone(camera), captured, pts, codec, key: annexb::is_key(codec, &data), gap, data }
}
