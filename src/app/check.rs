//! The second half of `porchlight check`: what only the parts themselves can tell.

use crate::config::{Config, Problem};
use crate::delivery::Webhooks;
use crate::inference::{Library, Runtime};

/// What is wrong with what a valid configuration names: formats of webhooks, the model, ONNX Runtime (loaded for real).
#[must_use]
pub fn problems(config: &Config) -> Vec<Problem> {
    let problem = |key: &str, message: String| Problem { line: None, key: key.to_owned(), message };
    let mut problems = Webhooks::compile(config).err().unwrap_or_default();
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
