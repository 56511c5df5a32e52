//! What Alertmanager posts, read leniently: unknown keys are left alone, every version is taken, and only what an alert cannot be
//! without is required.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::body::{self, Fields, Report};
use crate::api::query::Complaint;
use crate::api::reply::Failure;
use crate::model::UtcMillis;

/// One notification: a group of alerts.
#[derive(Debug)]
pub(super) struct Notification {
    pub(super) receiver: String,
    pub(super) group_key: Option<String>,
    pub(super) external_url: Option<String>,
    /// Alerts of the group that were left out for `max_alerts`.
    pub(super) truncated: u64,
    pub(super) alerts: Vec<Alert>,
}

/// One alert of it.
#[derive(Debug, Clone)]
pub(super) struct Alert {
    pub(super) status: Status,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    /// As it was written.
    pub(super) starts_at: String,
    pub(super) started: UtcMillis,
    /// `None` while it fires.
    pub(super) ended: Option<UtcMillis>,
    pub(super) generator_url: Option<String>,
    pub(super) fingerprint: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Firing,
    Resolved,
}

impl Status {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// Reads a notification, or tells everything that is wrong with it.
pub(super) fn read(bytes: &[u8]) -> Result<Notification, Failure> {
    let value = body::json(bytes)?;
    let report = Report::default();
    let fields = report.object(&value);
    let _: Option<Status> = fields.required("status", status);
    let notification = Notification {
        receiver: fields.required("receiver", body::text).unwrap_or_default(),
        group_key: fields.optional("groupKey", body::text),
        external_url: fields.optional("externalURL", body::text),
        truncated: fields.optional("truncatedAlerts", whole).unwrap_or(0),
        alerts: fields.objects("alerts").iter().filter_map(alert).collect(),
    };
    report.finish(notification)
}

/// `None` only when something was wrong, which is reported.
fn alert(fields: &Fields<'_>) -> Option<Alert> {
    let status = fields.required("status", status);
    let labels = fields.required("labels", body::texts);
    let starts_at = fields.required("startsAt", |value| Ok((body::text(value)?, time(value)?)));
    let fingerprint = fields.required("fingerprint", body::text);
    let ended = fields.optional("endsAt", time);
    let annotations = fields.optional("annotations", body::texts).unwrap_or_default();
    let generator_url = fields.optional("generatorURL", body::text);
    let (starts_at, started) = starts_at?;
    Some(Alert {
        status: status?,
        labels: labels?,
        annotations,
        starts_at,
        started,
        // Go writes "never" as the year 1, and a firing alert may carry the time at which it would be given up.
        ended: ended.filter(|ended| status == Some(Status::Resolved) && *ended >= started),
        generator_url,
        fingerprint: fingerprint?,
    })
}

fn status(value: &Value) -> Result<Status, Complaint> {
    match body::text(value)?.as_str() {
        "firing" => Ok(Status::Firing),
        "resolved" => Ok(Status::Resolved),
        _ => {
            let msg = "value is not a valid enumeration member; permitted: 'firing', 'resolved'";
            Err((msg.to_owned(), "type_error.enum"))
        }
    }
}

fn time(value: &Value) -> Result<UtcMillis, Complaint> {
    let time = body::text(value)?.parse();
    time.map_err(|_: jiff::Error| ("invalid datetime format".to_owned(), "value_error.datetime"))
}

fn whole(value: &Value) -> Result<u64, Complaint> {
    value.as_u64().ok_or(("value is not a valid integer".to_owned(), "type_error.integer"))
}
