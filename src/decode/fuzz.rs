//! What the fuzz targets (`tests/fuzz`) call: the parsers of this module. Compiled for them alone. The decoders of libraries are
//! not in it: what they do to foreign bytes is caught in [`super::decoder`].

use super::h264::H264;
use super::h265::H265;
use super::libav::read_headers;
use super::still;
use crate::model::Codec;

/// What a stream says about its pictures.
pub fn parameter_sets(data: &[u8]) {
    let sps = H264::default().begins(data);
    assert!(sps.crop_left % 2 == 0 && sps.crop_top % 2 == 0, "colour has half of the columns and rows");
    H265::default().begins(data);
}

/// Several access units, ff ff between them: what is read before libavcodec gets them.
pub fn slice_headers(data: &[u8]) {
    for codec in [Codec::H264, Codec::H265] {
        let mut rest = Some(data);
        let units = std::iter::from_fn(|| {
            let now = rest?;
            let end = now.windows(2).position(|bytes| bytes == [0xff, 0xff]);
            rest = end.map(|end| &now[end + 2..]);
            Some(&now[..end.unwrap_or(now.len())])
        });
        read_headers(codec, units);
    }
}

/// The first two bytes are the size that an uncoded picture should have; all of it may be a JPEG.
pub fn still(data: &[u8]) {
    let checked = |codec: Codec, data: &[u8]| {
        // Most bytes are no picture.
        let Ok(picture) = still::decode(codec, data) else { return };
        let (width, height) = picture.size;
        let chroma = width.div_ceil(2) * height.div_ceil(2);
        assert_eq!(picture.planes.map(|plane| plane.len()), [width * height, chroma, chroma]);
    };
    checked(Codec::Jpeg, data);
    if let [width, height, pixels @ ..] = data {
        let (width, height) = (2 * usize::from(*width), 2 * usize::from(*height));
        checked(Codec::Yuyv { width, height }, pixels);
        checked(Codec::Nv12 { width, height }, pixels);
    }
}
