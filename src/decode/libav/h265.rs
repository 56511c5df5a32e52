//! What the headers of H.265 say about a picture's place and the pictures it needs, and the parameter set that makes the library
//! hand it out at once. Source: ITU-T H.265, sections 7.3.2.2, 7.3.3, 7.3.6.1, 8.1.3, 8.3.1 and 8.3.2.

use std::collections::{HashMap, VecDeque};

use rusty_h264_common::bit_writer::BitWriter;
use rusty_h265::bits::{BitReader, OutOfData};
use rusty_h265::nal::{NalHeader, NalType, escape_into, unescape};
use rusty_h265::ps::{Pps, Sps as StreamSps, parse_pps, parse_sps};
use rusty_h265::slice::{SliceHeader, parse_slice_header};

use super::{Prepared, push_unit, split, whole_order};
use crate::decode::DecodeError;
use crate::decode::sps::Sps;

/// More bytes than the header of a slice has, with an entry point for each row of blocks.
const HEADER: usize = 4096;
/// Pictures that a later one may refer to; the standard allows 16.
const REMEMBERED: usize = 32;

/// What is known of a stream.
#[derive(Default)]
pub(super) struct Headers {
    sps: HashMap<u8, StreamSps>,
    pps: HashMap<u8, Pps>,
    /// Parameter sets that came without a picture.
    pending: Vec<u8>,
    began: bool,
    /// The last picture at which decoding may begin was the first: those that precede it in time refer to what is not there.
    skips_leading: bool,
    /// Place of the last picture that others are counted from.
    anchor: i32,
    decoded: VecDeque<i32>,
}

impl Headers {
    pub(super) fn prepare(&mut self, data: &[u8]) -> Result<Option<Prepared>, DecodeError> {
        let (before, slices) = split(data, |first| (first >> 1) & 63 < 32);
        for unit in before {
            self.parameters(unit);
        }
        let Some(slices) = slices else { return Ok(None) };
        let damaged = |what: &str| DecodeError::Damaged(what.to_owned());
        let nal = NalHeader::parse(slices).ok_or_else(|| damaged("the header of its slice is none"))?;
        let unescaped = unescape(&slices[2..slices.len().min(HEADER)]).data;
        let sets = |id: u8| {
            let pps = self.pps.get(&id)?;
            Some((self.sps.get(&pps.sps_id)?, pps))
        };
        let slice = parse_slice_header(&mut BitReader::new(&unescaped), &nal, &sets, None)
            .map_err(|error| DecodeError::Damaged(error.to_string()))?;
        let (sps, _) = sets(slice.pps_id).ok_or_else(|| damaged("its parameter sets are missing"))?;
        let bits = u32::from(sps.log2_max_poc_lsb);
        let said = sps.ordering[usize::from(sps.max_sub_layers_minus1 & 7)].max_num_reorder_pics;
        let frames = said.min(16) as usize;
        let limits = Sps { reorder_frames: Some(frames), reference_frames: frames, ..Sps::default() };

        let kind = nal.nal_type;
        let begins = !self.began || kind.is_idr() || kind.is_bla();
        if begins || kind.is_irap() {
            self.skips_leading = begins;
        }
        let order = whole_order(slice.poc_lsb, bits, if begins { 0 } else { self.anchor });
        if kind.is_rasl() && self.skips_leading {
            return Ok(None);
        }
        if begins {
            self.decoded.clear();
        } else if self.lacks(&slice, order) {
            return Err(damaged("a picture that it refers to is missing"));
        }
        self.began = true;
        if nal.temporal_id == 0 && !kind.is_rasl() && !kind.is_radl() && !kind.is_sub_layer_non_ref() {
            self.anchor = order;
        }
        if self.decoded.len() == REMEMBERED {
            self.decoded.pop_front();
        }
        self.decoded.push_back(order);
        let mut data = std::mem::take(&mut self.pending);
        let sets_bytes = data.len();
        push_unit(&mut data, slices);
        // Pictures are counted by one here, and by two in H.264.
        let order = order.saturating_mul(2);
        let is_entry = kind.is_irap();
        Ok(Some(Prepared { data, sets_bytes, is_entry, order, begins: begins.then_some(limits) }))
    }

    /// Whether a picture that this one is made from was never decoded.
    fn lacks(&self, slice: &SliceHeader, order: i32) -> bool {
        let needed = slice.st_rps.neg.iter().chain(&slice.st_rps.pos).filter(|(_, used)| *used);
        needed.into_iter().any(|(distance, _)| !self.decoded.contains(&order.wrapping_add(*distance)))
    }

    /// Learns from a parameter set and keeps it for the library.
    fn parameters(&mut self, unit: &[u8]) {
        let Some(header) = NalHeader::parse(unit).filter(|header| header.layer_id == 0) else { return };
        let set = unescape(unit.get(2..).unwrap_or_default()).data;
        if header.nal_type == NalType::Sps {
            if let Ok(sps) = parse_sps(&set) {
                self.sps.insert(sps.id, sps);
            }
            let mut changed = unit[..2].to_vec();
            match in_decode_order(&set) {
                Ok(set) => escape_into(&set, &mut changed),
                Err(OutOfData) => changed = unit.to_vec(),
            }
            push_unit(&mut self.pending, &changed);
        } else if header.nal_type == NalType::Pps {
            if let Ok(pps) = parse_pps(&set) {
                self.pps.insert(pps.id, pps);
            }
            push_unit(&mut self.pending, unit);
        } else if header.nal_type == NalType::Vps {
            push_unit(&mut self.pending, unit);
        }
    }
}

/// A sequence parameter set that says that no picture is out of order.
fn in_decode_order(set: &[u8]) -> Result<Vec<u8>, OutOfData> {
    let mut copy = Copy { bits: BitReader::new(set), out: BitWriter::new() };
    copy.fixed(4)?;
    let sub_layers = copy.fixed(3)?;
    copy.fixed(1)?;
    // The profile and level, and those of sub-layers.
    copy.skip(96)?;
    let mut present = Vec::new();
    for _ in 0..if sub_layers > 0 { 8 } else { 0 } {
        present.push((copy.fixed(1)? == 1, copy.fixed(1)? == 1));
    }
    for (profile, level) in present.into_iter().take(sub_layers as usize) {
        copy.skip(if profile { 88 } else { 0 })?;
        copy.skip(if level { 8 } else { 0 })?;
    }
    copy.number()?;
    if copy.number()? == 3 {
        copy.fixed(1)?;
    }
    copy.number()?;
    copy.number()?;
    if copy.fixed(1)? == 1 {
        for _edge in 0..4 {
            copy.number()?;
        }
    }
    for _depths_and_place in 0..3 {
        copy.number()?;
    }
    let all = copy.fixed(1)? == 1;
    for _ in 0..if all { sub_layers + 1 } else { 1 } {
        copy.number()?;
        copy.bits.read_ue()?;
        copy.out.write_ue(0);
        copy.number()?;
    }
    while copy.bits.bit_pos() < copy.bits.bit_len() {
        copy.fixed(1)?;
    }
    copy.out.align_zero();
    Ok(copy.out.into_bytes())
}

/// From one parameter set to another.
struct Copy<'a> {
    bits: BitReader<'a>,
    out: BitWriter,
}

impl Copy<'_> {
    fn fixed(&mut self, count: u32) -> Result<u32, OutOfData> {
        let value = self.bits.read_bits(count)?;
        self.out.write_bits(value, count);
        Ok(value)
    }

    fn skip(&mut self, count: u32) -> Result<(), OutOfData> {
        (0..count / 8).try_for_each(|_| self.fixed(8).map(|_| ()))
    }

    fn number(&mut self) -> Result<u32, OutOfData> {
        let value = self.bits.read_ue()?;
        self.out.write_ue(value);
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_set_changes_in_nothing_but_the_order() {
        // libx265, 424x180 with B frames.
        let unit = hex::decode(
            "42010101600000030090000003000003003ca00d480b9f796566924cafff0384038569c20000030002000003003210",
        )
        .expect("hex digits");
        let set = unescape(&unit[2..]).data;
        let before = parse_sps(&set).expect("a parameter set");
        assert_eq!(before.ordering[0].max_num_reorder_pics, 2);
        let after =
            parse_sps(&in_decode_order(&set).expect("it can be read")).expect("still a parameter set");
        assert_eq!(after.ordering[0].max_num_reorder_pics, 0);
        assert_eq!(
            format!("{before:?}").replace("max_num_reorder_pics: 2", "max_num_reorder_pics: 0"),
            format!("{after:?}")
        );
        for end in 0..set.len() {
            let _ = in_decode_order(&set[..end]);
        }
    }
}
