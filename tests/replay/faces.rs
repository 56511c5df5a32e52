//! Faces in frames of a camera, with the real networks.

use std::fs;
use std::sync::Arc;

use porchlight::config::Config;
use porchlight::inference::{Library, Runtime};
use porchlight::model::{Captured, FaceFlaw, Frame};
use porchlight::pixels::{Area, Picture, View};
use porchlight::recognise::FaceReader;
use porchlight::telemetry::{Stage, Telemetry};

use super::common::{ffmpeg, footage};

const SIZE: (usize, usize) = (704, 576);

fn reader(config: &Config) -> FaceReader {
    let library = Library::find(&config.models).expect("run `make setup`");
    let runtime = Runtime::load(&config.models, &library).expect("run `make setup`");
    let model = |name: &str| library.model(name).expect("run `make setup`");
    let (detector, embedder) = (model(&config.faces.detector), model(&config.faces.embedder));
    let worker = Arc::new(Telemetry::default()).worker(Stage::Faces, "test");
    FaceReader::open(&runtime, detector, embedder, &config.faces, worker).expect("the networks open")
}

/// Second 1 of `carphone`, four times as large in area.
fn frame(config: &Config) -> Frame {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let raw = folder.path().join("frame.yuv");
    let (width, height) = SIZE;
    let arguments = format!(
        "-ss 1 -i {{in}} -frames:v 1 -vf scale={width}:{height} -pix_fmt yuv420p -f rawvideo {{out}}"
    );
    ffmpeg(&arguments, &footage("carphone.mp4"), &raw);
    let bytes = fs::read(raw).expect("ffmpeg wrote it");
    let (luma, chroma) = bytes.split_at(width * height);
    let (u, v) = chroma.split_at(chroma.len() / 2);
    let camera = Arc::clone(&config.cameras[0].camera);
    let planes = [luma.to_vec(), u.to_vec(), v.to_vec()];
    Frame::new(camera, 0, Captured::now(), SIZE, planes).expect("planes of this size")
}

#[test]
fn a_face_is_the_same_face_wherever_in_the_frame_somebody_looks() {
    let config = Config::parse("[[camera]]\nid = \"car\"\nsource = \"car.mp4\"\n").expect("valid");
    let mut reader = reader(&config);
    let frame = frame(&config);
    let picture = Picture::Frame(&frame);
    // Odd edges: chroma is widened to even ones. The last one cuts through the face.
    let part = View { picture, area: Area { x: 123, y: 61, width: 401, height: 433 } };
    let nobody = View { picture, area: Area { x: 0, y: 0, width: 96, height: 96 } };
    let cut = View { picture, area: Area { x: 315, y: 61, width: 301, height: 433 } };
    let looks = reader.look(&[View::whole(picture), part, nobody, cut], Captured::now()).expect("they run");
    let counts: Vec<usize> = looks.iter().map(Vec::len).collect();
    assert!(counts.starts_with(&[1, 1, 0]), "{looks:?}");
    let (whole, part, cut) = (&looks[0][0], &looks[1][0], &looks[3]);
    assert_eq!((whole.at, part.at), (frame.captured, frame.captured));
    for ((x, y), (u, v)) in whole.face.landmarks.into_iter().zip(part.face.landmarks) {
        let apart = ((x - u) * SIZE.0 as f32).hypot((y - v) * SIZE.1 as f32);
        assert!(apart < 6.0, "{whole:?}\n{part:?}");
    }
    let (a, b) = (whole.embedding.as_ref().expect("usable"), part.embedding.as_ref().expect("usable"));
    assert!(a.similarity(b) > 0.9, "{}", a.similarity(b));
    let flaws: Vec<_> = cut.iter().map(|look| look.embedding.as_ref().err().copied()).collect();
    let poor = |flaw: &Option<FaceFlaw>| matches!(flaw, Some(FaceFlaw::CutOff | FaceFlaw::Uncertain));
    assert!(flaws.iter().all(poor), "{cut:?}");
}

#[test]
fn a_model_for_something_else_is_refused_by_name() {
    let config = Config::parse("[faces]\ndetector = \"nanodet\"\n").expect("valid");
    let library = Library::find(&config.models).expect("run `make setup`");
    let runtime = Runtime::load(&config.models, &library).expect("run `make setup`");
    let model = |name: &str| library.model(name).expect("run `make setup`");
    let worker = Arc::new(Telemetry::default()).worker(Stage::Faces, "test");
    let opened = FaceReader::open(&runtime, model("nanodet"), model("mobilefacenet"), &config.faces, worker);
    let error = opened.expect_err("it finds no faces").to_string();
    assert!(error.contains("`nanodet` is a model for objects, not for faces"), "{error}");
}
