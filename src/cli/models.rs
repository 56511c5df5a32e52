//! `porchlight models`.

use std::process::ExitCode;

use comfy_table::{Cell, Color};
use serde_json::json;

use super::args::ModelsArgs;
use super::replay::load_config;
use super::table::table;
use crate::config::{Job, Manifest, Precision};
use crate::inference::{InferenceError, Library, LibraryError, Runtime, Suited, suited};

pub(super) fn run(args: &ModelsArgs) -> anyhow::Result<ExitCode> {
    let config = load_config(args.config.as_deref())?;
    let library = Library::find(&config.models)?;
    let runtime = Runtime::load(&config.models, &library);
    let models: Vec<(String, Result<Manifest, LibraryError>)> =
        library.names().into_iter().map(|name| (name.clone(), library.model(&name))).collect();
    let suits = |m: &Manifest| match &runtime {
        Ok(runtime) if m.job == Job::Objects => Some(suited(runtime, m.clone(), &config)),
        Ok(_) | Err(_) => None,
    };
    let all_well = runtime.is_ok() && models.iter().all(|(_, model)| model.is_ok());

    if args.json {
        let model = |(name, model): &(String, Result<Manifest, LibraryError>)| match model {
            Ok(m) => {
                let suited = suits(m).and_then(Result::ok);
                let trial = suited.as_ref().and_then(|suited| suited.trial.as_ref());
                json!({"name": name, "job": m.job.as_str(), "in_use": *name == config.detect.model,
                    "description": m.description, "licence": m.licence, "origin": m.origin,
                    "file": suited.as_ref().map_or(&m.file, |suited| &suited.manifest.file),
                    "precision": suited.as_ref().map(|suited| suited.precision.as_str()),
                    "fp32_ms": trial.map(|trial| trial.fp32_ms), "int8_ms": trial.map(|trial| trial.int8_ms),
                    "error": null})
            }
            Err(error) => json!({"name": name, "error": error.to_string()}),
        };
        let runtime = match &runtime {
            Ok(runtime) => json!({"build": runtime.build(), "file": runtime.path(), "error": null}),
            Err(error) => json!({"error": error.to_string()}),
        };
        let models: Vec<_> = models.iter().map(model).collect();
        println!("{}", json!({"folder": library.folder(), "onnxruntime": runtime, "models": models}));
    } else {
        let mut table = table(["model", "for", "what", "precision", "licence", "from"]);
        for (name, model) in &models {
            match model {
                Ok(m) => {
                    let mark = if *name == config.detect.model { " ◀ in use" } else { "" };
                    let from = m.origin.as_deref().unwrap_or("your own");
                    let name = format!("{name}{mark}");
                    let precision = suits(m).map_or_else(|| "–".to_owned(), |suited| precision(&suited));
                    table.add_row([&name, m.job.as_str(), &m.description, &precision, &m.licence, from]);
                }
                Err(error) => {
                    table.add_row(vec![
                        Cell::new(name),
                        Cell::new("–"),
                        Cell::new(error.to_string()).fg(Color::Red),
                    ]);
                }
            }
        }
        println!("{table}");
        match &runtime {
            Ok(runtime) => println!("ONNX Runtime, build {}: {}", runtime.build(), runtime.path().display()),
            Err(error) => eprintln!("{error}"),
        }
    }
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// For example `int8: 24.1 ms a picture; fp32: 45.9 ms`.
fn precision(suited: &Result<Suited, InferenceError>) -> String {
    match suited {
        Ok(Suited { precision, trial: Some(trial), .. }) => {
            let (int8, fp32) = (trial.int8_ms, trial.fp32_ms);
            match precision {
                Precision::Int8 => format!("int8: {int8} ms a picture; fp32: {fp32} ms"),
                Precision::Fp32 if trial.agree => format!("fp32: {fp32} ms a picture; int8: {int8} ms"),
                Precision::Fp32 => format!("fp32: {fp32} ms a picture; int8 is wrong on this processor"),
            }
        }
        Ok(Suited { precision, trial: None, .. }) => precision.as_str().to_owned(),
        Err(error) => error.to_string(),
    }
}
