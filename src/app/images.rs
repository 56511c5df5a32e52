//! The detector on single pictures.

use std::io::{BufRead, Cursor, Seek};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use image::{DynamicImage, ImageDecoder as _, ImageReader};

use crate::config::{Config, InputSize};
use crate::detect::Detector;
use crate::inference::{Library, Runtime, suited};
use crate::model::Detection;
use crate::pixels::{Picture, RgbImage, View};
use crate::telemetry::{Stage, Telemetry, Worker};

/// How pictures are looked at; `None` leaves it to the manifest.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Manifest name.
    pub model: Option<String>,
    /// Floor.
    pub min_score: Option<f32>,
    /// Boxes of one class that overlap more are one.
    pub most_overlap: Option<f32>,
    /// Input shape, px.
    pub size: Option<(u32, u32)>,
}

/// An open detector for pictures.
#[derive(Debug)]
pub struct ImageDetector {
    detector: Detector,
    worker: Worker,
    shape: Option<(usize, usize)>,
    long_side: u32,
    min_score: f32,
    most_overlap: f32,
}

impl ImageDetector {
    /// Loads the network.
    pub fn open(config: &Config, options: &Options) -> Result<Self> {
        let library = Library::find(&config.models)?;
        let manifest = library.model(options.model.as_ref().unwrap_or(&config.detect.model))?;
        let shape = options.size.map(|size| check_size(manifest.input.size, size)).transpose()?;
        let runtime = Runtime::load(&config.models, &library)?;
        let min_score =
            options.min_score.or(config.detect.min_score).unwrap_or(manifest.output.score_threshold);
        let most_overlap = options.most_overlap.unwrap_or(manifest.output.nms_iou);
        let detector = Detector::open(&runtime, &suited(&runtime, manifest, config)?, config)?;
        let worker = Arc::new(Telemetry::default()).worker(Stage::Inference, "detect");
        let long_side = config.detect.long_side;
        Ok(Self { detector, worker, shape, long_side, min_score, most_overlap })
    }

    /// What is in the picture, best first.
    pub fn detect(&mut self, image: &RgbImage) -> Result<Vec<Detection>> {
        let size = (image.width, image.height);
        let shape = self.shape.unwrap_or_else(|| self.detector.input_shape(Some(self.long_side), size));
        let view = View::whole(Picture::Rgb(image));
        let mut found =
            self.detector.detect(&[view], shape, self.min_score, self.most_overlap, &self.worker)?;
        Ok(found.pop().unwrap_or_default())
    }
}

fn check_size(of_model: InputSize, (width, height): (u32, u32)) -> Result<(usize, usize)> {
    match of_model {
        InputSize::Fixed { width: only, height: high } => {
            anyhow::ensure!((width, height) == (only, high), "this model takes {only}x{high} only");
        }
        InputSize::Dynamic { multiple, .. } => {
            let fits = width % multiple == 0 && height % multiple == 0;
            anyhow::ensure!(fits, "width and height must be multiples of {multiple} for this model");
        }
    }
    Ok((width as usize, height as usize))
}

/// Reads a picture, turned as its EXIF data says.
pub fn read_image(path: &Path) -> Result<RgbImage> {
    let read = || decode(ImageReader::open(path)?);
    read().with_context(|| format!("cannot read the picture {}", path.display()))
}

/// The same for the content of a file.
pub(crate) fn decode_image(bytes: &[u8]) -> Result<RgbImage> {
    decode(ImageReader::new(Cursor::new(bytes)))
}

fn decode(reader: ImageReader<impl BufRead + Seek>) -> Result<RgbImage> {
    let mut decoder = reader.with_guessed_format()?.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    let image = image.into_rgb8();
    Ok(RgbImage { width: image.width() as usize, height: image.height() as usize, data: image.into_raw() })
}
