//! Samples out of MP4 files (also fragmented ones), through `re_mp4`.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use re_mp4::{Mp4, StsdBoxContent, TrackKind};

use super::Failure;
use super::annexb::SampleFormat;
use super::file::{Sample, wrong_codec};
use crate::model::Offline;

/// Whether a file that begins like this is an MP4 (or MOV) file.
pub(super) fn is_mp4(head: &[u8; 12]) -> bool {
    matches!(&head[4..8], b"ftyp" | b"moov" | b"mdat" | b"free" | b"wide" | b"skip")
}

/// The video track of an MP4 file.
pub(super) struct Reader {
    file: BufReader<File>,
    file_bytes: u64,
    pub(super) format: SampleFormat,
    samples: std::vec::IntoIter<re_mp4::Sample>,
    /// Samples that lie behind the end of the file.
    missing: usize,
}

impl Reader {
    pub(super) fn open(mut file: BufReader<File>, path: &Path) -> Result<Self, Failure> {
        let fail = |what: String| Failure::new(Offline::File, format!("{}: {what}", path.display()));
        let unreadable = |error: std::io::Error| fail(format!("cannot read: {error}"));
        let file_bytes = file.get_ref().metadata().map_err(unreadable)?.len();
        let size = usable_size(&mut file, file_bytes).map_err(unreadable)?;
        file.rewind().map_err(unreadable)?;
        let mp4 = Mp4::read(&mut file, size).map_err(|error| {
            fail(format!("not a complete MP4 file ({error}); a recording that was cut off has no index"))
        })?;

        let is_video = |track: &&re_mp4::Track| {
            let handler = track.trak(&mp4).mdia.hdlr.handler_type.value;
            track.kind == Some(TrackKind::Video) || handler == *b"vide"
        };
        let track = mp4.tracks().values().find(is_video).ok_or_else(|| fail("no video in it".to_owned()))?;
        let contents = &track.trak(&mp4).mdia.minf.stbl.stsd.contents;
        let format = match contents {
            StsdBoxContent::Avc1(avc1) => SampleFormat::from_avcc(&avc1.avcc.raw),
            StsdBoxContent::Hvc1(hevc) | StsdBoxContent::Hev1(hevc) => {
                SampleFormat::from_hvcc(&hevc.hvcc.raw)
            }
            StsdBoxContent::Av01(_) => return Err(wrong_codec(path, "AV1")),
            StsdBoxContent::Vp08(_) => return Err(wrong_codec(path, "VP8")),
            StsdBoxContent::Vp09(_) => return Err(wrong_codec(path, "VP9")),
            StsdBoxContent::Unknown(code) => return Err(wrong_codec(path, &format!("`{code}`"))),
            StsdBoxContent::Mp4a(_) | StsdBoxContent::Tx3g(_) => return Err(wrong_codec(path, "no video")),
        };
        let format = format.ok_or_else(|| fail("its parameters cannot be read".to_owned()))?;
        let samples = track.samples.clone().into_iter();
        Ok(Self { file, file_bytes, format, samples, missing: 0 })
    }

    pub(super) fn next(&mut self) -> Option<Sample> {
        loop {
            let sample = self.samples.next()?;
            let end = sample.offset.checked_add(sample.size);
            if end.is_none_or(|end| end > self.file_bytes) {
                self.missing += 1;
                continue;
            }
            let mut data = vec![0; usize::try_from(sample.size).ok()?];
            let read =
                self.file.seek(SeekFrom::Start(sample.offset)).and_then(|_| self.file.read_exact(&mut data));
            if read.is_err() {
                self.missing += 1;
                continue;
            }
            return Some(Sample { pts: pts(&sample), data: self.format.unwrap(data) });
        }
    }

    pub(super) fn cut_off(&self) -> Option<String> {
        (self.missing > 0).then(|| format!("{} pictures", self.missing))
    }
}

fn pts(sample: &re_mp4::Sample) -> Duration {
    let units = u64::try_from(sample.composition_timestamp).unwrap_or(0);
    let scale = sample.timescale.max(1);
    // In two steps, so that no precision is lost and nothing overflows.
    let nanos = u128::from(units % scale) * 1_000_000_000 / u128::from(scale);
    Duration::from_secs(units / scale) + Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

/// The size to tell the demuxer. It refuses a file whose last box ends behind the file's end; pictures (`mdat`) may be missing
/// there, as it only steps over them, and any other box that is cut off must be left out.
fn usable_size(file: &mut BufReader<File>, file_bytes: u64) -> std::io::Result<u64> {
    let mut at = 0;
    while at + 8 <= file_bytes {
        file.seek(SeekFrom::Start(at))?;
        let mut header = [0; 8];
        file.read_exact(&mut header)?;
        let [s0, s1, s2, s3, kind @ ..] = header;
        let size = match u32::from_be_bytes([s0, s1, s2, s3]) {
            0 => return Ok(file_bytes),
            1 if at + 16 <= file_bytes => {
                let mut long = [0; 8];
                file.read_exact(&mut long)?;
                u64::from_be_bytes(long)
            }
            size => u64::from(size),
        };
        let Some(end) = at.checked_add(size.max(8)) else { return Ok(at) };
        if end > file_bytes {
            return Ok(if kind == *b"mdat" { end } else { at });
        }
        at = end;
    }
    Ok(at)
}
