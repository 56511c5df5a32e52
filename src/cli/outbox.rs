//! `porchlight outbox`.

use std::process::ExitCode;

use comfy_table::{Cell, Color};
use serde_json::json;

use super::args::OutboxArgs;
use super::table::table;
use crate::config::Config;
use crate::model::{Attempt, Delivery, DeliveryId, DeliveryStatus};
use crate::store::{DeliveryFilter, Reader};

pub(super) fn run(args: &OutboxArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config)?;
    let reader = Reader::open(&config.data_dir)?;
    match args.id {
        Some(id) => show(&reader, id, args.json)?,
        None => list(&reader, args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(reader: &Reader, args: &OutboxArgs) -> anyhow::Result<()> {
    let status = args.status.as_deref().and_then(DeliveryStatus::parse);
    let filter = DeliveryFilter { status, webhook: args.webhook.clone(), ..DeliveryFilter::default() };
    let deliveries = reader.deliveries(&filter, args.limit)?.items;
    if args.json {
        deliveries.iter().for_each(|delivery| println!("{}", delivery_json(delivery)));
        return Ok(());
    }
    let mut table =
        table(["message", "since", "webhook", "event", "state", "requests", "next", "last error"]);
    for delivery in &deliveries {
        let next = delivery.next_at.map_or_else(String::new, |at| at.to_string());
        table.add_row(vec![
            Cell::new(delivery.id),
            Cell::new(delivery.created_at),
            Cell::new(&delivery.webhook),
            Cell::new(format!("{} #{}", delivery.event_id, delivery.seq)),
            Cell::new(delivery.status.as_str()).fg(colour(delivery.status)),
            Cell::new(delivery.attempts),
            Cell::new(next),
            Cell::new(delivery.last_error.as_deref().unwrap_or_default()),
        ]);
    }
    println!("{table}");
    let counts = reader.delivery_counts()?;
    let total = |status| counts.iter().filter(|(_, s, _)| *s == status).map(|(_, _, n)| n).sum::<u64>();
    println!(
        "{} waiting, {} being retried, {} delivered, {} failed",
        total(DeliveryStatus::Pending),
        total(DeliveryStatus::Retrying),
        total(DeliveryStatus::Success),
        total(DeliveryStatus::Failed)
    );
    Ok(())
}

fn show(reader: &Reader, id: DeliveryId, json: bool) -> anyhow::Result<()> {
    let Some(delivery) = reader.delivery(id)? else {
        anyhow::bail!("there is no message {id}; `porchlight outbox` lists them");
    };
    let attempts = reader.attempts(id)?;
    if json {
        let mut object = delivery_json(&delivery);
        object["requests"] = attempts.iter().map(attempt_json).collect();
        println!("{object}");
        return Ok(());
    }
    println!("message {id} to {}: {}", delivery.webhook, delivery.status.as_str());
    println!("event {} #{}, rule “{}”", delivery.event_id, delivery.seq, delivery.rule.name);
    let mut table = table(["request", "at", "took", "status", "error"]);
    for attempt in &attempts {
        let status = attempt.status_code.map_or_else(String::new, |code| code.to_string());
        table.add_row([
            attempt.number.to_string(),
            attempt.started_at.to_string(),
            format!("{} ms", attempt.duration.as_millis()),
            status,
            attempt.error_message.clone().unwrap_or_default(),
        ]);
    }
    println!("{table}");
    Ok(())
}

fn colour(status: DeliveryStatus) -> Color {
    match status {
        DeliveryStatus::Pending => Color::Reset,
        DeliveryStatus::Retrying => Color::Yellow,
        DeliveryStatus::Success => Color::Green,
        DeliveryStatus::Failed => Color::Red,
    }
}

fn delivery_json(delivery: &Delivery) -> serde_json::Value {
    json!({"id": delivery.id, "webhook": delivery.webhook.as_str(), "event_id": delivery.event_id,
           "seq": delivery.seq, "rule": delivery.rule.name, "status": delivery.status.as_str(),
           "attempts": delivery.attempts, "created_at": delivery.created_at, "next_at": delivery.next_at,
           "error_message": delivery.last_error})
}

fn attempt_json(attempt: &Attempt) -> serde_json::Value {
    json!({"number": attempt.number, "started_at": attempt.started_at,
           "duration_ms": u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
           "status_code": attempt.status_code, "error_code": attempt.error_code,
           "error_message": attempt.error_message, "response_body": attempt.response_body})
}
