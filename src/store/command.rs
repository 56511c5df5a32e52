//! What others ask of the writer, on its way through a transaction: command, job, result.

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::commit::{self, Inserted, PreparedEvent, Receipt};
use super::pictures::Pictures;
use super::queue::Finished;
use super::rules::RuleChange;
use super::steer::{Steer, Steered};
use super::webhooks::WebhookChange;
use crate::model::{NewEvent, WebhookId, WebhookState};

/// What others ask of the writer.
#[derive(Debug)]
pub(super) enum Command {
    /// All of them or none.
    Commit {
        new: Vec<NewEvent>,
        reply: oneshot::Sender<Vec<Receipt>>,
    },
    Finish {
        finished: Vec<Finished>,
        reply: oneshot::Sender<()>,
    },
    Abandon {
        known: Vec<WebhookId>,
        reply: oneshot::Sender<usize>,
    },
    Steer {
        steer: Steer,
        reply: oneshot::Sender<Steered>,
    },
    Save {
        states: Vec<(WebhookId, WebhookState)>,
        reply: oneshot::Sender<()>,
    },
    Webhook {
        change: WebhookChange,
        reply: oneshot::Sender<()>,
    },
    Rule {
        change: RuleChange,
        reply: oneshot::Sender<()>,
    },
}

/// A command whose picture is written.
#[derive(Debug)]
pub(super) enum Job {
    Commit(Vec<PreparedEvent>, oneshot::Sender<Vec<Receipt>>),
    Finish(Vec<Finished>, oneshot::Sender<()>),
    Abandon(Vec<WebhookId>, oneshot::Sender<usize>),
    Steer(Steer, oneshot::Sender<Steered>),
    Save(Vec<(WebhookId, WebhookState)>, oneshot::Sender<()>),
    Webhook(WebhookChange, oneshot::Sender<()>),
    Rule(RuleChange, oneshot::Sender<()>),
}

/// What the transaction did for a job.
#[derive(Debug)]
pub(super) enum Done {
    Commit(Vec<Inserted>),
    Finish,
    Abandon { ended: usize },
    Steer(Steered, Vec<WebhookId>),
    Save,
    Webhook,
    Rule,
}

/// Writes the picture of a state that is new.
pub(super) fn prepare(command: Command, connection: &Connection, pictures: &mut Pictures) -> Job {
    match command {
        Command::Commit { new, reply } => {
            let prepare = |NewEvent { event, deliveries, picture, key, alerts, retracts }| {
                // When this cannot be read the picture is written once more, over itself.
                let known = commit::is_known(connection, event.id, event.seq).unwrap_or(false);
                let wanted = picture.filter(|_| event.thumbnail.is_some() && !known);
                let picture = wanted
                    .and_then(|picture| pictures.write(event.id, event.seq, event.occurred_at, &picture));
                PreparedEvent { event, deliveries, picture, key, alerts, retracts }
            };
            Job::Commit(new.into_iter().map(prepare).collect(), reply)
        }
        Command::Finish { finished, reply } => Job::Finish(finished, reply),
        Command::Abandon { known, reply } => Job::Abandon(known, reply),
        Command::Steer { steer, reply } => Job::Steer(steer, reply),
        Command::Save { states, reply } => Job::Save(states, reply),
        Command::Webhook { change, reply } => Job::Webhook(change, reply),
        Command::Rule { change, reply } => Job::Rule(change, reply),
    }
}
