//! The pictures of a `multipart/x-mixed-replace` body (RFC 2046, section 5.1, and what cameras make of it). Pure, and bounded: no
//! camera can make it hold more than one picture of [`MAX_PICTURE`].
//!
//! Cameras disagree about everything here: boundaries are announced with and without their dashes and their quotes, parts come
//! with and without a length, lines end in one byte or two.

use memchr::memmem;

/// A JPEG of 50 million pixels at good quality.
pub(super) const MAX_PICTURE: usize = 16 << 20;
/// Header lines of a part.
const MAX_HEAD: usize = 16 << 10;

/// What cannot be a stream of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::capture) enum BadParts {
    #[error("no boundary is named")]
    NoBoundary,
    #[error("a part begins without header lines")]
    NoHead,
    #[error("a picture of more than 16 MB")]
    TooLarge,
}

/// Takes the body apart as it arrives.
#[derive(Debug)]
pub(in crate::capture) struct Parts {
    delimiter: Vec<u8>,
    buffer: Vec<u8>,
    state: State,
}

#[derive(Debug)]
enum State {
    Head,
    /// So many bytes are the picture.
    Counted(usize),
    /// The picture ends where the next part begins; so many bytes are known not to hold that place.
    Delimited(usize),
}

impl Parts {
    /// By the `Content-Type` of the answer.
    pub(in crate::capture) fn new(content_type: &str) -> Result<Self, BadParts> {
        let parameter = |part: &str| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"').to_owned())
        };
        let boundary = content_type.split(';').find_map(parameter).unwrap_or_default();
        let name = boundary.trim_start_matches('-');
        if name.is_empty() {
            return Err(BadParts::NoBoundary);
        }
        let delimiter = format!("--{name}").into_bytes();
        Ok(Self { delimiter, buffer: Vec::new(), state: State::Head })
    }

    /// The next bytes of the body.
    pub(in crate::capture) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next picture, if it is complete.
    pub(in crate::capture) fn next(&mut self) -> Result<Option<Vec<u8>>, BadParts> {
        loop {
            match self.state {
                State::Head => {
                    let Some((head, length)) = head(&self.buffer) else {
                        return if self.buffer.len() > MAX_HEAD { Err(BadParts::NoHead) } else { Ok(None) };
                    };
                    let is_blank = self.buffer[..head].iter().all(u8::is_ascii_whitespace);
                    self.buffer.drain(..head);
                    self.state = match length {
                        _ if is_blank => State::Head,
                        Some(length) if length > MAX_PICTURE => return Err(BadParts::TooLarge),
                        Some(length) => State::Counted(length),
                        None => State::Delimited(0),
                    };
                }
                State::Counted(length) => {
                    if self.buffer.len() < length {
                        return Ok(None);
                    }
                    let rest = self.buffer.split_off(length);
                    self.state = State::Head;
                    return Ok(Some(std::mem::replace(&mut self.buffer, rest)));
                }
                State::Delimited(from) => {
                    let Some(end) = memmem::find(&self.buffer[from..], &self.delimiter).map(|at| from + at)
                    else {
                        if self.buffer.len() > MAX_PICTURE {
                            return Err(BadParts::TooLarge);
                        }
                        let tail = self.buffer.len().saturating_sub(self.delimiter.len() - 1);
                        self.state = State::Delimited(tail);
                        return Ok(None);
                    };
                    let rest = self.buffer.split_off(end);
                    self.state = State::Head;
                    return Ok(Some(std::mem::replace(&mut self.buffer, rest)));
                }
            }
        }
    }
}

/// Where the header lines end, and the length of the content that they name.
fn head(buffer: &[u8]) -> Option<(usize, Option<usize>)> {
    let buffer = &buffer[..buffer.len().min(MAX_HEAD)];
    let ends = [(&b"\r\n\r\n"[..], 4), (b"\n\n", 2)];
    let end = ends.iter().filter_map(|(end, bytes)| Some(memmem::find(buffer, end)? + bytes)).min()?;
    let text = String::from_utf8_lossy(&buffer[..end]);
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    Some((end, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All pictures, fed in pieces of every size.
    fn pictures(content_type: &str, body: &[u8]) -> Vec<Vec<u8>> {
        let mut expected: Option<Vec<Vec<u8>>> = None;
        for piece in 1..=body.len() {
            let mut parts = Parts::new(content_type).expect("a boundary");
            let mut found = Vec::new();
            for bytes in body.chunks(piece) {
                parts.push(bytes);
                while let Some(picture) = parts.next().expect("good parts") {
                    found.push(picture);
                }
            }
            assert_eq!(expected.get_or_insert_with(|| found.clone()), &found, "in pieces of {piece}");
        }
        expected.unwrap_or_default()
    }

    #[test]
    fn every_camera_has_its_own_idea_of_a_boundary() {
        let with_length = b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: 3\r\n\r\nabc\r\n--b\r\ncontent-length:2\r\n\r\nde\r\n";
        let said = ["b", "--b", "\"b\"", "\"--b\""];
        for said in said {
            let content_type = format!("multipart/x-mixed-replace; boundary={said}");
            assert_eq!(pictures(&content_type, with_length), [b"abc".to_vec(), b"de".to_vec()]);
        }
        let without = b"--b\nContent-Type: image/jpeg\n\nabc--b\nContent-Type: image/jpeg\n\nde--b\nX: y\n\n";
        assert_eq!(
            pictures("multipart/x-mixed-replace;boundary=b", without),
            [b"abc".to_vec(), b"de".to_vec()]
        );
    }

    #[test]
    fn what_never_ends_is_given_up() {
        let mut parts = Parts::new("multipart/x-mixed-replace; boundary=b").expect("a boundary");
        parts.push(&[b'x'; MAX_HEAD + 1]);
        assert_eq!(parts.next(), Err(BadParts::NoHead));
        let mut parts = Parts::new("multipart/x-mixed-replace; boundary=b").expect("a boundary");
        parts.push(b"--b\r\nContent-Length: 99999999999\r\n\r\n");
        assert_eq!(parts.next(), Err(BadParts::TooLarge));
        let mut parts = Parts::new("multipart/x-mixed-replace; boundary=b").expect("a boundary");
        parts.push(b"--b\r\nA: b\r\n\r\n");
        let error = (0..=MAX_PICTURE / 65536).find_map(|_| {
            parts.push(&[0; 65536]);
            parts.next().err()
        });
        assert_eq!(error, Some(BadParts::TooLarge));
        assert_eq!(Parts::new("multipart/x-mixed-replace").err(), Some(BadParts::NoBoundary));
    }

    #[test]
    fn random_bytes_do_no_harm() {
        let mut random = fastrand::Rng::with_seed(5);
        let words: [&[u8]; 7] =
            [b"--b", b"\r\n", b"\n", b"Content-Length: ", b"4294967296", b"3", b"\xff\xd8\xff"];
        for _ in 0..2000 {
            let mut parts = Parts::new("multipart/x-mixed-replace; boundary=b").expect("a boundary");
            for _ in 0..40 {
                parts.push(words[random.usize(..words.len())]);
                while let Ok(Some(picture)) = parts.next() {
                    assert!(picture.len() <= 400);
                }
            }
        }
    }
}
