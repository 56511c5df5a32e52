//! `porchlight webhook render` and `porchlight webhook verify`.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use super::args::{RenderArgs, VerifyArgs};
use super::secret;
use crate::app::{SignatureClaim, find_event, preview};
use crate::config::{Config, SignatureConfig};

pub(super) fn render(args: &RenderArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config)?;
    let event = find_event(&config, &args.event)?;
    let preview = preview(&config, &args.webhook, &event)?;
    if args.json {
        let headers: serde_json::Map<_, _> =
            preview.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let body = String::from_utf8_lossy(&preview.body);
        println!(
            "{}",
            json!({"method": preview.method, "host": preview.host, "headers": headers, "body": body})
        );
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} to {}", preview.method, preview.host)?;
    for (name, value) in &preview.headers {
        writeln!(out, "{name}: {value}")?;
    }
    writeln!(out)?;
    // As it is: pictures, too, for whoever pipes it on.
    out.write_all(&preview.body)?;
    writeln!(out)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn verify(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let claim = SignatureClaim {
        signature: SignatureConfig {
            preset: args.preset.clone(),
            header: args.signature_header.clone(),
            format: args.format.clone(),
            content: args.content.clone(),
            keys: Vec::new(),
        },
        secret: secret(args.secret_env.as_deref(), args.secret_file.as_deref())?
            .context("give --secret-env or --secret-file")?,
        headers: args.header.clone(),
        body: body(args)?,
        tolerance: Duration::from_secs(args.tolerance),
    };
    match claim.check()? {
        Ok(()) => {
            println!("valid");
            Ok(ExitCode::SUCCESS)
        }
        Err(reason) => {
            println!("invalid: {reason}");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn body(args: &VerifyArgs) -> anyhow::Result<Vec<u8>> {
    if args.body.as_os_str() == "-" {
        let mut body = Vec::new();
        std::io::stdin().read_to_end(&mut body).context("cannot read standard input")?;
        return Ok(body);
    }
    std::fs::read(&args.body).with_context(|| format!("cannot read {}", args.body.display()))
}
