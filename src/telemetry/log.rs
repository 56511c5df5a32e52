//! Log lines: text for people and the journal, JSON for machines, always on stderr.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// A level that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a log level; use error, warn, info, debug or trace, or AREA=LEVEL with commas between")]
pub struct LevelError(String);

/// Starts logging. `level` is `info`, or `info,delivery=debug` (areas are the agent's modules).
pub fn init(level: &str, json: bool) -> Result<(), LevelError> {
    let filter = targets(level)?;
    let registry = tracing_subscriber::registry();
    let started = if json {
        registry.with(fmt::layer().json().with_writer(std::io::stderr).with_filter(filter)).try_init()
    } else {
        let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let layer = fmt::layer().with_writer(std::io::stderr).with_ansi(colours).with_target(false);
        registry.with(layer.with_filter(filter)).try_init()
    };
    // A second start (tests) keeps the first one.
    let _ = started;
    Ok(())
}

/// The level that a variable like `LOG_LEVEL=DEBUG` asks for, in the words of the systems that have one; `None`: another
/// program's word, which must not keep the agent from starting.
#[must_use]
pub fn conventional_level(word: &str) -> Option<&'static str> {
    match word.trim().to_ascii_uppercase().as_str() {
        "CRITICAL" | "FATAL" | "ERROR" => Some("error"),
        "WARNING" | "WARN" => Some("warn"),
        "INFO" => Some("info"),
        "DEBUG" => Some("debug"),
        "TRACE" => Some("trace"),
        _ => None,
    }
}

/// Libraries are heard from WARN on: their DEBUG lines may hold addresses with passwords.
fn targets(text: &str) -> Result<Targets, LevelError> {
    let level = |word: &str| word.trim().parse::<LevelFilter>().map_err(|_| LevelError(text.to_owned()));
    let mut targets = Targets::new().with_default(LevelFilter::WARN);
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        targets = match part.split_once('=') {
            Some((area, word)) => {
                // Lines in JSON name it with the crate's name before it.
                let area = area.trim().trim_start_matches("porchlight::");
                targets.with_target(format!("porchlight::{area}"), level(word)?)
            }
            None => targets.with_target("porchlight", level(part)?),
        };
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_area_can_be_louder_than_the_rest() {
        for levels in ["info,delivery=debug", "info,porchlight::delivery=debug"] {
            let targets = targets(levels).expect("two levels");
            assert!(targets.would_enable("porchlight::delivery::send", &tracing::Level::DEBUG));
            assert!(!targets.would_enable("porchlight::capture", &tracing::Level::DEBUG));
            assert!(!targets.would_enable("retina::client", &tracing::Level::INFO));
        }
    }

    #[test]
    fn words_of_other_systems_are_levels_and_strange_ones_are_ignored() {
        assert_eq!(conventional_level("DEBUG"), Some("debug"));
        assert_eq!(conventional_level("Warning"), Some("warn"));
        assert_eq!((conventional_level("verbose"), conventional_level("")), (None, None));
        assert!(
            ["CRITICAL", "INFO"]
                .into_iter()
                .filter_map(conventional_level)
                .all(|level| targets(level).is_ok())
        );
    }

    #[test]
    fn an_unknown_level_says_what_is_allowed() {
        let error = targets("loud").expect_err("not a level");
        assert!(error.to_string().contains("use error, warn, info, debug or trace"));
    }
}
