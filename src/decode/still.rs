//! Pictures that stand for themselves: JPEG.

use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::DecodeError;
use super::decoder::Picture;
use crate::pixels::rgb_to_i420;

/// More than any camera has; a header that promises more is damaged, and would cost gigabytes.
const MAX_PIXELS: usize = 50_000_000;

/// Decodes a JPEG.
pub(super) fn jpeg(data: &[u8]) -> Result<Picture, DecodeError> {
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
    Ok(Picture { order: 0, size: (width, height), planes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_without_colours_gives_grey() {
        let (mut data, grey): (_, Vec<u8>) = (Vec::new(), (0..=255).collect());
        let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut data, 95);
        encoder.encode(&grey, 16, 16, image::ExtendedColorType::L8).expect("a small picture");
        let Picture { size, planes: [y, u, v], .. } = jpeg(&data).expect("a JPEG");
        assert_eq!((size, y.len()), ((16, 16), 256));
        assert!(u.iter().chain(&v).all(|chroma| chroma.abs_diff(128) <= 1), "{u:?} {v:?}");
        assert!(y[0] < 20 && y[255] > 230, "16 to 235, as in all frames: {} to {}", y[0], y[255]);
    }

    #[test]
    fn what_is_no_jpeg_is_an_error() {
        for data in [&b""[..], b"\xff\xd8", b"\xff\xd8\xff\xd9", b"<html>401</html>"] {
            assert!(matches!(jpeg(data), Err(DecodeError::Damaged(_))));
        }
    }
}
