//! Samples out of Matroska files, through `matroska-demuxer`.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use matroska_demuxer::{ContentCompAlgo, ContentEncodingValue, Frame, MatroskaFile, TrackEntry, TrackType};

use super::Failure;
use super::annexb::SampleFormat;
use super::file::{Sample, wrong_codec};
use crate::model::Offline;

/// How a Matroska file begins.
pub(super) const MAGIC: [u8; 4] = [0x1a, 0x45, 0xdf, 0xa3];

/// The video track of a Matroska file.
pub(super) struct Reader {
    mkv: MatroskaFile<Headed>,
    track: u64,
    pub(super) format: SampleFormat,
    /// Bytes that were left out at the beginning of every frame to save space.
    stripped: Vec<u8>,
    nanos_per_tick: u64,
    first_ticks: Option<u64>,
    cut_off: Option<String>,
}

impl Reader {
    pub(super) fn open(file: BufReader<File>, path: &Path) -> Result<Self, Failure> {
        let fail = |what: String| Failure::new(Offline::File, format!("{}: {what}", path.display()));
        let (file, missing_bytes) =
            Headed::new(file).map_err(|error| fail(format!("cannot read: {error}")))?;
        let mkv =
            MatroskaFile::open(file).map_err(|error| fail(format!("not a complete MKV file ({error})")))?;
        let is_video = |track: &&TrackEntry| track.track_type() == TrackType::Video;
        let track = mkv.tracks().iter().find(is_video).ok_or_else(|| fail("no video in it".to_owned()))?;
        let private = track.codec_private();
        let format = match track.codec_id() {
            "V_MPEG4/ISO/AVC" => private.and_then(SampleFormat::from_avcc),
            "V_MPEGH/ISO/HEVC" => private.and_then(SampleFormat::from_hvcc),
            "V_MJPEG" => Some(SampleFormat::JPEG),
            other => return Err(wrong_codec(path, codec_name(other))),
        };
        let format = format.ok_or_else(|| fail("its parameters cannot be read".to_owned()))?;
        let stripped =
            stripped(track).ok_or_else(|| fail("compressed or encrypted inside; remux it".to_owned()))?;
        let track = track.track_number().get();
        let nanos_per_tick = mkv.info().timestamp_scale().get();
        let cut_off = (missing_bytes > 0).then(|| format!("{missing_bytes} bytes"));
        Ok(Self { mkv, track, format, stripped, nanos_per_tick, first_ticks: None, cut_off })
    }

    pub(super) fn next(&mut self) -> Option<Sample> {
        let mut frame = Frame::default();
        loop {
            match self.mkv.next_frame(&mut frame) {
                Ok(true) if frame.track == self.track => break,
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.cut_off.get_or_insert_with(|| format!("what follows ({error})"));
                    return None;
                }
            }
            // The demuxer refuses a second duration for a frame that still has one.
            frame.duration = None;
        }
        let first = *self.first_ticks.get_or_insert(frame.timestamp);
        let ticks = frame.timestamp.saturating_sub(first);
        frame.data.splice(0..0, self.stripped.iter().copied());
        let data = self.format.unwrap(frame.data);
        Some(Sample { pts: Duration::from_nanos(ticks.saturating_mul(self.nanos_per_tick)), data })
    }

    pub(super) fn cut_off(&self) -> Option<String> {
        self.cut_off.clone()
    }
}

/// `None`: encoded in a way that is not supported.
fn stripped(track: &TrackEntry) -> Option<Vec<u8>> {
    match track.content_encodings() {
        None | Some([]) => Some(Vec::new()),
        Some([one]) => match one.encoding() {
            ContentEncodingValue::Compression(compression)
                if compression.algo() == ContentCompAlgo::Stripping =>
            {
                Some(compression.settings().unwrap_or_default().to_vec())
            }
            ContentEncodingValue::Compression(_)
            | ContentEncodingValue::Encryption(_)
            | ContentEncodingValue::Unknown => None,
        },
        Some(_) => None,
    }
}

fn codec_name(id: &str) -> &str {
    match id {
        "V_AV1" => "AV1",
        "V_VP8" => "VP8",
        "V_VP9" => "VP9",
        other => other,
    }
}

/// A Matroska file whose first bytes were changed if it is cut off: its table of contents then names places behind the end, and
/// the demuxer gives up there.
struct Headed {
    file: BufReader<File>,
    at: u64,
    head: Vec<u8>,
}

impl Headed {
    /// Tables of contents stand before the first picture.
    const HEAD_BYTES: u64 = 16 * 1024;
    /// Entries for what stands at the end of a file: `SeekID` with `Cues`, `Tags`, `Chapters`, `Attachments`.
    const ENTRIES: [[u8; 4]; 4] = [
        [0x1c, 0x53, 0xbb, 0x6b],
        [0x12, 0x54, 0xc3, 0x67],
        [0x10, 0x43, 0xa7, 0x70],
        [0x19, 0x41, 0xa4, 0x69],
    ];
    const SEEK_ID: [u8; 3] = [0x53, 0xab, 0x84];

    /// And how many bytes are missing at its end.
    fn new(mut file: BufReader<File>) -> io::Result<(Self, u64)> {
        let file_bytes = file.get_ref().metadata()?.len();
        let mut head = Vec::new();
        file.by_ref().take(Self::HEAD_BYTES).read_to_end(&mut head)?;
        file.rewind()?;
        let missing = segment_end(&head).unwrap_or(file_bytes).saturating_sub(file_bytes);
        if missing > 0 {
            for at in 0..head.len().saturating_sub(7) {
                if head[at..].starts_with(&Self::SEEK_ID)
                    && Self::ENTRIES.iter().any(|id| head[at + 3..].starts_with(id))
                {
                    // An id that nobody has: unknown entries are passed over.
                    head[at + 6] ^= 0x04;
                }
            }
        }
        Ok((Self { file, at: 0, head }, missing))
    }
}

impl Read for Headed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let from_head = usize::try_from(self.at).ok().and_then(|at| self.head.get(at..)).unwrap_or_default();
        let count = if from_head.is_empty() {
            self.file.read(into)?
        } else {
            let count = from_head.len().min(into.len());
            into[..count].copy_from_slice(&from_head[..count]);
            self.file.seek_relative(i64::try_from(count).unwrap_or(0))?;
            count
        };
        self.at += u64::try_from(count).unwrap_or(0);
        Ok(count)
    }
}

impl Seek for Headed {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        if let SeekFrom::Current(by) = to {
            self.file.seek_relative(by)?;
            self.at = self.at.saturating_add_signed(by);
            return Ok(self.at);
        }
        self.at = self.file.seek(to)?;
        Ok(self.at)
    }
}

/// Where the only top-level element ends, if its size is known. Source: RFC 8794, section 4.4, and RFC 9559, section 5.1.
fn segment_end(head: &[u8]) -> Option<u64> {
    let after_ebml = {
        let (size, bytes) = variable_int(head.get(4..)?)?;
        4 + bytes + usize::try_from(size).ok()?
    };
    let segment = head.get(after_ebml..)?.strip_prefix(&[0x18, 0x53, 0x80, 0x67])?;
    let (size, bytes) = variable_int(segment)?;
    let unknown = (1 << (7 * bytes)) - 1;
    (size != unknown).then_some(u64::try_from(after_ebml + 4 + bytes).ok()?.checked_add(size)?)
}

/// Value and length of an EBML variable-size integer.
fn variable_int(bytes: &[u8]) -> Option<(u64, usize)> {
    let length = bytes.first()?.leading_zeros() as usize + 1;
    if length > 8 {
        return None;
    }
    let (first, rest) = bytes.get(..length)?.split_first()?;
    let marker = 0x80u8 >> (length - 1);
    let value = rest.iter().fold(u64::from(first ^ marker), |value, byte| value << 8 | u64::from(*byte));
    Some((value, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_segment_says_where_the_file_should_end() {
        let head = [0x1a, 0x45, 0xdf, 0xa3, 0x82, 7, 7, 0x18, 0x53, 0x80, 0x67, 0x41, 0x00];
        assert_eq!(segment_end(&head), Some(7 + 4 + 2 + 0x100));
        let live = [0x1a, 0x45, 0xdf, 0xa3, 0x80, 0x18, 0x53, 0x80, 0x67, 0xff];
        assert_eq!(segment_end(&live), None);
        assert_eq!(segment_end(&head[..9]), None);
        assert_eq!(variable_int(&[0]), None);
    }

    #[test]
    fn random_heads_do_no_harm() {
        let mut random = fastrand::Rng::with_seed(9);
        let head = [0x1a, 0x45, 0xdf, 0xa3, 0x82, 7, 7, 0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0, 0, 0, 0, 0, 0];
        for _ in 0..20_000 {
            let mut head = head.to_vec();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(4..head.len());
                head[at] = if random.bool() { 0 } else { random.u8(..) };
            }
            head.truncate(random.usize(..=head.len()));
            let _ = segment_end(&head);
        }
        assert_eq!(variable_int(&[0; 12]), None);
    }
}
