//! The second half of `porchlight check`: what only the parts themselves can tell, and, if asked, the cameras.

use std::thread::ScopedJoinHandle;
use std::time::Duration;

use super::probe::{Probe, StreamRole, probe, probe_main};
use crate::capture::Failure;
use crate::config::{CameraConfig, Config, NO_USB, Problem, Source};
use crate::delivery::Webhooks;
use crate::inference::{Library, Runtime};

/// What is wrong with what a valid configuration names: formats of webhooks, the model, ONNX Runtime (loaded for real).
#[must_use]
pub fn problems(config: &Config) -> Vec<Problem> {
    let unread = |camera: &CameraConfig| camera.enabled && matches!(camera.source, Source::Usb(_));
    let mut problems = Webhooks::compile(config).err().unwrap_or_default();
    let cameras = config.cameras.iter().enumerate();
    for (index, _) in cameras.filter(|(_, camera)| !cfg!(feature = "usb") && unread(camera)) {
        problems.push(problem(&format!("camera[{}].source", index + 1), NO_USB.to_owned()));
    }
    match Library::find(&config.models) {
        Err(error) => problems.push(problem("models.dir", error.to_string())),
        Ok(library) => {
            let model = library.model(&config.detect.model).err();
            problems.extend(model.map(|error| problem("detect.model", error.to_string())));
            let runtime = Runtime::load(&config.models, &library).err();
            problems.extend(runtime.map(|error| problem("models.onnxruntime", error.to_string())));
        }
    }
    problems
}

/// Shapes that differ by more than this are not of one section of the view, or one of them is squeezed.
const SAME_SHAPE: f64 = 0.05;

/// Watches all cameras for `length`, at the same time: what keeps one from working, and what would be better set otherwise.
#[must_use]
pub fn look_at_cameras(config: &Config, length: Duration) -> (Vec<Problem>, Vec<Problem>) {
    let (mut wrong, mut odd) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let enabled = config.cameras.iter().enumerate().filter(|(_, camera)| camera.enabled);
        let looks: Vec<_> = enabled
            .map(|(index, camera)| {
                let small = scope.spawn(move || Some(probe(camera, StreamRole::Watched, length)));
                (index + 1, camera.slug(), small, scope.spawn(move || probe_main(camera, length)))
            })
            .collect();
        for (number, slug, small, main) in looks {
            let said = |name: &str, message: &str| {
                problem(&format!("camera[{number}].{name}"), format!("{slug}: {message}"))
            };
            let mut judge = |name: &str, look: ScopedJoinHandle<'_, Look>| {
                let of_key = |message: String| said(name, &message);
                match look.join().transpose()? {
                    Ok(Ok(Ok(seen))) if seen.decoded == 0 => {
                        let none = || format!("none of {} pictures can be decoded", seen.pictures);
                        wrong.push(of_key(seen.advice.first().cloned().unwrap_or_else(none)));
                    }
                    Ok(Ok(Ok(seen))) => {
                        odd.extend(seen.advice.iter().cloned().map(of_key));
                        return Some(seen.width? as f64 / seen.height? as f64);
                    }
                    Ok(Ok(Err(failure))) => wrong.push(of_key(failure.detail)),
                    Ok(Err(error)) => wrong.push(of_key(format!("cannot look at it: {error}"))),
                    Err(_) => wrong.push(of_key("looking at it failed; please report this".to_owned())),
                }
                None
            };
            let (small, main) = (judge("source", small), judge("main", main));
            if small.zip(main).is_some_and(|(small, main)| (small / main - 1.0).abs() > SAME_SHAPE) {
                let told = "the main stream has another shape than source; if it shows another section of the view, its pictures are not used: \
                            set both to the same shape";
                odd.push(said("main", told));
            }
        }
    });
    (wrong, odd)
}

/// `None`: there is no such stream.
type Look = Option<anyhow::Result<Result<Probe, Failure>>>;

fn problem(key: &str, message: String) -> Problem {
    Problem { line: None, key: key.to_owned(), message }
}
