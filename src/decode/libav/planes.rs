//! The library's pictures as I420 with 8 bits, whatever the stream has.

use std::sync::Arc;

use bytes::Bytes;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::frame::Video;

use crate::decode::DecodeError;
use crate::decode::decoder::Picture;
use crate::decode::still;

/// How a picture's samples lie.
struct Layout {
    bits: u8,
    /// By how many powers of two there are fewer columns and rows of chroma; `None`: there is no chroma.
    chroma: Option<(u32, u32)>,
}

impl Layout {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the library has two hundred, of which these come from cameras"
    )]
    fn of(format: Pixel) -> Option<Self> {
        use Pixel as P;
        let (bits, chroma) = match format {
            P::YUV420P | P::YUVJ420P => (8, Some((1, 1))),
            P::YUV422P | P::YUVJ422P => (8, Some((1, 0))),
            P::YUV440P | P::YUVJ440P => (8, Some((0, 1))),
            P::YUV444P | P::YUVJ444P => (8, Some((0, 0))),
            P::GRAY8 => (8, None),
            P::YUV420P9LE => (9, Some((1, 1))),
            P::YUV422P9LE => (9, Some((1, 0))),
            P::YUV444P9LE => (9, Some((0, 0))),
            P::YUV420P10LE => (10, Some((1, 1))),
            P::YUV422P10LE => (10, Some((1, 0))),
            P::YUV444P10LE => (10, Some((0, 0))),
            P::GRAY10LE => (10, None),
            P::YUV420P12LE => (12, Some((1, 1))),
            P::YUV422P12LE => (12, Some((1, 0))),
            P::YUV444P12LE => (12, Some((0, 0))),
            P::GRAY12LE => (12, None),
            _ => return None,
        };
        Some(Self { bits, chroma })
    }
}

/// The picture as it is if it lies in memory as ours do, else a copy. For pictures of a decoder in software, which has as many
/// buffers as are needed: those of a driver are few.
pub(super) fn lent(frame: Video, order: i32) -> Result<Picture, DecodeError> {
    let size = (frame.width() as usize, frame.height() as usize);
    let half = (size.0.div_ceil(2), size.1.div_ceil(2));
    let is_i420 = matches!(frame.format(), Pixel::YUV420P | Pixel::YUVJ420P);
    if !is_i420 || [0, 1, 2].map(|index| frame.stride(index)) != [size.0, half.0, half.0] {
        return picture(&frame, size, order);
    }
    let frame = Arc::new(frame);
    let plane = |index, (width, height)| {
        Bytes::from_owner(Lent { frame: Arc::clone(&frame), index, bytes: width * height })
    };
    Ok(Picture { order, size, planes: [plane(0, size), plane(1, half), plane(2, half)] })
}

/// A plane of the library's, which does not use it again before all are dropped.
struct Lent {
    frame: Arc<Video>,
    index: usize,
    bytes: usize,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.frame.data(self.index)[..self.bytes]
    }
}

/// Copies the upper left part of the planes, once if they are I420 already. `size`: of that part, px; no more than there is.
pub(super) fn picture(frame: &Video, size: (usize, usize), order: i32) -> Result<Picture, DecodeError> {
    let half = (size.0.div_ceil(2), size.1.div_ceil(2));
    // What drivers of hardware decoders give.
    if frame.format() == Pixel::NV12 {
        let [u, v] = still::apart(&plane(frame, 1, (2 * half.0, half.1), 8));
        let planes = [plane(frame, 0, size, 8), u, v].map(Bytes::from);
        return Ok(Picture { order, size, planes });
    }
    let layout = Layout::of(frame.format())
        .ok_or_else(|| DecodeError::Unsupported(format!("pixels of the kind {:?}", frame.format())))?;
    let y = plane(frame, 0, size, layout.bits);
    let [u, v] = match layout.chroma {
        None => [(); 2].map(|()| vec![128; half.0 * half.1]),
        Some((1, 1)) => [1, 2].map(|index| plane(frame, index, half, layout.bits)),
        Some((columns, rows)) => {
            let finer = (if columns == 0 { size.0 } else { half.0 }, if rows == 0 { size.1 } else { half.1 });
            [1, 2].map(|index| coarser(&plane(frame, index, finer, layout.bits), finer, half))
        }
    };
    Ok(Picture { order, size, planes: [y, u, v].map(Bytes::from) })
}

/// A plane without the padding of its rows; of more than 8 bits the upper 8.
fn plane(frame: &Video, index: usize, (width, height): (usize, usize), bits: u8) -> Vec<u8> {
    let rows = frame.data(index).chunks(frame.stride(index)).take(height);
    let mut samples = Vec::with_capacity(width * height);
    for row in rows {
        if bits == 8 {
            samples.extend_from_slice(&row[..width]);
        } else {
            let narrow = |pair: &[u8]| (u16::from_le_bytes([pair[0], pair[1]]) >> (bits - 8)) as u8;
            samples.extend(row[..2 * width].chunks_exact(2).map(narrow));
        }
    }
    samples
}

/// Each sample the mean of those that lie where it does.
fn coarser(plane: &[u8], (width, height): (usize, usize), (columns, rows): (usize, usize)) -> Vec<u8> {
    // What an odd size lacks is the last one again.
    let across = |column: usize| {
        if columns < width { [2 * column, (2 * column + 1).min(width - 1)] } else { [column; 2] }
    };
    let down = |row: usize| if rows < height { [2 * row, (2 * row + 1).min(height - 1)] } else { [row; 2] };
    let mut samples = Vec::with_capacity(columns * rows);
    for row in 0..rows {
        let [upper, lower] = down(row).map(|row| &plane[row * width..][..width]);
        for column in 0..columns {
            let [left, right] = across(column);
            let sum =
                [upper[left], upper[right], lower[left], lower[right]].map(u16::from).iter().sum::<u16>();
            samples.push(((sum + 2) / 4) as u8);
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finer_chroma_is_averaged() {
        // 4:2:2: two rows become one.
        assert_eq!(coarser(&[10, 20, 30, 40, 1, 2], (2, 3), (2, 2)), [20, 30, 1, 2]);
        // 4:4:4, with a column and a row that stand alone.
        assert_eq!(coarser(&[0, 4, 8, 4, 8, 12, 20, 20, 30], (3, 3), (2, 2)), [4, 10, 20, 30]);
    }
}
