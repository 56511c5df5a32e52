//! A session that decodes beside the software, until it is known which of them is better.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use super::Failure;
use super::device::Device;
use super::session::{Made, Session, WARM_UP};
use crate::decode::decoder::Picture;

/// Pictures that are compared: a second of ten.
const ENOUGH: usize = 10;
/// How long the last pictures before the verdict are waited for: a file's packets come without pause.
const PATIENCE: Duration = Duration::from_millis(50);

/// What a picture cost.
#[derive(Debug, Clone, Copy)]
pub(in crate::decode::libav) struct Cost {
    pub(in crate::decode::libav) wall: Duration,
    pub(in crate::decode::libav) cpu: Duration,
}

pub(super) struct Trial {
    session: Session,
    /// The software's pictures of which the hardware's are still to come.
    expected: VecDeque<(u64, Cost)>,
    compared: usize,
    /// Those of the software and those of the hardware.
    costs: [Vec<Cost>; 2],
}

impl Trial {
    pub(super) fn new(session: Session) -> Self {
        Self { session, expected: VecDeque::new(), compared: 0, costs: [Vec::new(), Vec::new()] }
    }

    /// The software has made `picture` of this packet.
    pub(super) fn follow(&mut self, data: Vec<u8>, picture: &Picture, cost: Cost) -> Result<(), Failure> {
        self.expected.push_back((digest(picture), cost));
        self.session.post(data)?;
        while let Some(made) = self.session.next(Duration::ZERO)? {
            self.compare(made)?;
        }
        Ok(())
    }

    /// Whether all pictures so far have come and were equal, and are enough to judge by.
    pub(super) fn is_enough(&mut self) -> Result<bool, Failure> {
        let until = Instant::now() + PATIENCE;
        while !self.session.is_done() {
            match self.session.next(until.saturating_duration_since(Instant::now()))? {
                Some(made) => self.compare(made)?,
                None => break,
            }
        }
        Ok(self.compared >= ENOUGH && self.session.is_done())
    }

    /// What a picture costs in software and by the hardware: what lies in the middle, so that a moment in which the machine was
    /// busy elsewhere counts for nothing.
    pub(super) fn costs(&self) -> [Cost; 2] {
        let middle = |costs: &[Cost], of: fn(&Cost) -> Duration| {
            let mut times: Vec<Duration> = costs.iter().map(of).collect();
            times.sort_unstable();
            times.get(times.len() / 2).copied().unwrap_or_default()
        };
        [0, 1].map(|of| Cost {
            wall: middle(&self.costs[of], |cost| cost.wall),
            cpu: middle(&self.costs[of], |cost| cost.cpu),
        })
    }

    pub(super) fn device(&self) -> &'static Device {
        self.session.device()
    }

    pub(super) fn into_session(self) -> Session {
        self.session
    }

    fn compare(&mut self, made: Made) -> Result<(), Failure> {
        let (expected, software) = self.expected.pop_front().ok_or(Failure::Differs)?;
        if digest(&made.picture) != expected {
            return Err(Failure::Differs);
        }
        self.compared += 1;
        if self.compared > WARM_UP as usize {
            self.costs[0].push(software);
            self.costs[1].push(Cost { wall: made.took, cpu: made.cpu });
        }
        Ok(())
    }
}

/// Pictures themselves would take megabytes each while they wait.
fn digest(picture: &Picture) -> u64 {
    let mut hash = DefaultHasher::new();
    picture.size.hash(&mut hash);
    picture.planes.hash(&mut hash);
    hash.finish()
}
