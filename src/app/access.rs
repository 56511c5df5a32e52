//! What the API needs before it can be used: the first token, and the key that signs the addresses of pictures.

use std::io::IsTerminal as _;

use anyhow::Result;
use secrecy::ExposeSecret as _;

use crate::config::{Auth, Config};
use crate::model::{Scopes, UtcMillis};
use crate::store::{Tokens, picture_key, write_private};

/// Beside the database, where nobody looks at a terminal.
const TOKEN_FILE: &str = "first-admin-token";

/// From now on the addresses of pictures open them, if the configuration says so.
pub(super) fn sign_pictures(config: &mut Config) -> Result<()> {
    if let Some(lifetime) = config.api.signed_thumbnails {
        let key = picture_key(&config.data_dir)?;
        config.api.pictures = config.api.pictures.clone().signed(key, lifetime);
    }
    Ok(())
}

/// Makes a token with all rights where there is none at all, and shows it once: on the terminal, else in a file for the owner of the
/// data folder. Never in the log, which many may read.
pub(super) fn first_token(config: &Config, tokens: &Tokens) -> Result<()> {
    if config.api.auth == Auth::None || !tokens.list()?.is_empty() {
        return Ok(());
    }
    let path = config.data_dir.join(TOKEN_FILE);
    // Left by a data folder whose database is gone.
    let _ = std::fs::remove_file(&path);
    let (token, secret) = tokens.create("first admin", Scopes::ADMIN, None, None, UtcMillis::now())?;
    let secret = secret.expose_secret();
    if std::io::stderr().is_terminal() {
        eprintln!("The token for the API, with all rights; it is not shown again:\n\n    {secret}\n");
        tracing::info!(token = token.id, "the first token is made");
        return Ok(());
    }
    if let Err(error) = write_private(&path, format!("{secret}\n").as_bytes()) {
        // A token that nobody knows would keep the next start from making another one.
        tokens.revoke(&token.id)?;
        return Err(error.into());
    }
    let file = path.display();
    tracing::info!(token = token.id, %file, "the first token is made, with all rights; take it, then delete the file");
    Ok(())
}
