//! Payload formats as data: each is one file with a payload template, an encoding, signatures, a time limit and a retry schedule.
//!
//! A new built-in format is a new file and a line in [`BUILT_IN`]; users' own templates speak the same language
//! ([`template`], [`expression`], [`filters`], [`context`]). No format has code of its own here.

mod context;
mod encode;
mod expression;
mod filters;
mod format;
mod json;
mod payload;
mod template;
mod token;

pub use self::format::Format;
pub use self::payload::{Message, Payload, RenderError, Rendered};

/// Every built-in format, in the order in which they are listed.
const BUILT_IN: [(&str, &str); 17] = [
    ("argus", include_str!("argus.toml")),
    ("facecv", include_str!("facecv.toml")),
    ("webnet", include_str!("webnet.toml")),
    ("tagorun", include_str!("tagorun.toml")),
    ("standard", include_str!("standard.toml")),
    ("cloudevents", include_str!("cloudevents.toml")),
    ("raw", include_str!("raw.toml")),
    ("template", include_str!("template.toml")),
    ("slack", include_str!("slack.toml")),
    ("discord", include_str!("discord.toml")),
    ("teams", include_str!("teams.toml")),
    ("teams_adaptive", include_str!("teams_adaptive.toml")),
    ("telegram", include_str!("telegram.toml")),
    ("pushover", include_str!("pushover.toml")),
    ("ifttt", include_str!("ifttt.toml")),
    ("zapier", include_str!("zapier.toml")),
    ("ntfy", include_str!("ntfy.toml")),
];

/// Other names, for what is the same.
const ALIASES: [(&str, &str); 1] = [("homeassistant", "argus")];

/// The name that was probably meant.
pub(super) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let similarity = |known: &str| strsim::jaro_winkler(known, name);
    known.max_by(|a, b| similarity(a).total_cmp(&similarity(b))).filter(|known| similarity(known) > 0.7)
}
