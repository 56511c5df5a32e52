//! Decoders that are done with a stream, for whoever begins next, of any camera.
//!
//! A quiet camera decodes one picture every few seconds. If each kept a decoder for that, with its tables and its pool of pictures,
//! sixteen would take 15 MB more; and a new one each time costs more than the picture.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Libav;
use crate::model::Codec;

/// As many as are in use at once while all cameras are quiet, on most machines.
const MOST: usize = 2;

static RESTED: Mutex<Vec<Libav>> = Mutex::new(Vec::new());

fn rested() -> MutexGuard<'static, Vec<Libav>> {
    RESTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One for this codec, as if it were new.
pub(super) fn take(codec: Codec) -> Option<Libav> {
    let mut rested = rested();
    let last = rested.iter().rposition(|decoder| decoder.codec() == codec)?;
    Some(rested.remove(last))
}

/// For later, instead of the one that nobody has wanted for the longest time: of another codec, perhaps.
pub(super) fn keep(decoder: Libav) {
    let mut rested = rested();
    if rested.len() >= MOST {
        rested.remove(0);
    }
    rested.push(decoder);
}
