//! A look at one camera: what it sends, whether this machine keeps up, and what to set.
//!
//! The camera is watched as the agent watches it, by the same capture and the same decoder, for some seconds. Everything is
//! decoded, as it would be while something happens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::Serialize;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use crate::capture::{self, Capture, Failure};
use crate::config::{CameraConfig, Source};
use crate::decode::{DecodeError, Decoder};
use crate::model::{Codec, Frame, Offline, Packet};
use crate::pixels::encode_jpeg;
use crate::telemetry::{Telemetry, thread_cpu};

/// What a camera sends.
#[derive(Debug, Clone, Serialize)]
pub struct Probe {
    /// H.264, H.265, MJPEG, YUYV, NV12.
    pub codec: &'static str,
    /// What decodes them here; `None` if nothing could.
    pub decoder: Option<&'static str>,
    /// Pixels; `None` if nothing could be decoded.
    pub width: Option<usize>,
    /// Pixels.
    pub height: Option<usize>,
    /// Pictures a second.
    pub fps: f64,
    /// The longest time between two pictures at which decoding can begin; `None` if there were not two.
    pub key_frame_interval_s: Option<f64>,
    /// Thousand bits a second.
    pub kbit_per_s: f64,
    /// Coded pictures that arrived.
    pub pictures: u64,
    /// How many of them were decoded.
    pub decoded: u64,
    /// Pictures that were damaged.
    pub damaged: u64,
    /// Until the first picture was decoded.
    pub first_picture_s: Option<f64>,
    /// Processor time to decode one picture, ms.
    pub decode_ms: f64,
    /// Share of one processor core that decoding every picture takes.
    pub decode_share: f64,
    /// Whether that is little enough.
    pub keeps_up: bool,
    /// What to set.
    pub advice: Vec<String>,
    /// The last picture.
    #[serde(skip)]
    pub picture: Option<Vec<u8>>,
}

/// What a stream is for, which decides what is advised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamRole {
    /// It is watched: all of it is decoded while something happens.
    Watched,
    /// Single pictures of it are decoded.
    Main,
}

/// More than this share of a core leaves too little for everything else.
const KEEPS_UP: f64 = 0.5;

/// The same of its main stream, if it has one.
pub(super) fn probe_main(camera: &CameraConfig, length: Duration) -> Option<Result<Result<Probe, Failure>>> {
    let source = Source::Rtsp(camera.main.clone()?);
    Some(probe(&CameraConfig { source, main: None, ..camera.clone() }, StreamRole::Main, length))
}

/// Watches a camera for `length` after its first packet. `Ok(Err)`: it sends nothing, and why.
pub fn probe(camera: &CameraConfig, role: StreamRole, length: Duration) -> Result<Result<Probe, Failure>> {
    let telemetry = Arc::new(Telemetry::default());
    let (out, packets) = capture::channel(camera, &telemetry);
    let source = Capture::new(camera, Arc::clone(&telemetry));
    let watched = camera.clone();
    let cancel = CancellationToken::new();
    let watching = {
        let cancel = cancel.clone();
        let body = move || {
            let seen = watch(packets, &watched, length);
            cancel.cancel();
            seen
        };
        std::thread::Builder::new().name("probe".to_owned()).spawn(body).context("cannot start a thread")?
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let outcome = runtime.block_on(source.run_once(&out, &cancel));
    drop(out);
    let seen = watching.join().map_err(|_| anyhow::anyhow!("watching the camera failed"))?;
    Ok(match (outcome, seen.codec) {
        (Err(failure), _) if seen.pictures == 0 => Err(failure),
        (_, Some(codec)) => Ok(seen.judge(codec, role)),
        (_, None) => {
            Err(Failure { reason: Offline::Stalled, detail: "the camera sends no pictures".to_owned() })
        }
    })
}

#[derive(Default)]
struct Seen {
    codec: Option<Codec>,
    pictures: u64,
    decoded: u64,
    damaged: u64,
    bytes: usize,
    keys: Vec<Duration>,
    first: Duration,
    last: Duration,
    began: Option<Instant>,
    first_picture: Option<Duration>,
    cpu: Duration,
    unsupported: Option<String>,
    frame: Option<Frame>,
    decoder: Option<&'static str>,
}

fn watch(mut packets: Receiver<Packet>, camera: &CameraConfig, length: Duration) -> Seen {
    let mut decoder = Decoder::new(Arc::clone(&camera.camera)).with_hardware(camera.hardware);
    let mut seen = Seen::default();
    let opened = Instant::now();
    while let Some(packet) = packets.blocking_recv() {
        seen.packet(&packet);
        let before = thread_cpu();
        let result = decoder.decode(&packet);
        seen.cpu += thread_cpu().saturating_sub(before);
        seen.decoder = decoder.name().or(seen.decoder);
        match result {
            Ok(decoded) => {
                seen.cpu += decoded.elsewhere;
                seen.decoded += decoded.frames.len() as u64;
                seen.frame = decoded.frames.into_iter().last().or(seen.frame.take());
            }
            Err(DecodeError::Unsupported(what)) => seen.unsupported = Some(what),
            Err(_) => seen.damaged += 1,
        }
        if seen.frame.is_some() {
            seen.first_picture.get_or_insert_with(|| opened.elapsed());
        }
        if seen.last.saturating_sub(seen.first) >= length
            || seen.began.is_some_and(|began| began.elapsed() >= length * 2)
        {
            break;
        }
    }
    seen
}

impl Seen {
    fn packet(&mut self, packet: &Packet) {
        if self.codec.is_none() {
            self.first = packet.pts;
            self.began = Some(Instant::now());
        }
        self.codec = Some(packet.codec);
        self.pictures += 1;
        self.bytes += packet.data.len();
        self.last = self.last.max(packet.pts);
        if packet.key {
            self.keys.push(packet.pts);
        }
    }

    fn judge(self, codec: Codec, role: StreamRole) -> Probe {
        let span = self.last.saturating_sub(self.first).as_secs_f64();
        let intervals = self.pictures.saturating_sub(1) as f64;
        let fps = if span > 0.0 { intervals / span } else { 0.0 };
        // The last picture's own time is not part of the span.
        let seconds = if fps > 0.0 { self.pictures as f64 / fps } else { 1.0 };
        let gaps = self.keys.windows(2).map(|pair| pair[1].saturating_sub(pair[0]).as_secs_f64());
        let decode_share = self.cpu.as_secs_f64() / seconds;
        let (width, height) = self.frame.as_ref().map(|frame| (frame.width(), frame.height())).unzip();
        let mut probe = Probe {
            codec: codec.as_str(),
            decoder: self.decoder,
            width,
            height,
            fps: round(fps, 1),
            key_frame_interval_s: gaps.reduce(f64::max).map(|gap| round(gap, 2)),
            kbit_per_s: round(self.bytes as f64 * 8.0 / 1000.0 / seconds, 0),
            pictures: self.pictures,
            decoded: self.decoded,
            damaged: self.damaged,
            first_picture_s: self.first_picture.map(|time| round(time.as_secs_f64(), 2)),
            decode_ms: round(self.cpu.as_secs_f64() * 1000.0 / self.pictures.max(1) as f64, 2),
            decode_share: round(decode_share, 3),
            keeps_up: decode_share <= KEEPS_UP && self.decoded > 0,
            advice: Vec::new(),
            picture: self
                .frame
                .as_ref()
                .and_then(|frame| encode_jpeg(frame, frame.width().max(frame.height()), 90).ok())
                .map(|(jpeg, _)| jpeg),
        };
        probe.advice = advice(&probe, codec, role, span, self.unsupported.as_deref());
        probe
    }
}

/// What a person can set in the camera, most important first.
fn advice(
    probe: &Probe,
    codec: Codec,
    role: StreamRole,
    span: f64,
    unsupported: Option<&str>,
) -> Vec<String> {
    let mut advice = Vec::new();
    if let Some(what) = unsupported {
        advice.push(format!(
            "the video uses {what}, which cannot be decoded; set it to {}",
            DecodeError::SUPPORTED
        ));
    }
    let coded = match codec {
        Codec::H264 | Codec::H265 => true,
        Codec::Jpeg | Codec::Yuyv { .. } | Codec::Nv12 { .. } => false,
    };
    match probe.key_frame_interval_s {
        Some(gap) if coded && gap > 4.5 => advice.push(format!(
            "a key frame every {gap} s is late; set the key frame (I frame) interval to 1 to 4 s"
        )),
        None if coded && span > 4.5 => advice.push(format!(
            "not two key frames in {span:.0} s; set the key frame (I frame) interval to 1 to 4 s"
        )),
        Some(_) | None => {}
    }
    if role == StreamRole::Watched && probe.width.is_some_and(|width| width > 1280) {
        advice.push(
            "the picture is larger than the detector needs; use the camera's substream, 640x360 to 1280x720"
                .to_owned(),
        );
    }
    if role == StreamRole::Watched && probe.fps > 16.0 {
        advice.push(format!("{} pictures a second are more than needed; set it to 10", probe.fps));
    }
    if probe.fps > 0.0 && probe.fps < 4.5 && coded {
        advice.push(format!("{} pictures a second miss who runs; set it to 10", probe.fps));
    }
    if probe.damaged > 0 {
        advice.push(format!(
            "{} of {} pictures were damaged; use transport = \"tcp\", and look after the Wi-Fi",
            probe.damaged, probe.pictures
        ));
    }
    if probe.decoded > 0 && !probe.keeps_up {
        advice.push(format!(
            "decoding takes {:.0} % of a core; make the picture smaller or send fewer",
            probe.decode_share * 100.0
        ));
    }
    advice
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(keys: &[u64], pictures: u64, last_ms: u64, bytes: usize) -> Seen {
        let ms = Duration::from_millis;
        let keys = keys.iter().map(|at| ms(*at)).collect();
        Seen { keys, pictures, bytes, decoded: pictures, last: ms(last_ms), ..Seen::default() }
    }

    #[test]
    fn numbers_are_those_of_the_stream() {
        let probe = seen(&[0, 2000, 4000], 41, 4000, 512_500).judge(Codec::H264, StreamRole::Watched);
        assert_eq!((probe.fps, probe.key_frame_interval_s), (10.0, Some(2.0)));
        assert_eq!(probe.kbit_per_s, 1000.0);
        assert!(probe.keeps_up && probe.advice.is_empty(), "{probe:?}");
    }

    #[test]
    fn advice_names_what_to_set() {
        let mut long = seen(&[0, 10_000], 301, 10_000, 100);
        (long.damaged, long.cpu) = (3, Duration::from_secs(9));
        let probe = long.judge(Codec::H265, StreamRole::Watched);
        let told = probe.advice.join("\n");
        for part in ["a key frame every 10 s", "set it to 10", "3 of 301 pictures", "90 % of a core"] {
            assert!(told.contains(part), "{told}");
        }
        assert!(!probe.keeps_up);
        let told = seen(&[0], 61, 6000, 1).judge(Codec::H264, StreamRole::Watched).advice.join("\n");
        assert!(told.contains("not two key frames in 6 s"), "{told}");
    }

    #[test]
    fn a_main_stream_may_be_as_large_and_as_fast_as_it_likes() {
        let of = |role| {
            let mut probe = seen(&[0, 2000, 4000], 101, 4000, 512_500).judge(Codec::H264, role);
            probe.width = Some(3840);
            advice(&probe, Codec::H264, role, 4.0, None)
        };
        assert_eq!((of(StreamRole::Watched).len(), of(StreamRole::Main).len()), (2, 0));
    }
}
