//! The manifest of a model: how to feed a network and how to read its answer. The format is described in `models/README.md`.

use std::path::{Path, PathBuf};

use toml_span::Value;
use toml_span::value::{Table, ValueInner};

use super::coco::{coco80, coco90};
use super::problem::{ConfigError, Problem};
use super::report::Report;
use super::section::Section;

/// A model as its manifest describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Name of the model and of the manifest's file.
    pub name: String,
    /// What it is for.
    pub job: Job,
    /// One line for people.
    pub description: String,
    /// Licence of the weights.
    pub licence: String,
    /// Package and version it came from; `None` for a user's own.
    pub origin: Option<String>,
    /// The ONNX file, beside the manifest.
    pub file: PathBuf,
    /// The same network with weights of eight bits, beside the manifest.
    pub int8: Option<PathBuf>,
    /// How it is fed.
    pub input: ModelInput,
    /// How its answer is read.
    pub output: ModelOutput,
}

/// What a network is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Finds objects.
    Objects,
    /// Finds faces.
    Faces,
    /// Turns a face into numbers.
    Embedding,
}

impl Job {
    /// The word in the manifest.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Objects => "objects",
            Self::Faces => "faces",
            Self::Embedding => "embedding",
        }
    }
}

/// How exactly a network computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// As trained: floating point, 32 bits.
    Fp32,
    /// Whole numbers of 8 bits.
    Int8,
}

impl Precision {
    /// The word in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Int8 => "int8",
        }
    }
}

/// How a network is fed.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelInput {
    /// Name of the ONNX input.
    pub name: String,
    /// Whether colours are planes (`nchw`) or interleaved (`nhwc`).
    pub planar: bool,
    /// Whether blue comes first.
    pub bgr: bool,
    /// Subtracted, in the order as fed.
    pub mean: [f32; 3],
    /// Divided by, in the order as fed.
    pub std: [f32; 3],
    /// Keep proportions and fill the rest with `pad`, or stretch.
    pub letterbox: bool,
    /// 0..255, before normalisation.
    pub pad: u8,
    /// Which sizes it takes.
    pub size: InputSize,
}

/// Which input sizes a network takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputSize {
    /// Just this one, px.
    Fixed {
        /// Width.
        width: u32,
        /// Height.
        height: u32,
    },
    /// Any multiple.
    Dynamic {
        /// Of this many px.
        multiple: u32,
        /// Unless the configuration says otherwise.
        long_side: u32,
    },
}

/// How the answer of a network is read.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelOutput {
    /// The kind of answer.
    pub family: Family,
    /// Class names by index; empty for faces and embeddings.
    pub classes: Vec<String>,
    /// Default floor.
    pub score_threshold: f32,
    /// Boxes of one class that overlap more are one.
    pub nms_iou: f32,
    /// Length of an embedding.
    pub dimensions: usize,
    /// Where an embedding wants the eyes, the nose and the mouth.
    pub alignment: Alignment,
}

/// Where the five points of a face lie in the picture that an embedder is fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alignment {
    /// As ArcFace was trained, and nearly everything since.
    Arcface,
    /// As dlib's ResNet was trained: more of the head around the face.
    Dlib,
}

/// The kinds of answers that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Distance distributions on a grid: NanoDet.
    Nanodet,
    /// Boxes and scores, decoded in the graph: SSD.
    Ssd,
    /// Grid offsets with objectness: YOLOX.
    Yolox,
    /// One tensor of boxes and scores: YOLOv8 to v12.
    Yolo,
    /// Heat map with landmarks: CenterFace.
    Centerface,
    /// Grid offsets with landmarks: YuNet.
    Yunet,
    /// Distances from anchors with landmarks: SCRFD.
    Scrfd,
    /// A vector.
    Embedding,
}

impl Manifest {
    /// Reads a manifest; all problems at once.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let fail = |problems| ConfigError { file: Some(path.to_owned()), problems };
        let text = std::fs::read_to_string(path).map_err(|error| {
            fail(vec![Problem { line: None, key: String::new(), message: format!("cannot read: {error}") }])
        })?;
        let folder = path.parent().unwrap_or(Path::new("."));
        parse(&text, folder).map_err(fail)
    }
}

fn parse(text: &str, folder: &Path) -> Result<Manifest, Vec<Problem>> {
    let report = Report::new(text);
    let empty = || Value::new(ValueInner::Table(Table::new()));
    let user = toml_span::parse(text).unwrap_or_else(|error| {
        report.add(Some(error.span.start), String::new(), format!("is not TOML: {error}"));
        empty()
    });
    let no_defaults = empty();
    let root = Section::root(&user, &no_defaults, &report);
    let jobs = [("objects", Job::Objects), ("faces", Job::Faces), ("embedding", Job::Embedding)];
    let job = root.choice("job", &jobs);
    root.optional::<bool>("default");
    let manifest = Manifest {
        name: root.required("name"),
        job,
        description: root.optional("description").unwrap_or_default(),
        licence: root.optional("licence").unwrap_or_default(),
        origin: origin(root.section("source")),
        file: folder.join(root.required::<String>("file")),
        int8: int8(root.section("int8")).map(|file| folder.join(file)),
        input: input(root.section("input")),
        output: output(root.section("output"), job),
    };
    root.finish();
    report.into_result().map(|_| manifest)
}

/// `[source]` is for `models/fetch`; the agent only shows where a model came from.
fn origin(section: Section<'_>) -> Option<String> {
    section.free_keys();
    let part = |key| section.optional::<String>(key);
    let origin = Some(format!("{} {} {}", part("client")?, part("package")?, part("version")?));
    section.finish();
    origin
}

/// What it is made from is for `models/fetch`.
fn int8(section: Section<'_>) -> Option<String> {
    let file = section.is_written().then(|| section.required("file"));
    let footage = section.section("footage");
    footage.free_keys();
    footage.finish();
    section.finish();
    file
}

fn input(section: Section<'_>) -> ModelInput {
    let size = match section.optional::<String>("size").as_deref() {
        Some("dynamic") => InputSize::Dynamic {
            multiple: section.whole("multiple", 1..=1024),
            long_side: section.whole("long_side", 32..=4096),
        },
        Some(text) => match parse_size(text) {
            Ok((width, height)) => InputSize::Fixed { width, height },
            Err(message) => {
                section.wrong("size", message);
                InputSize::Fixed { width: 1, height: 1 }
            }
        },
        None => {
            section.required::<String>("size");
            InputSize::Fixed { width: 1, height: 1 }
        }
    };
    let input = ModelInput {
        name: section.required("name"),
        planar: section.choice("layout", &[("nchw", true), ("nhwc", false)]),
        bgr: section.choice("color", &[("bgr", true), ("rgb", false)]),
        mean: three(&section, "mean"),
        std: three(&section, "std"),
        letterbox: section.choice("resize", &[("letterbox", true), ("stretch", false)]),
        pad: section.optional::<u64>("pad").map_or(0, |_| section.whole("pad", 0..=255)),
        size,
    };
    if input.std.contains(&0.0) {
        section.wrong("std", "must not be zero");
    }
    section.finish();
    input
}

/// `640x384` -> (640, 384).
pub fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let sides = text.split_once(['x', 'X', '×']).and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    match sides {
        Some((width, height)) if (1..=8192).contains(&width) && (1..=8192).contains(&height) => {
            Ok((width, height))
        }
        _ => Err(format!("`{text}` is not a size; expected WIDTHxHEIGHT in pixels, such as 640x384")),
    }
}

fn three(section: &Section<'_>, key: &str) -> [f32; 3] {
    let values: Vec<f64> = section.required(key);
    match values.as_slice() {
        [a, b, c] => [*a as f32, *b as f32, *c as f32],
        _ => {
            section.wrong(key, "must be three numbers, one a colour");
            [1.0; 3]
        }
    }
}

fn output(section: Section<'_>, job: Job) -> ModelOutput {
    let families = [
        ("nanodet", Family::Nanodet),
        ("ssd", Family::Ssd),
        ("yolox", Family::Yolox),
        ("yolo", Family::Yolo),
        ("centerface", Family::Centerface),
        ("yunet", Family::Yunet),
        ("scrfd", Family::Scrfd),
        ("embedding", Family::Embedding),
    ];
    let score = |key| section.number(key, 0.0..=1.0) as f32;
    let (score_threshold, nms_iou) = match job {
        Job::Objects | Job::Faces => (score("score_threshold"), score("nms_iou")),
        Job::Embedding => (0.0, 1.0),
    };
    let output = ModelOutput {
        family: section.choice("family", &families),
        classes: if job == Job::Objects { classes(&section) } else { Vec::new() },
        score_threshold,
        nms_iou,
        dimensions: match job {
            Job::Embedding => section.whole("dimensions", 1..=65536),
            Job::Objects | Job::Faces => 0,
        },
        alignment: match section.has("alignment") {
            true => {
                section.choice("alignment", &[("arcface", Alignment::Arcface), ("dlib", Alignment::Dlib)])
            }
            false => Alignment::Arcface,
        },
    };
    section.finish();
    output
}

fn classes(section: &Section<'_>) -> Vec<String> {
    match section.word("classes").as_deref() {
        Some("coco80") => coco80(),
        Some("coco90") => coco90(),
        Some(other) => {
            section.wrong("classes", format!("`{other}` is not coco80, coco90 or a list of names"));
            coco80()
        }
        None => section.required("classes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifests_of_the_repository_are_valid() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).expect("models/").flatten() {
            if entry.path().extension().is_some_and(|e| e == "toml") {
                names.push(Manifest::load(&entry.path()).expect("a valid manifest").name);
            }
        }
        names.sort();
        assert_eq!(names, ["centerface", "mobilefacenet", "nanodet", "ssdlite"]);
    }

    #[test]
    fn every_problem_of_a_manifest_is_told() {
        let text = "name = \"x\"\njob = \"objects\"\nfile = \"x.onnx\"\n[input]\nname = \"i\"\nlayout = \"chw\"\n\
                    color = \"rgb\"\nmean = [0]\nstd = [1, 1, 1]\nresize = \"stretch\"\nsize = \"big\"\n\
                    [output]\nfamily = \"yolo\"\nclases = \"coco80\"\nscore_threshold = 0.4\nnms_iou = 0.5\n";
        let problems = parse(text, Path::new(".")).expect_err("four mistakes");
        let text: Vec<String> =
            problems.iter().map(|p| format!("{:?} {}: {}", p.line, p.key, p.message)).collect();
        assert!(
            text.iter().any(|t| t.starts_with("Some(6) input.layout: `chw` is not one of nchw, nhwc")),
            "{text:#?}"
        );
        assert!(text.iter().any(|t| t.starts_with("Some(8) input.mean: must be three numbers")), "{text:#?}");
        assert!(text.iter().any(|t| t.starts_with("Some(11) input.size: `big` is not a size")), "{text:#?}");
        assert!(text.iter().any(|t| t.contains("unknown key; did you mean `classes`?")), "{text:#?}");
    }
}
