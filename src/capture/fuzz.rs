//! What the fuzz targets (`tests/fuzz`) call: the parsers of this module, with what must hold whatever they are fed. Compiled for
//! them alone. The parsers of libraries (RTSP, MP4, MKV) are not in it.

use std::time::Duration;

use retina::client::Credentials;

use super::annexb::{SampleFormat, complete, is_key};
use super::clock::CaptureClock;
use super::http::parts::Parts;
use super::rtsp_error::redact;
use crate::model::{Captured, Codec};

/// Whether decoding can start there, and with what.
pub fn access_unit(data: &[u8]) {
    for (codec, set) in [(Codec::H264, [0, 0, 1, 7]), (Codec::H265, [0, 0, 1, 33 << 1])] {
        let mut completed = data.to_vec();
        complete(codec, &mut completed, &set);
        assert_eq!(is_key(codec, &completed), is_key(codec, data), "a parameter set is no picture");
        let once = completed.clone();
        complete(codec, &mut completed, &set);
        assert_eq!(completed, once, "it has them");
    }
}

/// Every eight bytes are a time stamp, in nanoseconds or, if they are odd, in seconds.
pub fn time_stamps(data: &[u8]) {
    let (mut clock, mut now) = (CaptureClock::default(), Captured::now());
    for bytes in data.as_chunks::<8>().0 {
        let number = u64::from_le_bytes(*bytes);
        let odd = number % 2 == 1;
        let pts = if odd { Duration::from_secs(number >> 1) } else { Duration::from_nanos(number) };
        now = now.after(Duration::from_millis(40));
        assert!(clock.captured(pts, now).at <= now.at, "no time lies in the future");
    }
}

/// What a camera answers is put into words for people.
pub fn words(data: &[u8]) {
    let secret = "s3cr3t&word";
    let credentials = Credentials { username: "viewer".to_owned(), password: secret.to_owned() };
    let text = String::from_utf8_lossy(data);
    for said in [text.clone().into_owned(), format!("{text}{secret}{text}")] {
        assert!(!redact(&said, Some(&credentials)).contains(secret));
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
