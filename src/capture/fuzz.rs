//! What the fuzz targets (`tests/fuzz`) call: the parsers of this module, with what must hold whatever they are fed. Compiled for
//! them alone. The parsers of libraries (RTSP, MP4, MKV) are not in it.

use super::annexb::{SampleFormat, is_key};
use super::http::parts::Parts;
use crate::model::Codec;

/// Whether decoding can start there.
pub fn access_unit(data: &[u8]) {
    for codec in [Codec::H264, Codec::H265, Codec::Jpeg] {
        // Either answer is right for some bytes.
        let _ = is_key(codec, data);
    }
}

/// The first byte says how many of the others describe the rest, which is a sample.
pub fn sample(data: &[u8]) {
    let Some((&length, rest)) = data.split_first() else { return };
    let (description, sample) = rest.split_at(rest.len().min(usize::from(length)));
    for format in [SampleFormat::from_avcc(description), SampleFormat::from_hvcc(description)] {
        let Some(format) = format else { continue };
        let unwrapped = format.unwrap(sample.to_vec());
        // A unit has at least one byte of length and one of content, and gets a start code of four; parameter sets have two bytes
        // of length.
        assert!(unwrapped.len() <= 3 * (sample.len() + description.len()), "it grew beyond reason");
    }
}

/// The first byte says how long the pieces are in which the rest arrives; its first line is the `Content-Type`.
pub fn parts(data: &[u8]) {
    let Some((&piece, rest)) = data.split_first() else { return };
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (line, body) = rest.split_at(end);
    let content_type = String::from_utf8_lossy(line);
    let read = |piece: usize| {
        let mut parts = Parts::new(&content_type).ok()?;
        let mut pictures = Vec::new();
        for bytes in body.chunks(piece) {
            parts.push(bytes);
            loop {
                match parts.next() {
                    Ok(Some(picture)) => pictures.push(picture),
                    Ok(None) => break,
                    Err(_) => return Some((pictures, false)),
                }
            }
        }
        Some((pictures, true))
    };
    assert_eq!(read(usize::from(piece).max(1)), read(body.len().max(1)), "it depends on how it arrives");
}
