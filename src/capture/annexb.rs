//! H.264 and H.265 in their two wrappings: NAL units with a length before each (MP4, MKV), and with start codes between them
//! (Annex B), which is what a [`Packet`](crate::model::Packet) holds. Source: ISO/IEC 14496-15, sections 5.3.3 and 8.3.3, and annex
//! B of ITU-T H.264 and H.265.

use memchr::memmem;

use crate::model::Codec;

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// What a NAL unit is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nal {
    /// A picture at which decoding can start.
    KeyPicture,
    /// Any other picture.
    Picture,
    /// A sequence parameter set: without it nothing can be decoded.
    SequenceParameters,
    /// Nor without a picture parameter set.
    PictureParameters,
    /// Anything else.
    Other,
}

impl Nal {
    fn of(codec: Codec, header: u8) -> Self {
        match codec {
            Codec::H264 => match header & 31 {
                5 => Self::KeyPicture,
                1..=4 => Self::Picture,
                7 => Self::SequenceParameters,
                8 => Self::PictureParameters,
                _ => Self::Other,
            },
            Codec::H265 => match header >> 1 & 63 {
                16..=21 => Self::KeyPicture,
                0..=31 => Self::Picture,
                33 => Self::SequenceParameters,
                34 => Self::PictureParameters,
                _ => Self::Other,
            },
            Codec::Jpeg | Codec::Yuyv { .. } | Codec::Nv12 { .. } => Self::Other,
        }
    }
}

/// Whether decoding can start at this access unit. An access unit has one picture, so its first slice tells.
pub(super) fn is_key(codec: Codec, data: &[u8]) -> bool {
    match codec {
        Codec::Jpeg | Codec::Yuyv { .. } | Codec::Nv12 { .. } => true,
        Codec::H264 | Codec::H265 => {
            let mut pictures =
                kinds(codec, data).filter(|kind| matches!(kind, Nal::KeyPicture | Nal::Picture));
            pictures.next() == Some(Nal::KeyPicture)
        }
    }
}

/// Puts the stream's parameter sets before a key frame that came without.
pub(super) fn complete(codec: Codec, data: &mut Vec<u8>, parameter_sets: &[u8]) {
    let before: Vec<Nal> =
        kinds(codec, data).take_while(|kind| !matches!(kind, Nal::KeyPicture | Nal::Picture)).collect();
    let has_them = [Nal::SequenceParameters, Nal::PictureParameters].iter().all(|kind| before.contains(kind));
    if !has_them {
        data.splice(0..0, parameter_sets.iter().copied());
    }
}

/// Of the units of an access unit.
fn kinds(codec: Codec, data: &[u8]) -> impl Iterator<Item = Nal> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let at = memmem::find(rest, &[0, 0, 1])?;
        rest = &rest[at + 3..];
        rest.first().map(|header| Nal::of(codec, *header))
    })
}

/// What a file says once about all its samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SampleFormat {
    /// How they are coded.
    pub(super) codec: Codec,
    length_bytes: usize,
    /// As Annex B.
    parameter_sets: Vec<u8>,
}

impl SampleFormat {
    /// Samples that are whole pictures and need nothing.
    pub(super) const JPEG: Self = Self { codec: Codec::Jpeg, length_bytes: 0, parameter_sets: Vec::new() };

    /// Of H.264 (`avcC`). `None` if it is not one.
    pub(super) fn from_avcc(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let [version, _, _, _, lengths, sps_count] = *reader.take(6)?.first_chunk::<6>()?;
        if version != 1 {
            return None;
        }
        let mut parameter_sets = Vec::new();
        reader.copy_units(usize::from(sps_count & 31), &mut parameter_sets)?;
        let pps_count = *reader.take(1)?.first()?;
        reader.copy_units(usize::from(pps_count), &mut parameter_sets)?;
        Some(Self { codec: Codec::H264, length_bytes: usize::from(lengths & 3) + 1, parameter_sets })
    }

    /// Of H.265 (`hvcC`). `None` if it is not one.
    pub(super) fn from_hvcc(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let head = reader.take(23)?.first_chunk::<23>()?;
        if head[0] != 1 {
            return None;
        }
        let mut parameter_sets = Vec::new();
        for _ in 0..head[22] {
            let [_, count @ ..] = *reader.take(3)?.first_chunk::<3>()?;
            reader.copy_units(usize::from(u16::from_be_bytes(count)), &mut parameter_sets)?;
        }
        Some(Self { codec: Codec::H265, length_bytes: usize::from(head[21] & 3) + 1, parameter_sets })
    }

    /// A sample as a packet holds it: Annex B, with the parameter sets before a key frame unless it brings its own. Stops where
    /// the lengths make no sense any more: the decoder copes with half a picture.
    pub(super) fn unwrap(&self, sample: Vec<u8>) -> Vec<u8> {
        if self.codec == Codec::Jpeg {
            return sample;
        }
        let mut data = Vec::with_capacity(sample.len() + self.parameter_sets.len() + 16);
        let mut reader = Reader(&sample);
        let (mut is_key, mut has_parameters) = (false, false);
        while let Some(length) = reader.take(self.length_bytes) {
            let length = length.iter().fold(0, |value, byte| value << 8 | usize::from(*byte));
            let Some(nal) = reader.take(length.min(reader.0.len())) else { break };
            let Some(header) = nal.first() else { continue };
            let kind = Nal::of(self.codec, *header);
            is_key |= kind == Nal::KeyPicture;
            has_parameters |= kind == Nal::SequenceParameters;
            data.extend_from_slice(&START_CODE);
            data.extend_from_slice(nal);
        }
        if is_key && !has_parameters {
            data.splice(0..0, self.parameter_sets.iter().copied());
        }
        data
    }
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// Units with two bytes of length each.
    fn copy_units(&mut self, count: usize, annex_b: &mut Vec<u8>) -> Option<()> {
        for _ in 0..count {
            let length = usize::from(u16::from_be_bytes(*self.take(2)?.first_chunk()?));
            annex_b.extend_from_slice(&START_CODE);
            annex_b.extend_from_slice(self.take(length)?);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AVCC: [u8; 18] = [1, 66, 0, 30, 0xff, 0xe1, 0, 3, 0x67, 1, 2, 1, 0, 2, 0x68, 3, 0xaa, 0xbb];

    fn hvcc() -> Vec<u8> {
        let head = [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 93, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f, 2];
        [&head[..], &[0x21, 0, 1, 0, 3, 0x42, 1, 7, 0x22, 0, 1, 0, 2, 0x44, 1]].concat()
    }

    #[test]
    fn a_key_frame_gets_the_parameter_sets_that_it_lacks() {
        let (set, picture) = ([0, 0, 1, 33 << 1, 1, 7, 0, 0, 1, 34 << 1, 1], [0, 0, 0, 1, 21 << 1, 1, 9]);
        for (came, is) in [
            (picture.to_vec(), [&set[..], &picture].concat()),
            ([&set[..], &picture].concat(), [&set[..], &picture].concat()),
            ([&picture[..], &set].concat(), [&set[..], &picture, &set].concat()),
            ([&set[..6], &picture].concat(), [&set[..], &set[..6], &picture].concat()),
        ] {
            let mut data = came;
            assert!(is_key(Codec::H265, &data));
            complete(Codec::H265, &mut data, &set);
            assert_eq!(data, is);
        }
    }

    #[test]
    fn parameter_sets_go_before_key_frames_only() {
        let format = SampleFormat::from_avcc(&AVCC).expect("an avcC");
        let key = format.unwrap(vec![0, 0, 0, 2, 0x65, 9]);
        assert_eq!(key, [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65, 9]);
        assert!(is_key(Codec::H264, &key));
        let other = format.unwrap(vec![0, 0, 0, 2, 0x41, 9, 0, 0, 0, 1, 0x06]);
        assert_eq!(other, [0, 0, 0, 1, 0x41, 9, 0, 0, 0, 1, 0x06]);
        assert!(!is_key(Codec::H264, &other));
        let own = format.unwrap(vec![0, 0, 0, 1, 0x67, 0, 0, 0, 1, 0x65]);
        assert_eq!(own, [0, 0, 0, 1, 0x67, 0, 0, 0, 1, 0x65]);
    }

    #[test]
    fn the_same_for_h265() {
        let format = SampleFormat::from_hvcc(&hvcc()).expect("an hvcC");
        let parameters = [0, 0, 0, 1, 0x42, 1, 7, 0, 0, 0, 1, 0x44, 1];
        for (header, key) in [(19 << 1, true), (21 << 1, true), (1 << 1, false), (8 << 1, false)] {
            let data = format.unwrap(vec![0, 0, 0, 3, header, 1, 9]);
            assert_eq!(is_key(Codec::H265, &data), key, "{header}");
            let expected = if key { &parameters[..] } else { &[] };
            assert_eq!(data, [expected, &[0, 0, 0, 1, header, 1, 9]].concat());
        }
    }

    #[test]
    fn broken_lengths_end_the_sample_and_nothing_else() {
        let format = SampleFormat::from_avcc(&AVCC).expect("an avcC");
        assert_eq!(format.unwrap(vec![0, 0, 0, 200, 0x41, 7]), [0, 0, 0, 1, 0x41, 7]);
        assert_eq!(format.unwrap(vec![0xff, 0xff, 0xff, 0xff]), [0u8; 0]);
        assert_eq!(format.unwrap(vec![0, 0]), [0u8; 0]);
        for end in 0..AVCC.len() - 2 {
            assert_eq!(SampleFormat::from_avcc(&AVCC[..end]), None, "{end}");
        }
        for end in 0..hvcc().len() {
            assert_eq!(SampleFormat::from_hvcc(&hvcc()[..end]), None, "{end}");
        }
    }

    #[test]
    fn damaged_heads_and_samples_do_no_harm_and_do_not_swell() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut read = 0;
        for _ in 0..20_000 {
            let mut head = if random.bool() { AVCC.to_vec() } else { hvcc() };
            for _ in 0..random.usize(..4) {
                let at = random.usize(..head.len());
                head[at] = random.u8(..);
            }
            head.truncate(random.usize(head.len() / 2..=head.len()));
            let sample: Vec<u8> = (0..random.usize(..60))
                .map(|_| if random.bool() { random.u8(..4) } else { random.u8(..) })
                .collect();
            for format in
                [SampleFormat::from_avcc(&head), SampleFormat::from_hvcc(&head)].into_iter().flatten()
            {
                read += 1;
                let data = format.unwrap(sample.clone());
                // At worst a start code of four bytes in the place of a length of one; in the head, of two.
                assert!(data.len() <= 4 * sample.len() + 2 * head.len(), "{head:?} {sample:?}");
                let _ = is_key(format.codec, &data);
            }
            let _ = (is_key(Codec::H264, &sample), is_key(Codec::H265, &sample));
        }
        assert!(read > 1000, "only {read} were read at all");
    }
}
