//! The parts of an H.264 sequence parameter set that the decoder library reads over: how far pictures may be out of order, and
//! cropping at the left and upper edge. Source: ITU-T H.264, sections 7.3.2.1.1 and E.1.1.

use rusty_h264_common::BitReader;
use rusty_h264_common::bit_reader::OutOfData;
use rusty_h264_common::nal::{emulation_unprevent, split_annex_b};

const SPS: u8 = 7;
/// Baseline: no B frames by definition.
const BASELINE: u32 = 66;
/// Profiles whose parameter set has the fields for chroma and bit depth.
const HIGH_PROFILES: [u32; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// What the stream says about its pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sps {
    /// How many pictures may come before one that is shown earlier. `None`: the stream does not say.
    pub(super) reorder_frames: Option<usize>,
    /// Pictures that may be referred to.
    pub(super) reference_frames: usize,
    /// Luma columns cut off at the left.
    pub(super) crop_left: usize,
    /// Luma rows cut off at the top.
    pub(super) crop_top: usize,
    /// How to read the headers of its slices.
    pub(super) slices: Slices,
}

/// What the header of a slice cannot be read without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Slices {
    /// Bits of a frame's number.
    pub(super) frame_num_bits: u32,
    /// Bits of the lower part of a picture's place, if it is written down.
    pub(super) order_bits: Option<u32>,
    pub(super) separate_planes: bool,
    pub(super) frames_only: bool,
    /// Frames that are left out on purpose are no damage.
    pub(super) gaps_allowed: bool,
    /// Where the usability information begins, bits from the beginning of the parameter set.
    pub(super) usability_at: usize,
}

impl Sps {
    /// The first parameter set in an access unit that can be read.
    pub(super) fn find(annex_b: &[u8]) -> Option<Self> {
        let nals = split_annex_b(annex_b);
        let sps = nals.into_iter().find(|nal| nal.first().is_some_and(|header| header & 31 == SPS))?;
        Self::parse(&emulation_unprevent(sps.get(1..)?)).ok()
    }

    fn parse(rbsp: &[u8]) -> Result<Self, OutOfData> {
        let mut bits = BitReader::new(rbsp);
        let profile = bits.read_bits(8)?;
        let constraints = bits.read_bits(8)?;
        bits.read_bits(8)?;
        bits.read_ue()?;
        let separate_planes = HIGH_PROFILES.contains(&profile) && skip_high_fields(&mut bits)?;
        let frame_num_bits = bits.read_ue()?.min(12) + 4;
        let order_type = bits.read_ue()?;
        let order_bits = skip_picture_order(&mut bits, order_type)?;
        let reference_frames = bits.read_ue()?;
        let gaps_allowed = bits.read_bit()?;
        bits.read_ue()?;
        bits.read_ue()?;
        let frames_only = bits.read_bit()?;
        if !frames_only {
            bits.read_bit()?;
        }
        bits.read_bit()?;
        let (mut crop_left, mut crop_top) = (0, 0);
        if bits.read_bit()? {
            let rows_per_unit = if frames_only { 2 } else { 4 };
            crop_left = 2 * bits.read_ue()? as usize;
            bits.read_ue()?;
            crop_top = rows_per_unit * bits.read_ue()? as usize;
            bits.read_ue()?;
        }
        let usability_at = bits.bit_pos();
        // Streams exist whose usability information is cut short; they decode all the same.
        let said = if bits.read_bit()? { reorder_in_vui(&mut bits).unwrap_or(None) } else { None };

        let intra_only = HIGH_PROFILES.contains(&profile) && constraints & 0x10 != 0;
        // Order type 2 means that pictures are shown as they come; type 1 is only used that way.
        let in_order = profile == BASELINE || order_type != 0 || intra_only || reference_frames <= 1;
        let reorder_frames = if in_order { Some(0) } else { said.map(|frames| frames.min(16) as usize) };
        Ok(Self {
            reorder_frames,
            reference_frames: reference_frames.min(16) as usize,
            crop_left,
            crop_top,
            slices: Slices {
                frame_num_bits,
                order_bits,
                separate_planes,
                frames_only,
                gaps_allowed,
                usability_at,
            },
        })
    }
}

/// Whether the planes of a picture are coded separately.
fn skip_high_fields(bits: &mut BitReader<'_>) -> Result<bool, OutOfData> {
    let chroma = bits.read_ue()?;
    let separate_planes = chroma == 3 && bits.read_bit()?;
    bits.read_ue()?;
    bits.read_ue()?;
    bits.read_bit()?;
    if bits.read_bit()? {
        for list in 0..if chroma == 3 { 12 } else { 8 } {
            if bits.read_bit()? {
                skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Ok(separate_planes)
}

fn skip_scaling_list(bits: &mut BitReader<'_>, size: usize) -> Result<(), OutOfData> {
    let (mut last, mut next) = (8i32, 8i32);
    for _ in 0..size {
        if next != 0 {
            next = last.wrapping_add(bits.read_se()?).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Ok(())
}

/// The bits of the lower part of a picture's place, if slices have it.
fn skip_picture_order(bits: &mut BitReader<'_>, order_type: u32) -> Result<Option<u32>, OutOfData> {
    match order_type {
        0 => return Ok(Some(bits.read_ue()?.min(12) + 4)),
        1 => {
            bits.read_bit()?;
            bits.read_se()?;
            bits.read_se()?;
            for _ in 0..bits.read_ue()?.min(255) {
                bits.read_se()?;
            }
        }
        _ => {}
    }
    Ok(None)
}

/// `max_num_reorder_frames`, if it is there.
fn reorder_in_vui(bits: &mut BitReader<'_>) -> Result<Option<u32>, OutOfData> {
    const EXTENDED_ASPECT_RATIO: u32 = 255;
    if bits.read_bit()? && bits.read_bits(8)? == EXTENDED_ASPECT_RATIO {
        bits.read_bits(16)?;
        bits.read_bits(16)?;
    }
    if bits.read_bit()? {
        bits.read_bit()?;
    }
    if bits.read_bit()? {
        bits.read_bits(4)?;
        if bits.read_bit()? {
            bits.read_bits(24)?;
        }
    }
    if bits.read_bit()? {
        bits.read_ue()?;
        bits.read_ue()?;
    }
    if bits.read_bit()? {
        for _ in 0..4 {
            bits.read_bits(16)?;
        }
        bits.read_bit()?;
    }
    let nal_hrd = skip_hrd(bits)?;
    let vcl_hrd = skip_hrd(bits)?;
    if nal_hrd || vcl_hrd {
        bits.read_bit()?;
    }
    bits.read_bit()?;
    if !bits.read_bit()? {
        return Ok(None);
    }
    bits.read_bit()?;
    for _ in 0..4 {
        bits.read_ue()?;
    }
    bits.read_ue().map(Some)
}

fn skip_hrd(bits: &mut BitReader<'_>) -> Result<bool, OutOfData> {
    let present = bits.read_bit()?;
    if present {
        let count = bits.read_ue()?.min(31);
        bits.read_bits(8)?;
        for _ in 0..=count {
            bits.read_ue()?;
            bits.read_ue()?;
            bits.read_bit()?;
        }
        bits.read_bits(20)?;
    }
    Ok(present)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sps(hex: &str) -> Sps {
        let nal = hex::decode(hex).expect("hex digits");
        Sps::find(&[&[0, 0, 0, 1], nal.as_slice()].concat()).expect("a parameter set")
    }

    #[test]
    fn x264_says_how_far_pictures_are_out_of_order() {
        // libx264, High, three B frames with pyramid.
        let b_frames = sps("67640016acd940a02ff97011000003000100000300140f162d96");
        assert_eq!(b_frames.reorder_frames, Some(2));
        let none = sps("674d4016d900a02ff97011000003000100000300140f162e48");
        assert_eq!(none.reorder_frames, Some(0));
    }

    #[test]
    fn cut_and_random_parameter_sets_do_no_harm() {
        let nal = hex::decode("67640016acd940a02ff97011000003000100000300140f162d96").expect("hex digits");
        for end in 0..nal.len() {
            let _ = Sps::find(&[&[0, 0, 1], &nal[..end]].concat());
        }
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let mut bytes = vec![0, 0, 1, 0x67];
            let length = random.usize(..40);
            bytes.extend((0..length).map(|_| random.u8(..)));
            let _ = Sps::find(&bytes);
        }
    }
}
