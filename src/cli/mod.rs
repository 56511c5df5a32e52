//! The command line: arguments, and what a terminal shows. What the commands do is in [`crate::app`].
//!
//! Results go to stdout, everything else (logs, progress, statistics) to stderr. `--json` prints for programs.

mod args;
mod camera_args;
mod cameras;
mod check;
mod detect;
mod discover;
mod face_args;
mod faces;
mod images;
mod models;
mod outbox;
mod people;
mod probe;
mod replay;
mod table;
mod token;
mod webhook;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser as _};
use secrecy::SecretString;

use crate::config::{Config, LogFormat};
use crate::telemetry;
use args::{Args, Command, WebhookCommand};
use face_args::FacesCommand;

/// Runs the command of the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let args = Args::parse();
    match dispatch(args) {
        Ok(code) => code,
        Err(error) => {
            // The chain, once: what failed, on what, why.
            eprintln!("porchlight: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: Args) -> anyhow::Result<ExitCode> {
    let log = args.log.or_else(|| {
        let word = std::env::var("LOG_LEVEL").ok()?;
        telemetry::conventional_level(&word).map(str::to_owned)
    });
    let log = log.as_deref();
    match args.command {
        Command::Run(args) => {
            let config = Config::load(&args.config)?;
            start_logging(log.unwrap_or(&config.log.level), config.log.format)?;
            crate::app::run(config)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Outbox(args) => outbox::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Webhook(WebhookCommand::Render(args)) => webhook::render(&args),
        Command::Webhook(WebhookCommand::Verify(args)) => webhook::verify(&args),
        Command::Replay(args) => {
            start_logging(log.unwrap_or("warn"), LogFormat::Text)?;
            replay::run(&args)
        }
        Command::Detect(args) => {
            start_logging(log.unwrap_or("warn"), LogFormat::Text)?;
            detect::run(&args)
        }
        Command::Cameras(args) => cameras::run(&args),
        Command::Probe(args) => {
            start_logging(log.unwrap_or("error"), LogFormat::Text)?;
            probe::run(&args)
        }
        Command::Discover(args) => {
            start_logging(log.unwrap_or("error"), LogFormat::Text)?;
            discover::run(&args)
        }
        Command::Faces(args) => {
            start_logging(log.unwrap_or("warn"), LogFormat::Text)?;
            match &args.command {
                Some(FacesCommand::Check(args)) => people::check(args),
                None => faces::faces(&args),
            }
        }
        Command::Enroll(args) => {
            start_logging(log.unwrap_or("warn"), LogFormat::Text)?;
            people::enroll(&args)
        }
        Command::People(args) => people::people(&args),
        Command::Verify(args) => {
            start_logging(log.unwrap_or("warn"), LogFormat::Text)?;
            Ok(faces::compare(&args))
        }
        Command::Models(args) => models::run(&args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "porchlight", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Man { folder } => {
            clap_mangen::generate_to(Args::command(), &folder)
                .with_context(|| format!("cannot write manual pages into {}", folder.display()))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn start_logging(level: &str, format: LogFormat) -> anyhow::Result<()> {
    Ok(telemetry::init_logging(level, format == LogFormat::Json)?)
}

/// What an environment variable or a file holds, if one was named.
fn secret(variable: Option<&str>, file: Option<&Path>) -> anyhow::Result<Option<SecretString>> {
    let text = match (variable, file) {
        (Some(name), _) => {
            std::env::var(name).with_context(|| format!("environment variable {name} is not set"))?
        }
        (None, Some(path)) => {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?
        }
        (None, None) => return Ok(None),
    };
    let text = text.trim_end_matches(['\r', '\n']);
    anyhow::ensure!(!text.is_empty(), "the secret is empty");
    Ok(Some(SecretString::from(text)))
}

/// To so many decimals: 1e4 for four.
fn rounded(value: f32, factor: f64) -> f64 {
    (f64::from(value) * factor).round() / factor
}
