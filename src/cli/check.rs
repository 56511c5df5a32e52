//! `porchlight check`.

use std::process::ExitCode;

use serde_json::json;

use super::args::CheckArgs;
use crate::app;
use crate::config::{Config, ConfigError, Problem};

pub(super) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let problems = match Config::load(&args.config) {
        Ok(config) => app::problems(&config),
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
