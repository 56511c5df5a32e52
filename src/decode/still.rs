//! Pictures that stand for themselves: JPEG, and uncoded ones from USB cameras.

use bytes::Bytes;
use yuv::{YuvChromaSubsampling, YuvPackedImage, YuvPlanarImageMut};
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::DecodeError;
use super::decoder::Picture;
use crate::model::Codec;
use crate::pixels::rgb_to_i420;

/// More than any camera has; a header that promises more is damaged, and would cost gigabytes.
const MAX_PIXELS: usize = 50_000_000;

/// Decodes a whole picture.
pub(super) fn decode(codec: Codec, data: &[u8]) -> Result<Picture, DecodeError> {
    let (size, planes) = match codec {
        Codec::Jpeg => jpeg(data)?,
        Codec::Yuyv { width, height } => ((width, height), yuyv(data, width, height)?),
        Codec::Nv12 { width, height } => ((width, height), nv12(data, width, height)?),
        Codec::H264 | Codec::H265 => {
            return Err(DecodeError::Unsupported(format!("{} here", codec.as_str())));
        }
    };
    Ok(Picture { order: 0, size, planes: planes.map(Bytes::from) })
}

type Planes = [Vec<u8>; 3];

fn jpeg(data: &[u8]) -> Result<((usize, usize), Planes), DecodeError> {
    let damaged = |error: DecodeErrors| DecodeError::Damaged(format!("{error:?}"));
    // Strict: half a picture is a damaged one, and not one with a grey lower half.
    let options = DecoderOptions::default().set_strict_mode(true).jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(data), options);
    decoder.decode_headers().map_err(damaged)?;
    let (width, height) = decoder.dimensions().unwrap_or_default();
    if width.saturating_mul(height) > MAX_PIXELS {
        return Err(DecodeError::Damaged(format!("it claims to have {width}x{height} pixels")));
    }
    let rgb = decoder.decode().map_err(damaged)?;
    let planes = rgb_to_i420(&rgb, width, height)
        .ok_or_else(|| DecodeError::Damaged("it has fewer pixels than it claims".to_owned()))?;
    Ok(((width, height), planes))
}

fn yuyv(data: &[u8], width: usize, height: usize) -> Result<Planes, DecodeError> {
    let data = whole(data, width * height * 2)?;
    let (width, height) = (width as u32, height as u32);
    let mut planar = YuvPlanarImageMut::alloc(width, height, YuvChromaSubsampling::Yuv420);
    let packed = YuvPackedImage { yuy: data, yuy_stride: width * 2, width, height };
    yuv::yuyv422_to_yuv420(&mut planar, &packed).map_err(|error| DecodeError::Damaged(error.to_string()))?;
    Ok([planar.y_plane, planar.u_plane, planar.v_plane].map(|plane| plane.borrow().to_vec()))
}

fn nv12(data: &[u8], width: usize, height: usize) -> Result<Planes, DecodeError> {
    let data = whole(data, width * height * 3 / 2)?;
    let (luma, chroma) = data.split_at(width * height);
    let [u, v] = apart(chroma);
    Ok([luma.to_vec(), u, v])
}

/// Two colours that take turns.
pub(super) fn apart(chroma: &[u8]) -> [Vec<u8>; 2] {
    [0, 1].map(|from| chroma.iter().skip(from).step_by(2).copied().collect())
}

/// The first `bytes`: drivers may pad.
fn whole(data: &[u8], bytes: usize) -> Result<&[u8], DecodeError> {
    data.get(..bytes).ok_or_else(|| DecodeError::Damaged(format!("{} of {bytes} bytes", data.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uncoded_pictures_are_taken_apart() {
        let yuyv = [16, 100, 32, 200, 48, 100, 64, 200];
        let picture = decode(Codec::Yuyv { width: 2, height: 2 }, &yuyv).expect("a picture");
        assert_eq!(picture.planes, [vec![16, 32, 48, 64], vec![100], vec![200]]);
        let nv12 = [16, 32, 48, 64, 100, 200, 0, 0];
        let picture = decode(Codec::Nv12 { width: 2, height: 2 }, &nv12).expect("a picture");
        assert_eq!(picture.planes, [vec![16, 32, 48, 64], vec![100], vec![200]]);
        assert!(decode(Codec::Nv12 { width: 2, height: 2 }, &nv12[..5]).is_err());
        assert!(decode(Codec::Yuyv { width: 2, height: 2 }, &yuyv[..7]).is_err());
    }

    #[test]
    fn a_camera_without_colours_gives_grey() {
        let (mut data, grey): (_, Vec<u8>) = (Vec::new(), (0..=255).collect());
        let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut data, 95);
        encoder.encode(&grey, 16, 16, image::ExtendedColorType::L8).expect("a small picture");
        let Picture { size, planes: [y, u, v], .. } = decode(Codec::Jpeg, &data).expect("a JPEG");
        assert_eq!((size, y.len()), ((16, 16), 256));
        assert!(u.iter().chain(&v).all(|chroma| chroma.abs_diff(128) <= 1), "{u:?} {v:?}");
        assert!(y[0] < 20 && y[255] > 230, "16 to 235, as in all frames: {} to {}", y[0], y[255]);
    }

    #[test]
    fn what_is_no_jpeg_is_an_error() {
        for data in [&b""[..], b"\xff\xd8", b"\xff\xd8\xff\xd9", b"<html>401</html>"] {
            assert!(matches!(decode(Codec::Jpeg, data), Err(DecodeError::Damaged(_))));
        }
    }
}
