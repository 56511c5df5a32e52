//! The sentences that the guides promise in the log, and what is in no line.

use crate::agent::{Agent, config, event};
use crate::common::{logged, record_log};
use crate::receiver::{Receiver, Reply};
use porchlight::model::DeliveryStatus;

#[test]
fn s3_16_s5_20_deliveries_are_logged_in_the_guides_words_and_without_addresses() {
    record_log();
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|n, _| Reply::Status(if n == 0 { 200 } else { 503 }));
    let settings = config(
        &[("main_recognition", &receiver.url), ("backup_webhook", &receiver.url)],
        "retry_schedule_s = [0.02, 0.02]",
    );
    let agent = Agent::start(folder.path(), &settings);
    agent.commit(&event(), &["main_recognition"]);
    agent.delivery("main_recognition", DeliveryStatus::Success);
    agent.commit(&event(), &["backup_webhook"]);
    agent.delivery("backup_webhook", DeliveryStatus::Failed);
    agent.stop();
    let log = logged();
    for (level, sentence) in [
        ("INFO", "Successfully delivered 1 events to main_recognition"),
        ("WARN", "Webhook backup_webhook returned 503"),
        ("ERROR", "Failed to deliver events to backup_webhook after 3 attempts"),
        ("DEBUG", "Webhook delivered successfully"),
        ("DEBUG", "Webhook delivery failed, retrying in 2"),
        ("DEBUG", "Webhook delivery failed after max attempts"),
    ] {
        let line = log.lines().find(|line| line.contains(sentence));
        let line = line.unwrap_or_else(|| panic!("no `{sentence}`"));
        assert!(line.contains(level), "{line}");
    }
    let ours: Vec<&str> = log.lines().filter(|line| line.contains("porchlight::")).collect();
    assert!(ours.iter().all(|line| !line.contains("url-secret") && !line.contains("your-secret")));
}
