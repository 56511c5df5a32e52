//! H.264 in its two wrappings: NAL units with a length before each (MP4, MKV), and with start codes between them (Annex B), which
//! is what a [`Packet`](crate::model::Packet) holds. Source: ISO/IEC 14496-15, section 5.3.3, and ITU-T H.264, annex B.

const START_CODE: [u8; 4] = [0, 0, 0, 1];
const IDR_SLICE: u8 = 5;
const SPS: u8 = 7;

/// Whether decoding can start at this access unit: it holds an IDR picture.
pub(super) fn is_key(annex_b: &[u8]) -> bool {
    let mut rest = annex_b;
    while let Some(at) = rest.windows(3).position(|bytes| bytes == [0, 0, 1]) {
        rest = &rest[at + 3..];
        match rest.first().map(|header| header & 31) {
            Some(IDR_SLICE) => return true,
            // Slices of other pictures: an access unit has one picture.
            Some(1..=4) | None => return false,
            Some(_) => {}
        }
    }
    false
}

/// What a file says once about all its samples (`avcC`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AvcConfig {
    length_bytes: usize,
    /// SPS and PPS, as Annex B.
    parameter_sets: Vec<u8>,
}

impl AvcConfig {
    /// `None` if it is not one.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let [version, _, _, _, lengths, sps_count] = *reader.take(6)?.first_chunk::<6>()?;
        if version != 1 {
            return None;
        }
        let mut parameter_sets = Vec::new();
        let mut copy = |reader: &mut Reader<'_>, count: u8| {
            for _ in 0..count {
                let length = usize::from(u16::from_be_bytes(*reader.take(2)?.first_chunk()?));
                parameter_sets.extend_from_slice(&START_CODE);
                parameter_sets.extend_from_slice(reader.take(length)?);
            }
            Some(())
        };
        copy(&mut reader, sps_count & 31)?;
        let pps_count = *reader.take(1)?.first()?;
        copy(&mut reader, pps_count)?;
        Some(Self { length_bytes: usize::from(lengths & 3) + 1, parameter_sets })
    }

    /// A sample as Annex B, with the parameter sets before a key frame unless it brings its own. Stops where the lengths make no
    /// sense any more: the decoder copes with half a picture.
    pub(super) fn to_annex_b(&self, sample: &[u8]) -> Vec<u8> {
        let mut data = Vec::with_capacity(sample.len() + self.parameter_sets.len() + 16);
        let mut reader = Reader(sample);
        let (mut is_key, mut has_sps) = (false, false);
        while let Some(length) = reader.take(self.length_bytes) {
            let length = length.iter().fold(0, |value, byte| value << 8 | usize::from(*byte));
            let Some(nal) = reader.take(length.min(reader.0.len())) else { break };
            let Some(header) = nal.first() else { continue };
            is_key |= header & 31 == IDR_SLICE;
            has_sps |= header & 31 == SPS;
            data.extend_from_slice(&START_CODE);
            data.extend_from_slice(nal);
        }
        if is_key && !has_sps {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    const AVCC: [u8; 18] = [1, 66, 0, 30, 0xff, 0xe1, 0, 3, 0x67, 1, 2, 1, 0, 2, 0x68, 3, 0xaa, 0xbb];

    #[test]
    fn parameter_sets_go_before_key_frames_only() {
        let config = AvcConfig::parse(&AVCC).expect("an avcC");
        let key = config.to_annex_b(&[0, 0, 0, 2, 0x65, 9]);
        assert_eq!(key, [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65, 9]);
        assert!(is_key(&key));
        let other = config.to_annex_b(&[0, 0, 0, 2, 0x41, 9, 0, 0, 0, 1, 0x06]);
        assert_eq!(other, [0, 0, 0, 1, 0x41, 9, 0, 0, 0, 1, 0x06]);
        assert!(!is_key(&other));
        let own = config.to_annex_b(&[0, 0, 0, 1, 0x67, 0, 0, 0, 1, 0x65]);
        assert_eq!(own, [0, 0, 0, 1, 0x67, 0, 0, 0, 1, 0x65]);
    }

    #[test]
    fn broken_lengths_end_the_sample_and_nothing_else() {
        let config = AvcConfig::parse(&AVCC).expect("an avcC");
        assert_eq!(config.to_annex_b(&[0, 0, 0, 200, 0x41, 7]), [0, 0, 0, 1, 0x41, 7]);
        assert_eq!(config.to_annex_b(&[0xff, 0xff, 0xff, 0xff]), [0u8; 0]);
        assert_eq!(config.to_annex_b(&[0, 0]), [0u8; 0]);
        for end in 0..AVCC.len() - 2 {
            assert_eq!(AvcConfig::parse(&AVCC[..end]), None, "{end}");
        }
    }
}
