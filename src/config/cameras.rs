//! `[[camera]]` tables: identity, masks, zones and lines. Where the pictures come from is in [`super::source`].

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::read::{customer, placeholder, title};
use super::section::Section;
use super::source::{main_source, source};
use super::{Attendance, CameraConfig, Decode, FaceMode, Hardware, Motion};
use crate::model::{Camera, CameraSlug, Line, Polygon};

/// Cameras that name no UUID get one derived from their slug in this namespace, so it is the same on every start.
const CAMERA_NAMESPACE: Uuid = Uuid::from_u128(0x6d0f_2c3b_7a51_4f0e_9d57_3a9e_15c8_6b01);

pub(super) fn camera(section: Section<'_>) -> CameraConfig {
    let slug = section.parsed("id", CameraSlug::parse);
    if slug.is_none() {
        section.required::<String>("id");
    }
    let slug = slug.unwrap_or_else(|| placeholder(CameraSlug::parse));
    let uuid = section.parsed("uuid", Uuid::parse_str);
    let source = source(&section);
    let main = main_source(&section, &source);
    let camera = Camera {
        uuid: uuid.unwrap_or_else(|| Uuid::new_v5(&CAMERA_NAMESPACE, slug.as_str().as_bytes())),
        name: section.optional("name").unwrap_or_else(|| title(slug.as_str())),
        source_type: source.source_type(),
        customer: customer(&section),
        slug,
    };
    let camera = CameraConfig {
        camera: Arc::new(camera),
        enabled: section.required("enabled"),
        source,
        main,
        main_buffer_bytes: section.whole::<usize>("main_buffer_mb", 1..=1024) << 20,
        fps: section.number("fps", 0.1..=60.0),
        decode: section.choice("decode", &[("auto", Decode::Auto), ("all", Decode::All)]),
        hardware: section.choice("hardware", &[("auto", Hardware::Auto), ("off", Hardware::Off)]),
        motion: motion(section.section("motion")),
        motion_masks: polygons(&section, "motion_masks"),
        privacy_masks: polygons(&section, "privacy_masks"),
        zones: shapes(section.section("zones"), POLYGON, Polygon::new),
        lines: shapes(section.section("lines"), LINE, line),
        faces: section.choice(
            "faces",
            &[("off", FaceMode::Off), ("people", FaceMode::People), ("always", FaceMode::Always)],
        ),
        attendance: section.choice(
            "attendance",
            &[
                ("seen", Attendance::Seen),
                ("in", Attendance::In),
                ("out", Attendance::Out),
                ("off", Attendance::Off),
            ],
        ),
    };
    section.finish();
    camera
}

fn motion(section: Section<'_>) -> Motion {
    let motion = Motion {
        threshold: section.whole("threshold", 1..=254),
        min_area: section.number("min_area", 0.0..=1.0) as f32,
        start_frames: section.whole("start_frames", 1..=100),
        quiet: section.seconds("quiet_s", 0.0..=600.0),
    };
    section.finish();
    motion
}

const POLYGON: &str = "a polygon is at least three points [x, y], each from 0 to 1";

fn polygons(section: &Section<'_>, key: &str) -> Vec<Polygon> {
    let corners: Vec<Vec<(f32, f32)>> = section.optional(key).unwrap_or_default();
    let several = corners.len() > 1;
    let polygon = |(index, corners)| {
        let polygon = Polygon::new(corners);
        if polygon.is_none() {
            let which = if several { format!("number {}: ", index + 1) } else { String::new() };
            section.wrong(key, format!("{which}{POLYGON}"));
        }
        polygon
    };
    corners.into_iter().enumerate().filter_map(polygon).collect()
}

const LINE: &str = "a line is two different points [x, y], each from 0 to 1";

fn line(points: Vec<(f32, f32)>) -> Option<Line> {
    match points[..] {
        [from, to] => Line::new(from, to),
        _ => None,
    }
}

/// Shapes by name; `what` says what one is.
fn shapes<T>(
    section: Section<'_>,
    what: &str,
    shape: impl Fn(Vec<(f32, f32)>) -> Option<T>,
) -> BTreeMap<String, T> {
    let mut shapes = BTreeMap::new();
    for name in section.free_keys() {
        let Some(points) = section.optional::<Vec<(f32, f32)>>(&name) else { continue };
        match shape(points) {
            Some(shape) => {
                shapes.insert(name, shape);
            }
            None => section.wrong(&name, what),
        }
    }
    section.finish();
    shapes
}
