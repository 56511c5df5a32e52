//! Which network of a model runs: the one that was trained (fp32), or the int8 one made from it.
//!
//! int8 is twice as fast on processors with instructions for it and slower on some without, so both are measured the first time
//! they meet, and the verdict is kept: beside the networks, or in the data folder where that is not allowed. What reading an answer
//! makes of it is not known here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::feed::input_shape;
use super::{InferenceError, Network, Runtime, Steps};
use crate::config::{Config, Manifest, Precision};
use crate::pixels::{Picture, RgbImage, View};
use crate::telemetry::{Stage, Telemetry, process_cpu};

/// The networks are measured by turns, this often each: whoever has the other cores and the caches meanwhile changes.
const TURNS: usize = 3;
/// Inferences of a turn, after one that does not count. The cheapest of all tells what a network costs: what else runs on the machine
/// only makes one dearer.
const RUNS: u32 = 3;
/// int8 loses a little (of NanoDet's AP of small things, and scores near the threshold), so it must save at least this share.
const CLEAR_GAIN: f64 = 0.1;
/// int8 rounds: its outputs differ from the original's by 0.08 to 0.35 of their size, and it finds as much. By more than this, it
/// is another network, or the processor's instructions overflow.
const MOST_DIFFERENT: f32 = 0.5;
/// Cameras are mostly this wide and high, in parts.
const USUAL_PICTURE: (usize, usize) = (1920, 1080);

/// A model with the network that suits this machine.
#[derive(Debug)]
pub struct Suited {
    /// Its `file` is the network to open.
    pub manifest: Manifest,
    /// Which one that is.
    pub precision: Precision,
    /// What was measured, if there was a choice.
    pub trial: Option<Trial>,
}

/// Both networks of a model on this machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trial {
    /// Processor, runtime, files and input that it is about, as a digest.
    of: String,
    /// Processor time of one picture through the trained network.
    pub fp32_ms: f64,
    /// Processor time of one picture through the int8 network.
    pub int8_ms: f64,
    /// Whether both say the same.
    pub agree: bool,
}

impl Trial {
    fn winner(&self) -> Precision {
        let clearly_faster = self.int8_ms < self.fp32_ms * (1.0 - CLEAR_GAIN);
        if self.agree && clearly_faster { Precision::Int8 } else { Precision::Fp32 }
    }
}

/// Takes the network that the settings name; if they leave it open, int8 where that is clearly faster.
pub fn suited(runtime: &Runtime, manifest: Manifest, config: &Config) -> Result<Suited, InferenceError> {
    let int8 = manifest.int8.clone().filter(|file| file.is_file());
    let (precision, trial) = match (config.detect.precision, &int8) {
        (Some(Precision::Int8), None) => return Err(InferenceError::NoInt8(manifest.name)),
        (Some(forced), _) => (forced, None),
        (None, None) => (Precision::Fp32, None),
        (None, Some(int8)) => match trial(runtime, &manifest, int8, config) {
            Ok(trial) => (trial.winner(), Some(trial)),
            Err(error) => {
                tracing::warn!(model = manifest.name, %error, "cannot try the int8 network; fp32 is used");
                (Precision::Fp32, None)
            }
        },
    };
    let file = match (precision, int8) {
        (Precision::Int8, Some(file)) => file,
        (Precision::Int8 | Precision::Fp32, _) => manifest.file,
    };
    Ok(Suited { manifest: Manifest { file, ..manifest }, precision, trial })
}

/// The verdict of an earlier start, if nothing has changed since; else a new one.
fn trial(
    runtime: &Runtime,
    manifest: &Manifest,
    int8: &Path,
    config: &Config,
) -> Result<Trial, InferenceError> {
    let settings = &config.detect;
    let input = input_shape(manifest.input.size, Some(settings.long_side), USUAL_PICTURE);
    let of = circumstances(runtime, &[&manifest.file, int8], input, settings.threads);
    let kept = [
        manifest.file.with_extension("trial.json"),
        config.data_dir.join(format!("{}.trial.json", manifest.name)),
    ];
    let read = |path| fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<Trial>(&bytes).ok());
    if let Some(trial) = kept.iter().filter_map(read).find(|trial| trial.of == of) {
        return Ok(trial);
    }
    let manifest_int8 = Manifest { file: int8.to_owned(), ..manifest.clone() };
    let (mut fp32, mut int8) = (Run::NONE, Run::NONE);
    for _ in 0..TURNS {
        // One is closed before the other is opened: two sessions at once would double the peak of memory.
        fp32.repeat(runtime, manifest.clone(), input, settings.threads)?;
        int8.repeat(runtime, manifest_int8.clone(), input, settings.threads)?;
    }
    let trial = Trial {
        of,
        fp32_ms: milliseconds(fp32.cost),
        int8_ms: milliseconds(int8.cost),
        agree: agree(&fp32.answer, &int8.answer),
    };
    tracing::info!(
        model = manifest.name,
        width = input.0,
        height = input.1,
        fp32_ms = trial.fp32_ms,
        int8_ms = trial.int8_ms,
        agree = trial.agree,
        "measured both networks"
    );
    if let Err(error) = keep(&trial, &kept) {
        tracing::debug!(%error, "cannot keep it; it is measured at the next start again");
    }
    Ok(trial)
}

/// Writes it to the first of these files that can be written.
fn keep(trial: &Trial, files: &[PathBuf; 2]) -> io::Result<()> {
    let text = serde_json::to_vec(trial)?;
    // Renamed, so that no other process reads half of it, and one that somebody else wrote can be replaced.
    let write = |file: &PathBuf| {
        let new = file.with_extension("json.new");
        fs::write(&new, &text).and_then(|()| fs::rename(&new, file))
    };
    write(&files[0]).or_else(|_| write(&files[1]))
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e4).round() / 10.0
}

struct Run {
    /// Processor time of the cheapest inference, in all threads: hardly anything else of this process works yet.
    cost: Duration,
    /// The values of each output.
    answer: Vec<Vec<f32>>,
}

impl Run {
    const NONE: Self = Self { cost: Duration::MAX, answer: Vec::new() };

    fn repeat(
        &mut self,
        runtime: &Runtime,
        manifest: Manifest,
        input: (usize, usize),
        threads: usize,
    ) -> Result<(), InferenceError> {
        let worker = Arc::new(Telemetry::default()).worker(Stage::Inference, "trial");
        let steps = Steps { prepare: Stage::Preprocess, run: Stage::Inference, read: Stage::Postprocess };
        let job = manifest.job;
        let mut network = Network::open(runtime, manifest, job, threads, steps)?;
        let picture = picture(input);
        for round in 0..=RUNS {
            let before = process_cpu();
            let views = [View::whole(Picture::Rgb(&picture))];
            let answers = network.look(&views, input, &worker, |outputs, _| {
                Ok(outputs.iter().map(|output| output.values.to_vec()).collect())
            })?;
            if round > 0 {
                self.cost = self.cost.min(process_cpu().saturating_sub(before));
            }
            self.answer = answers.into_iter().next().unwrap_or_default();
        }
        Ok(())
    }
}

/// Edges, ramps and colours.
fn picture((width, height): (usize, usize)) -> RgbImage {
    let value = |x: usize, y: usize, channel: usize| {
        let ramps = (x * (2 + channel) + y * (3 - channel)) / 2;
        let blocks = (x / 24 + y / 16) % 2 * 90;
        ((ramps + blocks + channel * 40) % 256) as u8
    };
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let data = pixels.flat_map(|(x, y)| [0, 1, 2].map(|channel| value(x, y, channel))).collect();
    RgbImage { width, height, data }
}

fn agree(original: &[Vec<f32>], quantised: &[Vec<f32>]) -> bool {
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|value| value * value).sum::<f32>().sqrt();
    let close = |(original, quantised): (&Vec<f32>, &Vec<f32>)| {
        let difference = norm(&mut original.iter().zip(quantised).map(|(a, b)| a - b));
        let size = norm(&mut original.iter().copied());
        original.len() == quantised.len() && difference <= MOST_DIFFERENT * size
    };
    original.len() == quantised.len() && original.iter().zip(quantised).all(close)
}

/// All that a trial's outcome depends on, as a digest.
fn circumstances(runtime: &Runtime, files: &[&Path; 2], input: (usize, usize), threads: usize) -> String {
    let mut digest = Sha256::new();
    digest.update(format!("{input:?} {threads} {} ", runtime.build()));
    digest.update(processor(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default()));
    for file in files {
        // `models/fetch` replaces files and never changes them: a new network has a new time.
        let about = std::fs::metadata(file).ok();
        digest.update(format!("{:?}", about.map(|about| (about.len(), about.modified().ok()))));
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a processor is and can do: of the first one, as its clock and its number say nothing about that.
fn processor(cpuinfo: &str) -> String {
    const TELLING: [&str; 7] =
        ["vendor_id", "cpu family", "model", "model name", "flags", "Features", "CPU part"];
    let first = cpuinfo.split("\n\n").next().unwrap_or_default();
    let telling = |line: &&str| line.split_once(':').is_some_and(|(key, _)| TELLING.contains(&key.trim()));
    first.lines().filter(telling).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(fp32_ms: f64, int8_ms: f64, agree: bool) -> Trial {
        Trial { of: String::new(), fp32_ms, int8_ms, agree }
    }

    #[test]
    fn int8_wins_where_it_is_clearly_faster_and_says_the_same() {
        assert_eq!(trial(46.0, 24.0, true).winner(), Precision::Int8);
        assert_eq!(
            trial(46.0, 44.0, true).winner(),
            Precision::Fp32,
            "hardly faster, and a little less exact"
        );
        assert_eq!(trial(46.0, 60.0, true).winner(), Precision::Fp32);
        assert_eq!(trial(46.0, 24.0, false).winner(), Precision::Fp32);
    }

    #[test]
    fn rounded_answers_agree_and_others_do_not() {
        let original = vec![vec![1.0, -2.0, 0.5], vec![3.0; 8]];
        let rounded = vec![vec![1.1, -1.8, 0.4], vec![3.2; 8]];
        assert!(agree(&original, &rounded));
        assert!(!agree(&original, &[vec![1.1, -1.8, 0.4], vec![-3.0; 8]]));
        assert!(!agree(&original, &rounded[..1]));
        assert!(!agree(&original, &[vec![f32::NAN; 3], vec![3.0; 8]]));
    }

    #[test]
    fn the_clock_of_a_processor_is_not_part_of_what_it_is() {
        let at = |mhz: &str, flags: &str| {
            let info = format!(
                "processor\t: 0\nmodel name\t: X\ncpu MHz\t: {mhz}\nflags\t: {flags}\n\nprocessor\t: 1\n"
            );
            processor(&info)
        };
        assert_eq!(at("1000", "avx2"), at("2000", "avx2"));
        assert_ne!(at("1000", "avx2"), at("1000", "avx2 avx512_vnni"));
    }
}
