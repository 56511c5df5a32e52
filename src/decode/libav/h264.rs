//! What the headers of H.264 say about a picture's place, and the parameter set that makes the library hand it out at once.
//! Source: ITU-T H.264, sections 7.3.2.1.1, 7.3.3, 7.4.3, 8.2.1 and E.1.1.

use rusty_h264_common::bit_reader::{BitReader, OutOfData};
use rusty_h264_common::bit_writer::BitWriter;
use rusty_h264_common::nal::{emulation_prevent_into, emulation_unprevent};

use super::{Prepared, push_unit, split, whole_order};
use crate::decode::DecodeError;
use crate::decode::sps::Sps;

const SLICE: u8 = 1;
const PARTITION: u8 = 2;
const IDR_SLICE: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;
/// More bytes than the part of a slice's header that is read here can have.
const HEADER: usize = 64;

/// More parameter sets than a camera has.
const MOST_SETS: usize = 32;

/// What is known of a stream.
#[derive(Default)]
pub(super) struct Headers {
    sps: Option<Sps>,
    /// The parameter sets, and whether the library has them.
    sets: Vec<Vec<u8>>,
    told: bool,
    /// The place of the first picture, if earlier ones may follow it, which refer to what is not there.
    first: Option<i32>,
    /// Place and number of the last picture that others may refer to.
    reference: Option<(i32, u32)>,
    last: i32,
    counts_by_one: bool,
    /// How many pictures the library holds back.
    held: usize,
}

struct Slice {
    /// Number of its picture parameter set.
    parameters: u32,
    order: i32,
    frame_num: u32,
    is_reference: bool,
}

impl Headers {
    pub(super) fn prepare(&mut self, data: &[u8]) -> Result<Option<Prepared>, DecodeError> {
        let (before, slices) = split(data, |first| matches!(first & 31, SLICE | PARTITION | IDR_SLICE));
        self.parameters(&before);
        let Some(slices) = slices else { return Ok(None) };
        let Some(sps) = self.sps else {
            return Err(DecodeError::Damaged("its parameter sets are missing".to_owned()));
        };
        let idr = slices[0] & 31 == IDR_SLICE;
        let begins = (idr || self.reference.is_none()).then_some(sps);
        let slice = self
            .slice(&sps, slices, idr)
            .map_err(|_| DecodeError::Damaged("the header of its slice ends early".to_owned()))?;
        // The library may know another stream's by that number.
        if !self.sets.iter().any(|unit| picture_parameters(unit) == Some(slice.parameters)) {
            return Err(DecodeError::Damaged("its parameter sets are missing".to_owned()));
        }
        if begins.is_some() {
            self.first = (!idr).then_some(slice.order);
        } else if !sps.slices.gaps_allowed && self.is_missing_one(&sps, slice.frame_num) {
            return Err(DecodeError::Damaged("the picture before it is missing".to_owned()));
        }
        if slice.is_reference || begins.is_some() {
            self.reference = Some((slice.order, slice.frame_num));
        }
        if self.first.is_some_and(|first| slice.order < first) {
            return Ok(None);
        }
        self.hold_back(&sps, begins.is_some(), slice.order);
        let mut data = Vec::new();
        if !std::mem::replace(&mut self.told, true) {
            for unit in &self.sets {
                let changed = if unit[0] & 31 == SPS { reordered_by(self.held, unit) } else { None };
                push_unit(&mut data, changed.as_deref().unwrap_or(unit));
            }
        }
        let sets_bytes = data.len();
        push_unit(&mut data, slices);
        Ok(Some(Prepared { data, sets_bytes, is_entry: idr, order: slice.order, begins }))
    }

    pub(super) fn holds_back(&self) -> bool {
        self.held > 0
    }

    /// As long as each picture is the next one to be shown, none is held back; from the first on that is not, as many as the stream
    /// says.
    fn hold_back(&mut self, sps: &Sps, begins: bool, order: i32) {
        self.counts_by_one |= order % 2 != 0;
        let step = if self.counts_by_one { 1 } else { 2 };
        let is_next = begins || (self.last..=self.last.saturating_add(step)).contains(&order);
        let needed = sps.reorder_frames.unwrap_or(sps.reference_frames);
        if !is_next && self.held < needed {
            self.held = needed;
            self.told = false;
        }
        self.last = order;
    }

    /// Reference frames are counted.
    fn is_missing_one(&self, sps: &Sps, frame_num: u32) -> bool {
        let range = 1_u32 << sps.slices.frame_num_bits.min(16);
        self.reference.is_some_and(|(_, last)| frame_num != last && frame_num != (last + 1) % range)
    }

    fn slice(&self, sps: &Sps, slices: &[u8], idr: bool) -> Result<Slice, OutOfData> {
        let header = emulation_unprevent(&slices[1..slices.len().min(HEADER)]);
        let mut bits = BitReader::new(&header);
        let (_first_macroblock, _kind, parameters) = (bits.read_ue()?, bits.read_ue()?, bits.read_ue()?);
        if sps.slices.separate_planes {
            bits.read_bits(2)?;
        }
        let frame_num = bits.read_bits(sps.slices.frame_num_bits)?;
        let is_field = !sps.slices.frames_only && bits.read_bit()?;
        if is_field {
            bits.read_bit()?;
        }
        if idr {
            bits.read_ue()?;
        }
        let before = if idr { 0 } else { self.reference.map_or(0, |(order, _)| order) };
        let order = match sps.slices.order_bits {
            Some(count) => whole_order(bits.read_bits(count)?, count, before),
            // In the order in which they come.
            None if idr => 0,
            None => before.wrapping_add(2),
        };
        let is_reference = slices[0] & 0b110_0000 != 0 || sps.slices.order_bits.is_none();
        // Two fields have two places, and their frame has one.
        Ok(Slice { parameters, order: if is_field { order & !1 } else { order }, frame_num, is_reference })
    }

    /// Takes the parameter sets of an access unit.
    fn parameters(&mut self, units: &[&[u8]]) {
        let kind = |unit: &[u8]| unit.first().map(|header| header & 31);
        if units.iter().any(|unit| kind(unit) == Some(SPS) && !self.sets.iter().any(|known| known == unit)) {
            self.sets.clear();
        }
        for unit in units.iter().filter(|unit| matches!(kind(unit), Some(SPS | PPS))) {
            if kind(unit) == Some(SPS) {
                self.sps = found(unit).or(self.sps);
            }
            // Of two with one number the library keeps the later one, so whoever comes again comes last; and needs its sequence's
            // before it.
            let number = picture_parameters(unit);
            self.sets
                .retain(|known| known != unit && (number.is_none() || picture_parameters(known) != number));
            if self.sets.len() < MOST_SETS {
                self.sets.push(unit.to_vec());
                self.sets.sort_by_key(|unit| kind(unit) == Some(PPS));
            }
            self.told = false;
        }
    }
}

/// The number of a picture parameter set, if it is one.
fn picture_parameters(unit: &[u8]) -> Option<u32> {
    let start = unit.get(1..unit.len().min(HEADER)).filter(|_| unit[0] & 31 == PPS)?;
    BitReader::new(&emulation_unprevent(start)).read_ue().ok()
}

fn found(unit: &[u8]) -> Option<Sps> {
    Sps::find(&[&[0, 0, 1], unit].concat())
}

/// A parameter set with other usability information: how many pictures may come before one that is shown earlier.
fn reordered_by(pictures: usize, unit: &[u8]) -> Option<Vec<u8>> {
    let sps = found(unit)?;
    let set = emulation_unprevent(&unit[1..]);
    let (mut bits, mut changed) = (BitReader::new(&set), BitWriter::new());
    for _ in 0..sps.slices.usability_at {
        changed.write_bit(bits.read_bit().ok()?);
    }
    // There is such information: nothing about shape, scan, colours, chroma, timing, buffers (twice) and fields; something about
    // the order: motion may leave the picture, no limits on sizes and vectors.
    let flags = [true, false, false, false, false, false, false, false, false, true, true];
    flags.into_iter().for_each(|flag| changed.write_bit(flag));
    let kept = sps.reference_frames.max(pictures).max(1);
    for value in [0, 0, 16, 16, pictures as u32, kept as u32] {
        changed.write_ue(value);
    }
    changed.rbsp_trailing_bits();
    let mut unit = vec![unit[0]];
    emulation_prevent_into(&changed.into_bytes(), &mut unit);
    Some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_parameter_set_is_gone_when_the_good_one_comes_again() {
        // libx264, and the same picture parameter set with weighted prediction.
        let sps = hex::decode("67640016acd940a02ff97011000003000100000300140f162d96").expect("hex digits");
        let (good, damaged) =
            (vec![0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0], vec![0x68, 0xef, 0xe3, 0xcb, 0x22, 0xc0]);
        let mut headers = Headers::default();
        headers.parameters(&[&sps, &good]);
        headers.parameters(&[&damaged]);
        assert_eq!(headers.sets, [&sps[..], &damaged]);
        headers.parameters(&[&good, &sps]);
        assert_eq!(headers.sets, [&sps[..], &good]);
    }

    #[test]
    fn a_parameter_set_changes_in_nothing_but_the_order() {
        // libx264, High with two pictures out of order.
        let unit = hex::decode("67640016acd940a02ff97011000003000100000300140f162d96").expect("hex digits");
        let before = found(&unit).expect("a parameter set");
        for pictures in [0, 3] {
            let after = found(&reordered_by(pictures, &unit).expect("it can be read"));
            assert_eq!(after, Some(Sps { reorder_frames: Some(pictures), ..before }));
        }
        for end in 1..unit.len() {
            let _ = reordered_by(0, &unit[..end]);
        }
    }
}
