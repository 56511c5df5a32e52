//! `porchlight check`.

use std::process::ExitCode;

use serde_json::json;

use super::args::CheckArgs;
use crate::config::Config;
use crate::inference::{Library, Runtime};

pub(super) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let (problems, text) = match Config::load(&args.config) {
        Ok(config) => {
            let problems = check_models(&config);
            let text: Vec<String> =
                problems.iter().map(|p| format!("{}: {p}", args.config.display())).collect();
            let json =
                problems.iter().map(|p| json!({"line": null, "key": "models", "message": p})).collect();
            (json, text.join("\n"))
        }
        Err(error) => {
            let json: Vec<_> = error
                .problems
                .iter()
                .map(|p| json!({"line": p.line, "key": p.key, "message": p.message}))
                .collect();
            (json, error.to_string())
        }
    };
    let ok = problems.is_empty();
    if args.json {
        println!("{}", json!({"ok": ok, "problems": problems}));
    } else if ok {
        println!("{}: all well", args.config.display());
    } else {
        eprintln!("{text}");
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The model and the runtime that the configuration needs, loaded for real.
fn check_models(config: &Config) -> Vec<String> {
    let library = match Library::find(&config.models) {
        Ok(library) => library,
        Err(error) => return vec![error.to_string()],
    };
    let model = library.model(&config.detect.model).err().map(|error| error.to_string());
    let runtime = Runtime::load(&config.models, &library).err().map(|error| error.to_string());
    model.into_iter().chain(runtime).collect()
}
