//! One stream's way to a decoder of the hardware and back: V4L2 M2M, which a Raspberry Pi 4 has, or VAAPI, which Intel's and AMD's
//! graphics have. Where there are several, each gets its trial, and the fastest decodes.
//!
//! Software decodes from the first picture on, so nothing waits for a trial. From a key frame on that comes while a stream is decoded
//! without pause, a [`Session`] of the hardware decodes beside it ([`Trial`]): the same packets, on a thread of its own, and its
//! pictures are compared and thrown away. At a later key frame it decodes instead, if each of its pictures was equal and came out
//! with its packet, and if the one in the middle took less time. So the driver has got its memory and has shown that it works before
//! anybody depends on it, every time.
//!
//! Looks at single key frames never come here: sessions are few and dear to open. Nor does H.264 with pictures out of order, which
//! few cameras send. What fails goes back to software at the next key frame, and is tried again later, if at all ([`Standings`]).
//!
//! What does not belong here: how the software decodes, and what is damage.

mod device;
mod session;
mod standing;
mod trial;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::device::Device;
use self::session::Session;
use self::standing::{Kind, May, Standings};
use self::trial::Trial;
use crate::decode::DecodeError;
use crate::decode::decoder::Picture;
use crate::model::Codec;

pub(super) use self::trial::Cost;

/// For all cameras of the process: they share the devices.
static STANDINGS: Mutex<Standings> = Mutex::new(Standings::new());

fn standings() -> MutexGuard<'static, Standings> {
    STANDINGS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What went wrong with the hardware.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Failure {
    #[error("it cannot be opened for this video: {0}")]
    Open(String),
    #[error("it does not keep up")]
    Behind,
    #[error("it holds pictures back")]
    Late,
    #[error("its pictures are not those of the software")]
    Differs,
    #[error("{0}")]
    Refused(String),
    #[error("its session was given back while the camera sent nothing")]
    Idle,
    #[error("its driver does not answer; it is not used any more until the agent is started anew")]
    Silent,
}

pub(super) struct Hardware {
    codec: Codec,
    stage: Stage,
    /// Those before the last key frame.
    parameter_sets: Vec<u8>,
    /// Processor time of the sessions, not asked for yet.
    cpu: Duration,
}

enum Stage {
    /// The software decodes.
    Software,
    Beside(Kind, Box<Trial>, Option<Turn>),
    Instead(Kind, Session),
}

impl Hardware {
    /// `None`: this machine has none.
    pub(super) fn new(codec: Codec) -> Option<Self> {
        (!Device::all().is_empty()).then(|| Self {
            codec,
            stage: Stage::Software,
            parameter_sets: Vec::new(),
            cpu: Duration::ZERO,
        })
    }

    /// Whether it decodes instead of the software.
    pub(super) fn decodes(&self) -> bool {
        self.name().is_some()
    }

    /// Of what decodes instead of the software.
    pub(super) fn name(&self) -> Option<&'static str> {
        match &self.stage {
            Stage::Instead(_, session) => Some(session.device().name()),
            Stage::Software | Stage::Beside(..) => None,
        }
    }

    /// Decoding could begin with the next packet. `size`: that of the pictures before it, px, if it was not the first.
    pub(super) fn key_frame(&mut self, size: Option<(usize, usize)>, parameter_sets: &[u8]) {
        if parameter_sets.is_empty() {
            // As before; and a session cannot begin here.
            return;
        }
        let before = std::mem::replace(&mut self.stage, Stage::Software);
        if self.parameter_sets != parameter_sets {
            // Another kind of stream from now on.
            parameter_sets.clone_into(&mut self.parameter_sets);
            return;
        }
        self.stage = match (before, size) {
            (Stage::Software, None) => Stage::Software,
            (Stage::Software, Some(size)) => {
                begin(Kind { codec: self.codec, size, parameter_sets: parameter_sets.to_vec() })
            }
            (Stage::Beside(kind, trial, turn), _) => judge(kind, trial, turn),
            (instead @ Stage::Instead(..), _) => instead,
        };
    }

    /// The picture of a packet, if it decodes instead of the software.
    pub(super) fn decode(&mut self, data: Vec<u8>) -> Result<Picture, DecodeError> {
        let Stage::Instead(kind, session) = &mut self.stage else {
            return Err(DecodeError::Damaged("no hardware decodes".to_owned()));
        };
        let made = session.decode(data).map_err(|failure| {
            failed(session.device(), kind, &failure);
            DecodeError::Damaged(format!("hardware decoder: {failure}"))
        })?;
        self.cpu += made.cpu;
        Ok(made.picture)
    }

    /// The software has made these of a packet.
    pub(super) fn follow<'p>(
        &mut self,
        data: Vec<u8>,
        mut pictures: impl ExactSizeIterator<Item = &'p Picture>,
        cost: Cost,
    ) {
        let Stage::Beside(kind, trial, _) = &mut self.stage else { return };
        let device = trial.device();
        let followed = match (pictures.len(), pictures.next()) {
            (1, Some(picture)) => trial.follow(data, picture, cost),
            _ => Err(Failure::Refused("the stream's pictures do not come one by one".to_owned())),
        };
        if let Err(failure) = followed {
            failed(device, kind, &failure);
            self.stage = Stage::Software;
        }
    }

    /// Processor time that it took since it was last asked.
    pub(super) fn take_cpu(&mut self) -> Duration {
        std::mem::take(&mut self.cpu)
    }
}

fn begin(kind: Kind) -> Stage {
    let Some((device, turn)) = Turn::take(&kind) else { return Stage::Software };
    match Session::open(device, kind.codec, kind.size) {
        Ok(session) => Stage::Beside(kind, Box::new(Trial::new(session)), turn),
        Err(failure) => {
            failed(device, &kind, &failure);
            Stage::Software
        }
    }
}

fn judge(kind: Kind, mut trial: Box<Trial>, turn: Option<Turn>) -> Stage {
    let device = trial.device();
    match trial.is_enough() {
        Ok(false) => return Stage::Beside(kind, trial, turn),
        Ok(true) => {}
        Err(failure) => {
            failed(device, &kind, &failure);
            return Stage::Software;
        }
    }
    // Without a turn it was the fastest before.
    if turn.is_some() {
        let [software, hardware] = trial.costs();
        let is_faster = hardware.wall < software.wall;
        let ms = |time: Duration| (time.as_secs_f64() * 1e5).round() / 100.0;
        tracing::info!(
            device = device.name(),
            codec = kind.codec.as_str(),
            width = kind.size.0,
            height = kind.size.1,
            software_ms = ms(software.wall),
            hardware_ms = ms(hardware.wall),
            software_cpu_ms = ms(software.cpu),
            hardware_cpu_ms = ms(hardware.cpu),
            uses = if is_faster { "hardware" } else { "software" },
            "hardware decoding measured, a picture"
        );
        standings().measured(device, &kind, is_faster.then_some(hardware.wall));
        drop(turn);
        // The next device has its turn, or this one is the fastest.
        if standings().may(&kind, Device::all(), Instant::now()) != May::Use(device) {
            return begin(kind);
        }
    }
    Stage::Instead(kind, trial.into_session())
}

/// The right to measure.
struct Turn;

impl Turn {
    /// `None`: the hardware is not for this stream now. Without a turn: it is, and nothing is to be measured.
    fn take(kind: &Kind) -> Option<(&'static Device, Option<Self>)> {
        let mut standings = standings();
        match standings.may(kind, Device::all(), Instant::now()) {
            May::Nothing => None,
            May::Use(device) => Some((device, None)),
            May::Try(device) => {
                standings.trying(Some(Instant::now()));
                Some((device, Some(Self)))
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        standings().trying(None);
    }
}

fn failed(device: &'static Device, kind: &Kind, failure: &Failure) {
    let is_news = standings().failed(device, kind, failure, Instant::now());
    let device = device.name();
    let (codec, width, height) = (kind.codec.as_str(), kind.size.0, kind.size.1);
    match failure {
        Failure::Open(_) | Failure::Behind if is_news => {
            tracing::info!(device, codec, width, height, %failure, "decoding in software, not by the hardware");
        }
        Failure::Late | Failure::Differs | Failure::Refused(_) | Failure::Silent if is_news => {
            tracing::warn!(device, codec, width, height, %failure, "decoding in software, not by the hardware");
        }
        Failure::Open(_)
        | Failure::Behind
        | Failure::Late
        | Failure::Differs
        | Failure::Refused(_)
        | Failure::Idle
        | Failure::Silent => {
            tracing::debug!(device, codec, width, height, %failure, "still decoding in software");
        }
    }
}
