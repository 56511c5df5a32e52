//! `porchlight check`.

use std::process::ExitCode;

use serde_json::json;

use super::args::CheckArgs;
use crate::config::{Config, ConfigError, Problem};
use crate::delivery::Webhooks;
use crate::inference::{Library, Runtime};

pub(super) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let problems = match Config::load(&args.config) {
        Ok(config) => check_parts(&config),
        Err(error) => error.problems,
    };
    let ok = problems.is_empty();
    if args.json {
        let json = |p: &Problem| json!({"line": p.line, "key": p.key, "message": p.message});
        let problems: Vec<_> = problems.iter().map(json).collect();
        println!("{}", json!({"ok": ok, "problems": problems}));
    } else if ok {
        println!("{}: all well", args.config.display());
    } else {
        eprintln!("{}", ConfigError { file: Some(args.config.clone()), problems });
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the configuration names and other parts must know: formats of webhooks, the model, the runtime (loaded for real).
fn check_parts(config: &Config) -> Vec<Problem> {
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
