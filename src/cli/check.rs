//! `porchlight check`.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::args::CheckArgs;
use crate::app;
use crate::config::{Config, ConfigError, Problem};

/// Longer than the usual distance of key frames.
const LOOK: Duration = Duration::from_secs(5);

pub(super) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let (problems, warnings) = match Config::load(&args.config) {
        Ok(config) => {
            let (mut problems, mut warnings) = (app::problems(&config), config.warnings.clone());
            if args.cameras {
                let (wrong, odd) = app::look_at_cameras(&config, LOOK);
                problems.extend(wrong);
                warnings.extend(odd);
            }
            (problems, warnings)
        }
        Err(error) => (error.problems, Vec::new()),
    };
    let ok = problems.is_empty();
    if args.json {
        let json = |p: &Problem| json!({"line": p.line, "key": p.key, "message": p.message});
        let list = |problems: &[Problem]| problems.iter().map(json).collect::<Vec<_>>();
        println!("{}", json!({"ok": ok, "problems": list(&problems), "warnings": list(&warnings)}));
        return Ok(exit_code(ok));
    }
    let lines = |problems| ConfigError { file: Some(args.config.clone()), problems };
    if !warnings.is_empty() {
        let text = lines(warnings).to_string();
        text.lines().for_each(|line| eprintln!("warning: {line}"));
    }
    if ok {
        println!("{}: all well", args.config.display());
    } else {
        eprintln!("{}", lines(problems));
    }
    Ok(exit_code(ok))
}

/// What is only odd stops nothing: the service starts with it.
fn exit_code(ok: bool) -> ExitCode {
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
