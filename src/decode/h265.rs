//! H.265 pictures, around `rusty_h265`: in decode order, with their place in display order. 4:2:0 with 8 or 10 bits; of 10 bits
//! the upper 8 are kept.
//!
//! The library would hold each picture back until the next one begins, and then until its own output rules are met. An alert must
//! not wait for either: a picture is finished as soon as its access unit is, and taken out of the library's store of reference
//! pictures; [`super::reorder`] puts it into its place.

use bytes::Bytes;
use rusty_h265::decoder::DpbEntry;
use rusty_h265::nal::{NalHeader, NalType, split_annex_b, unescape};
use rusty_h265::ps::parse_sps;
use rusty_h265::{Decoder as Library, Error as LibraryError, Frame as LibraryFrame};

use super::DecodeError;
use super::decoder::Picture;
use super::sps::Sps;

/// The first slice of a picture, without the rest of its header: the library finishes the picture before it, and then finds
/// nothing to begin.
const END_OF_PICTURE: [u8; 3] = [TRAIL_R << 1, 1, 0x80];
const TRAIL_R: u8 = 1;

/// Decodes from a key frame on.
#[derive(Default)]
pub(super) struct H265 {
    library: Library,
    sps: Sps,
}

impl H265 {
    /// A picture before which all others are shown. A "clean random access" picture in mid-stream is none: pictures that come
    /// after it may be shown before it.
    pub(super) fn begins(&mut self, data: &[u8]) -> Option<Sps> {
        let mut begins = false;
        for nal in split_annex_b(data) {
            let Some(header) = NalHeader::parse(nal) else { continue };
            if header.nal_type == NalType::Sps
                && let Ok(sps) = parse_sps(&unescape(&nal[2..]).data)
            {
                let said = sps.ordering[usize::from(sps.max_sub_layers_minus1 & 7)].max_num_reorder_pics;
                let frames = said.min(16) as usize;
                self.sps = Sps { reorder_frames: Some(frames), reference_frames: frames, ..Sps::default() };
            } else if header.nal_type.is_vcl() {
                begins =
                    header.nal_type.is_idr() || header.nal_type.is_bla() || self.library.stats.pictures == 0;
                break;
            }
        }
        begins.then_some(self.sps)
    }

    /// `None`: an access unit without a picture, or with one that is not to be shown.
    pub(super) fn decode(&mut self, data: &[u8], key: bool) -> Result<Option<Picture>, DecodeError> {
        let before = self.library.stats;
        for nal in split_annex_b(data) {
            let result = self.library.push_nal(nal, None);
            // What is neither a picture nor a parameter set may be as broken as it likes.
            let matters = NalHeader::parse(nal).is_some_and(|header| header.nal_type.id() < 35);
            if let (Err(error), true) = (result, matters) {
                return Err(failed(error));
            }
        }
        // That there is nothing to begin is its answer.
        let _ = self.library.push_nal(&END_OF_PICTURE, None);
        while self.library.next_frame().is_ok() {}
        let now = self.library.stats;
        if now.generated_refs > before.generated_refs && !key {
            return Err(DecodeError::Damaged("a picture that it refers to is missing".to_owned()));
        }
        let finished = (now.pictures > before.pictures).then(|| self.library.dpb().last()).flatten();
        Ok(finished.filter(|entry| entry.output_flag).map(picture))
    }
}

fn picture(entry: &DpbEntry) -> Picture {
    let (_, _, width, height) = entry.pic.crop;
    let (poc, picture) = (entry.poc, std::sync::Arc::clone(&entry.pic));
    let wide = picture.bit_depth_luma > 8 || picture.bit_depth_chroma > 8;
    let depths = [picture.bit_depth_luma, picture.bit_depth_chroma];
    let mut y = Vec::new();
    LibraryFrame { picture, poc, pts: None, width, height }.write_yuv(&mut y);
    if wide {
        y = narrowed(&y, width * height, depths);
    }
    let mut u = y.split_off((width * height).min(y.len()));
    let v = u.split_off(u.len() / 2);
    // Pictures are counted by one here, and by two in H.264.
    Picture { order: poc.saturating_mul(2), size: (width, height), planes: [y, u, v].map(Bytes::from) }
}

/// The upper 8 bits of samples of two bytes.
fn narrowed(samples: &[u8], luma: usize, depths: [u8; 2]) -> Vec<u8> {
    let [luma_shift, chroma_shift] = depths.map(|depth| depth.saturating_sub(8));
    let narrow = |(index, pair): (usize, &[u8])| {
        let shift = if index < luma { luma_shift } else { chroma_shift };
        let sample = u16::from_le_bytes([pair[0], pair[1]]) >> shift;
        u8::try_from(sample).unwrap_or(u8::MAX)
    };
    samples.chunks_exact(2).enumerate().map(narrow).collect()
}

fn failed(error: LibraryError) -> DecodeError {
    match &error {
        LibraryError::Unsupported(what) => DecodeError::Unsupported(what.clone()),
        LibraryError::Unimplemented(what) => DecodeError::Unsupported((*what).to_owned()),
        LibraryError::InvalidData(_) | LibraryError::Eof | LibraryError::Again | _ => {
            DecodeError::Damaged(error.to_string())
        }
    }
}
