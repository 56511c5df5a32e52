//! Signatures as data: which header, how it is written, which bytes are signed, with what kind of key.
//!
//! The presets are tables of `presets.toml`; what a user spells out is the same thing without a name. Which of them a webhook uses,
//! and with which keys, is known to [`Signer`], which makes them and checks them.

mod key;
mod pattern;
mod scheme;
mod signer;

pub use self::scheme::presets;
pub use self::signer::{Signer, Unverified};
