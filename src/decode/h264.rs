//! H.264 pictures, around `rusty_h264-decoder`: in decode order, with their place in display order.

use bytes::Bytes;
use rusty_h264_common::YuvFrame;
use rusty_h264_decoder::{DecodeError as LibraryError, Decoder as Library};

use super::DecodeError;
use super::decoder::Picture;
use super::sps::Sps;

/// Decodes from a key frame on.
pub(super) struct H264 {
    library: Library,
    sps: Sps,
}

impl Default for H264 {
    fn default() -> Self {
        Self { library: Library::new(), sps: Sps::default() }
    }
}

impl H264 {
    /// An IDR picture: all before it is shown before it.
    pub(super) fn begins(&mut self, data: &[u8]) -> Sps {
        self.sps = Sps::find(data).unwrap_or(self.sps);
        self.sps
    }

    /// `None`: an access unit without a picture.
    pub(super) fn decode(&mut self, data: &[u8]) -> Result<Option<Picture>, DecodeError> {
        let picture = self.library.decode(data).map_err(|error| match error {
            LibraryError::Unsupported(what) => DecodeError::Unsupported(what.to_owned()),
            LibraryError::Truncated => DecodeError::Damaged("it ends early".to_owned()),
            LibraryError::MissingParameterSet => {
                DecodeError::Damaged("its parameter sets are missing".to_owned())
            }
            LibraryError::Internal(what) => DecodeError::Damaged(what.to_owned()),
        })?;
        let order = self.library.last_poc();
        Ok(picture.map(|picture| {
            // The planes move; only a picture that is cropped at its left or upper edge is copied, which the library does not do.
            let YuvFrame { width, height, y, u, v } = cropped(picture, self.sps.crop_left, self.sps.crop_top);
            Picture { order, size: (width, height), planes: [y, u, v].map(Bytes::from) }
        }))
    }
}

/// Cuts off columns at the left and rows at the top; both are even.
fn cropped(picture: YuvFrame, left: usize, top: usize) -> YuvFrame {
    if (left, top) == (0, 0) || left >= picture.width || top >= picture.height {
        return picture;
    }
    let (width, height) = (picture.width - left, picture.height - top);
    let plane = |plane: &[u8], row_bytes: usize, left: usize, top: usize| -> Vec<u8> {
        plane.chunks_exact(row_bytes).skip(top).flat_map(|row| &row[left..]).copied().collect()
    };
    YuvFrame {
        width,
        height,
        y: plane(&picture.y, picture.width, left, top),
        u: plane(&picture.u, picture.width / 2, left / 2, top / 2),
        v: plane(&picture.v, picture.width / 2, left / 2, top / 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cropping_at_the_left_and_top_keeps_the_rest() {
        let picture =
            YuvFrame { width: 4, height: 4, y: (0..16).collect(), u: (0..4).collect(), v: (4..8).collect() };
        let picture = cropped(picture, 2, 2);
        assert_eq!((picture.width, picture.height), (2, 2));
        assert_eq!((picture.y, picture.u, picture.v), (vec![10, 11, 14, 15], vec![3], vec![7]));
    }
}
