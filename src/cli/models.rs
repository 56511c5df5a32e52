//! `porchlight models`.

use std::process::ExitCode;

use comfy_table::{Cell, Color};
use serde_json::json;

use super::args::ModelsArgs;
use super::replay::load_config;
use super::table::table;
use crate::config::Manifest;
use crate::inference::{Library, LibraryError, Runtime};

pub(super) fn run(args: &ModelsArgs) -> anyhow::Result<ExitCode> {
    let config = load_config(args.config.as_deref())?;
    let library = Library::find(&config.models)?;
    let runtime = Runtime::load(&config.models, &library);
    let models: Vec<(String, Result<Manifest, LibraryError>)> =
        library.names().into_iter().map(|name| (name.clone(), library.model(&name))).collect();
    let all_well = runtime.is_ok() && models.iter().all(|(_, model)| model.is_ok());

    if args.json {
        let model = |(name, model): &(String, Result<Manifest, LibraryError>)| match model {
            Ok(m) => json!({"name": name, "job": m.job.as_str(), "in_use": *name == config.detect.model,
                "description": m.description, "licence": m.licence, "origin": m.origin, "file": m.file, "error": null}),
            Err(error) => json!({"name": name, "error": error.to_string()}),
        };
        let runtime = match &runtime {
            Ok(runtime) => json!({"build": runtime.build(), "file": runtime.path(), "error": null}),
            Err(error) => json!({"error": error.to_string()}),
        };
        let models: Vec<_> = models.iter().map(model).collect();
        println!("{}", json!({"folder": library.folder(), "onnxruntime": runtime, "models": models}));
    } else {
        let mut table = table(["model", "for", "what", "licence", "from"]);
        for (name, model) in &models {
            match model {
                Ok(m) => {
                    let mark = if *name == config.detect.model { " ◀ in use" } else { "" };
                    let from = m.origin.as_deref().unwrap_or("your own");
                    let name = format!("{name}{mark}");
                    table.add_row([&name, m.job.as_str(), &m.description, &m.licence, from]);
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
