//! `porchlight token`. Works on the data folder, beside a running agent and without one: `SQLite` lets the two take turns, and the
//! agent looks every token up anew, so what is made or revoked here holds from the next request on.

use std::process::ExitCode;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde_json::json;

use super::args::{TokenArgs, TokenCommand};
use super::table::table;
use crate::config::Config;
use crate::model::{ApiToken, Scope, UtcMillis};
use crate::store::Tokens;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn run(args: &TokenArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config)?;
    let tokens = Tokens::open(&config.data_dir)?;
    match &args.command {
        TokenCommand::List { json } => list(&tokens, *json)?,
        TokenCommand::Create { name, scopes, customer, expires_days } => {
            let now = UtcMillis::now();
            let expires_at = expires_days.map(|days| now.after(DAY * days));
            let scopes = scopes.iter().copied().collect();
            let (token, secret) = tokens.create(name, scopes, customer.as_deref(), expires_at, now)?;
            eprintln!("token {} made; it is not shown again:", token.id);
            println!("{}", secret.expose_secret());
        }
        TokenCommand::Revoke { id } => {
            let Some(token) = tokens.revoke(id)? else {
                anyhow::bail!("there is no token {id}; `porchlight token list` lists them");
            };
            eprintln!("token {} ({}) revoked", token.id, token.name);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(tokens: &Tokens, json: bool) -> anyhow::Result<()> {
    let tokens = tokens.list()?;
    if json {
        tokens.iter().for_each(|token| println!("{}", token_json(token)));
        return Ok(());
    }
    let mut table = table(["token", "name", "scopes", "customer", "made", "last used", "expires"]);
    let time = |time: Option<UtcMillis>| time.map_or_else(String::new, |time| time.to_string());
    for token in tokens {
        table.add_row([
            token.id,
            token.name,
            token.scopes.to_string(),
            token.customer.unwrap_or_default(),
            token.created_at.to_string(),
            time(token.last_used_at),
            time(token.expires_at),
        ]);
    }
    println!("{table}");
    Ok(())
}

fn token_json(token: &ApiToken) -> serde_json::Value {
    let scopes: Vec<_> = token.scopes.iter().map(Scope::as_str).collect();
    json!({"id": token.id, "name": token.name, "scopes": scopes, "customer": token.customer,
           "created_at": token.created_at, "last_used_at": token.last_used_at, "expires_at": token.expires_at})
}
