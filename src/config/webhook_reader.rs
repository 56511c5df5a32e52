//! Webhooks from JSON, by the reader that reads the file: the same spellings, defaults, checks and messages.
//!
//! What is kept between two requests is the *specification*: JSON in one spelling, with what was given and nothing else, so that a
//! later change of defaults still reaches it. Where it is kept does not belong here.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value as Json;
use toml_span::Value;
use toml_span::value::{Table, ValueInner};

use super::json::{from_json, to_json};
use super::report::Report;
use super::section::{Section, hint};
use super::webhook::aliases::{canonical, canonical_file};
use super::webhook::read::webhook;
use super::{CameraConfig, DEFAULTS, Owner, Problem, WebhookConfig};
use crate::model::CameraSlug;

/// Reads webhooks that the API is given. Cheap to clone but for the text of the file.
#[derive(Clone)]
pub struct WebhookReader {
    /// The user's file, for its `[webhook_defaults]`; may hold secrets.
    file: SecretString,
    cameras: Vec<CameraSlug>,
}

impl fmt::Debug for WebhookReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookReader").finish_non_exhaustive()
    }
}

/// A webhook that was read.
#[derive(Debug, Clone)]
pub struct Reading {
    /// What it means.
    pub config: WebhookConfig,
    /// What works and is probably not what was meant.
    pub warnings: Vec<Problem>,
}

impl WebhookReader {
    pub(super) fn new(file: &str, cameras: &[CameraConfig]) -> Self {
        let cameras = cameras.iter().map(|camera| camera.slug().clone()).collect();
        Self { file: SecretString::from(file), cameras }
    }

    /// The specification of what a client sent, in the one spelling; nulls are kept, for they take something away. The error lists
    /// what contradicts itself.
    pub fn specification(&self, body: &Json) -> Result<Json, Vec<Problem>> {
        let report = Report::foreign();
        let mut tree = from_json(body);
        canonical(&mut tree, "", &report);
        report.into_result().map(|_| to_json(&tree))
    }

    /// What a webhook means, in any spelling. The error lists everything that is wrong with it, by the keys that were sent.
    pub fn read(&self, body: &Json, owner: Owner) -> Result<Reading, Vec<Problem>> {
        let empty = |_| Value::new(ValueInner::Table(Table::new()));
        // Both were read at the start of the agent.
        let mut file = toml_span::parse(self.file.expose_secret()).unwrap_or_else(empty);
        let defaults = toml_span::parse(DEFAULTS).unwrap_or_else(empty);
        let report = Report::foreign();
        canonical_file(&mut file, &report);
        let mut own = from_json(body);
        canonical(&mut own, "", &report);
        let root = Section::root(&file, &defaults, &report);
        let section = root.over("webhook", &own);
        let config = webhook(section, owner);
        self.check_cameras(&config, &report);
        report.into_result().map(|warnings| Reading { config, warnings })
    }

    fn check_cameras(&self, config: &WebhookConfig, report: &Report<'_>) {
        let known: Vec<&str> = self.cameras.iter().map(CameraSlug::as_str).collect();
        for camera in config.when.cameras.iter().filter(|camera| !self.cameras.contains(camera)) {
            let message = format!("there is no `{camera}`; {}", hint(camera.as_str(), &known));
            report.add(None, "cameras", message);
        }
    }
}
